"""Distances between two sets of feature vectors, and the score of one set of class probabilities; all in float64."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_PAIRS = 1_000_000
"""Pairs of vectors whose distance is held in memory at once: 8 MB."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its error bar.

    Attributes:
        value: the figure.
        error: its error bar; NaN where there is none.
        error_is: what the error bar is, in words.
    """

    value: float
    error: float = float("nan")
    error_is: str = ""


def frechet_distance(mean1: Tensor, factor1: Tensor, mean2: Tensor, factor2: Tensor) -> float:
    """Squared Fréchet distance of two normal distributions (Heusel et al. 2017, arXiv:1706.08500, equation 6).

    With covariances ``C1 = F1 F1^T`` and ``C2 = F2 F2^T``, the trace of the root of their product is the sum of the
    singular values of ``F1^T F2``. Unlike roots of eigenvalues of the product, these are exact where covariances have
    no full rank.

    Args:
        mean1: ``(D,)``.
        factor1: ``(D, any number)``, the factor of a covariance, as of `factor_of`.
        mean2: ``(D,)``.
        factor2: ``(D, any number)``.

    Returns:
        A number from 0; what rounding makes negative is 0.
    """
    factors = factor1.T @ factor2
    root = torch.linalg.svdvals(factors).sum() if factors.numel() else 0.0
    traces = factor1.square().sum() + factor2.square().sum()
    return max(float((mean1 - mean2).square().sum() + traces - 2 * root), 0.0)


def factor_of(covariance: Tensor) -> Tensor:
    """F ``(D, rank)`` of a covariance ``F F^T``, without the eigenvalues that are 0 but for rounding."""
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
    return vectors[:, kept] * values[kept].sqrt()


def kernel_distance(real: Tensor, fake: Tensor, *, subsets: int, subset_size: int) -> Estimate:
    """Kernel distance, the mean over random subsets (Binkowski et al. 2018, arXiv:1801.01401, sections 4 and 5).

    Args:
        real: features ``(M, D)`` in float64, two or more.
        fake: features ``(N, D)``, two or more.
        subsets: number of subsets, drawn without putting back, by a fixed seed.
        subset_size: vectors of each set in a subset; where a set has fewer, both are compared as a whole, once.

    Returns:
        The unbiased estimate, which may be below 0.
    """
    if min(len(real), len(fake)) < subset_size:
        return _whole_kernel_distance(real, fake)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(subsets):
        some, others = (torch.randperm(len(one), generator=generator)[:subset_size] for one in (real, fake))
        values.append(_unbiased(_row_sums(real[some], fake[others])))
    spread = torch.tensor(values, dtype=torch.float64)
    error = float(spread.std()) if subsets > 1 else float("nan")
    return Estimate(float(spread.mean()), error, f"standard deviation over {subsets} subsets of {subset_size}")


def _whole_kernel_distance(real: Tensor, fake: Tensor) -> Estimate:
    """The estimate from all vectors; its error by leaving out one at a time (jackknife), NaN for sets of two."""
    real_real, fake_fake, real_fake, fake_real = sums = _row_sums(real, fake)
    value = _unbiased(sums)
    m, n, error = len(real), len(fake), float("nan")
    if min(m, n) > 2:
        all_real, all_fake, across = real_real.sum(), fake_fake.sum(), real_fake.sum()
        own_real, own_fake = all_real / (m * (m - 1)), all_fake / (n * (n - 1))
        less_real = (all_real - 2 * real_real) / ((m - 1) * (m - 2)) - 2 * (across - real_fake) / ((m - 1) * n)
        less_fake = (all_fake - 2 * fake_fake) / ((n - 1) * (n - 2)) - 2 * (across - fake_real) / ((n - 1) * m)
        variance = (m - 1) * (less_real + own_fake).var(correction=0) + (n - 1) * (less_fake + own_real).var(
            correction=0
        )
        error = float(variance.sqrt())
    return Estimate(value, error, "standard error, by leaving out one image at a time")


def _row_sums(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums of the kernel over the others: of each real among the real, fake among fake, and across, both ways."""
    across = [torch.zeros(len(one), dtype=real.dtype) for one in (real, fake)]
    for rows, block in _blocks(real, fake):
        kernel = _kernel(block, fake)
        across[0][rows] = kernel.sum(1)
        across[1] += kernel.sum(0)
    own = []
    for one in (real, fake):
        sums = torch.cat([_kernel(block, one).sum(1) for _, block in _blocks(one, one)])
        own.append(sums - (one.square().sum(1) / one.shape[1] + 1) ** 3)
    return own[0], own[1], across[0], across[1]


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """The polynomial kernel ``(x y / D + 1)^3``."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def _unbiased(sums: tuple[Tensor, Tensor, Tensor, Tensor]) -> float:
    m, n = len(sums[0]), len(sums[1])
    return float(sums[0].sum() / (m * (m - 1)) + sums[1].sum() / (n * (n - 1)) - 2 * sums[2].sum() / (m * n))


def share_within(points: Tensor, centres: Tensor, *, neighbours: int) -> float:
    """Share of the points that lie in the neighbourhood of a centre: precision, and with the sets exchanged recall.

    Kynkäänniemi et al. 2019, arXiv:1904.06991, equations 1 and 2; a point on the rim of a ball is in it.

    Args:
        points: features ``(M, D)`` in float64.
        centres: features ``(N, D)``, more than `neighbours`.
        neighbours: a centre's ball reaches to its k-th nearest other centre.
    """
    radii = _radii(centres, neighbours)
    inside = [(_squared_distances(block, centres) <= radii).any(1) for _, block in _blocks(points, centres)]
    return float(torch.cat(inside).double().mean())


def density_and_coverage(real: Tensor, fake: Tensor, *, neighbours: int) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, arXiv:2002.09797, equations 3 and 4).

    Args:
        real: features ``(M, D)`` in float64, more than `neighbours`; balls around them reach to the k-th nearest other.
        fake: features ``(N, D)``.
        neighbours: k.

    Returns:
        The number of real balls around an output, on average and over k; the share of balls with an output in them.
    """
    radii = _radii(real, neighbours)
    total, covered = 0.0, torch.zeros(len(real), dtype=torch.bool)
    for _, block in _blocks(fake, real):
        inside = _squared_distances(block, real) <= radii
        total += float(inside.sum())
        covered |= inside.any(0)
    return total / (neighbours * len(fake)), float(covered.double().mean())


def _radii(points: Tensor, neighbours: int) -> Tensor:
    """Squared distance of each point to its k-th nearest other one."""
    found = []
    for rows, block in _blocks(points, points):
        squares = _squared_distances(block, points)
        squares[torch.arange(len(block)), torch.arange(len(points))[rows]] = -1  # itself, the nearest of all
        found.append(squares.kthvalue(neighbours + 1, dim=1).values)
    return torch.cat(found)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances ``(M, N)``; those that are within rounding of 0, of equal images, are 0."""
    norms = x.square().sum(1)[:, None] + y.square().sum(1)
    squares = norms - 2 * x @ y.T
    return torch.where(squares < 1e-12 * norms, 0.0, squares)


def _blocks(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Parts of `points`, and where they are, so small that their pairs with `others` fit into `MAX_PAIRS`."""
    size = max(1, MAX_PAIRS // max(1, len(others)))
    for start in range(0, len(points), size):
        yield slice(start, min(start + size, len(points))), points[start : start + size]


def class_score(logits: Tensor, *, splits: int) -> Estimate:
    """``exp E KL(p(y|x) || p(y))`` (Salimans et al. 2016, arXiv:1606.03498, section 4), the mean over parts of the set.

    Args:
        logits: ``(N, classes)`` in float64, N of at least `splits`.
        splits: number of parts, one after another in the order of the images, as equal as can be.
    """
    scores = []
    for part in logits.log_softmax(1).tensor_split(splits):
        marginal = part.logsumexp(0) - torch.tensor(float(len(part)), dtype=part.dtype).log()
        scores.append((part.exp() * (part - marginal)).sum(1).mean().exp())
    spread = torch.stack(scores)
    error = float(spread.std()) if splits > 1 else float("nan")
    return Estimate(float(spread.mean()), error, f"standard deviation over {splits} parts of the set")
