"""Metrics of sets of images, each a view of `FeatureSets`, which takes the features once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import i2i
from i2i_metrics.options import DensityConfig, ISConfig, KIDConfig, PrecisionConfig, SetsConfig
from i2i_metrics.sets import distances
from i2i_metrics.sets.collecting import FeatureSets, embedded, feature_sets
from i2i_metrics.sets.distances import Estimate


@dataclass(frozen=True)
class SetMeasure:
    """What is measured of sets of features.

    Attributes:
        name: the component's name.
        title: the figure's name in messages.
        estimate: from the sets to the figure and its error bar.
        min_real: real images that it needs; 0 where it looks at the generated ones alone.
        min_fake: generated images that it needs.
        wants: what the sets must keep: ``moments``, ``features`` or ``logits``.
        higher_is_better: whether the higher of two values is the better one.
        reason: why it needs so many images.
        details: more for the protocol.
    """

    name: str
    title: str
    estimate: Callable[[FeatureSets], Estimate]
    min_real: int
    min_fake: int
    wants: str = "features"
    higher_is_better: bool = True
    reason: str = ""
    details: Callable[[FeatureSets], dict[str, Any]] = field(default=lambda sets: {})


class SetMetric:
    """A metric of sets of images, in the protocol of the hook `i2i_metrics`.

    Args:
        measure: what is measured.
        sets: takes the features, for this and other metrics.

    Attributes:
        collector: the sets.
        figure_name: the metric's name, with that of the network unless it is the standard one.
        settled: the option `features` where it left the network open, with the one that was found.
        kind: ``distribution``, or ``scores`` where the real images do not matter.
        higher_is_better: whether the higher of two values is the better one.
    """

    def __init__(self, measure: SetMeasure, sets: FeatureSets) -> None:
        self.measure, self.collector = measure, sets
        sets.want(measure.wants)
        self.kind = "distribution" if measure.min_real else "scores"
        self.higher_is_better = measure.higher_is_better
        self.figure_name = measure.name if sets.standard else f"{measure.name}-{sets.name}"
        found = getattr(sets.network, "settled", "")
        self.settled = {"features": {"name": found}} if found else {}
        self._estimate, self._changes = Estimate(float("nan")), -1

    def update_real(self, images: Tensor) -> None:
        """Adds real images ``(N, C, H, W)`` in [-1, 1], for all metrics that share the sets."""
        self.collector.update_real(images)

    def update_fake(self, images: Tensor) -> None:
        """Adds generated images ``(N, C, H, W)`` in [-1, 1], for all metrics that share the sets."""
        self.collector.update_fake(images)

    def reset(self) -> None:
        """Forgets all images, for all metrics that share the sets."""
        self.collector.reset()

    def compute(self) -> Tensor:
        """The figure of all images so far, a scalar in float64; NaN where `problem` says why."""
        return torch.tensor(self._measured().value, dtype=torch.float64)

    def error_bar(self) -> float:
        """The figure's error bar, as ``error_bar`` of `protocol` describes it; NaN where there is none."""
        return self._measured().error

    def problem(self) -> str:
        """Why there is no figure, in one line; empty when there is one."""
        real, fake = self.collector.real.count, self.collector.fake.count
        if real >= self.measure.min_real and fake >= self.measure.min_fake:
            return ""
        needed, got = f"{self.measure.min_fake} generated images", str(fake)
        if self.measure.min_real:
            needed, got = f"{self.measure.min_real} real and {needed}", f"{real} and {fake}"
        reason = f" ({self.measure.reason})" if self.measure.reason else ""
        return f"{self.measure.title} needs at least {needed}{reason}, got {got}"

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about: network and digest, resizing, quantisation, colour, numbers of images."""
        error_is = self._measured().error_is  # first, for then all images have gone through the network
        protocol = self.collector.protocol | self.measure.details(self.collector)
        if not self.measure.min_real:
            del protocol["real_images"]
        return protocol | ({"error_bar": error_is} if error_is else {})

    def _measured(self) -> Estimate:
        """The figure and its error bar, computed once for the same images."""
        if self.problem():
            return Estimate(float("nan"))
        if self._changes != self.collector.changes:
            self._estimate, self._changes = self.measure.estimate(self.collector), self.collector.changes
        return self._estimate


def fid(config: SetsConfig, *, context: i2i.MetricContext) -> SetMetric:
    """Fréchet inception distance (Heusel et al. 2017, arXiv:1706.08500, equation 6), from running moments.

    Sets of fewer images than the network has features have covariances without full rank: the figure exists, and is
    biased upwards, more than that of larger sets is. Figures of equal numbers of images can be compared.
    """

    def estimate(sets: FeatureSets) -> Estimate:
        return Estimate(distances.frechet_distance(*sets.real.moments(), *sets.fake.moments()))

    def details(sets: FeatureSets) -> dict[str, Any]:
        width = sets.fake.width or sets.real.width
        return {"features": width, "full_rank": min(sets.real.count, sets.fake.count) > width > 0}

    measure = SetMeasure(
        "fid",
        "FID",
        estimate,
        2,
        2,
        "moments",
        higher_is_better=False,
        reason="a covariance needs two",
        details=details,
    )
    return SetMetric(measure, feature_sets(config.features, context))


def kid(config: KIDConfig, *, context: i2i.MetricContext) -> SetMetric:
    """Kernel inception distance, unbiased (Binkowski et al. 2018, arXiv:1801.01401, section 4); it may be below 0."""

    def estimate(sets: FeatureSets) -> Estimate:
        real, fake = _features(sets)
        return distances.kernel_distance(real, fake, subsets=config.subsets, subset_size=config.subset_size)

    kernel = {"kernel": "(x y / D + 1)^3"}
    measure = SetMeasure("kid", "KID", estimate, 2, 2, higher_is_better=False, details=lambda sets: dict(kernel))
    return SetMetric(measure, feature_sets(config.features, context))


def inception_score(config: ISConfig, *, context: i2i.MetricContext) -> SetMetric:
    """Inception score (Salimans et al. 2016, arXiv:1606.03498, section 4) of the generated images alone.

    Raises:
        ValueError: the network knows no classes.
    """
    sets = feature_sets(config.features, context)
    with torch.no_grad():
        if "logits" not in embedded(sets.network, torch.zeros(1, 3, 64, 64, device=context.device)):
            raise ValueError(f"the network {sets.name} knows no classes: choose another one as features")

    def estimate(sets: FeatureSets) -> Estimate:
        return distances.class_score(sets.fake.kept("logits"), splits=config.splits)

    reason = f"one for each of its {config.splits} splits"
    details = lambda sets: {"splits": config.splits}  # noqa: E731
    measure = SetMeasure(
        "inception-score", "the inception score", estimate, 0, config.splits, "logits", reason=reason, details=details
    )
    return SetMetric(measure, sets)


def precision(config: PrecisionConfig, *, context: i2i.MetricContext) -> SetMetric:
    """Share of outputs in the neighbourhood of a real image (Kynkäänniemi et al. 2019, arXiv:1904.06991)."""

    def estimate(real: Tensor, fake: Tensor) -> float:
        return distances.share_within(fake, real, neighbours=config.neighbours)

    return _of_neighbours("precision", config, context, estimate, around_real=True)


def recall(config: PrecisionConfig, *, context: i2i.MetricContext) -> SetMetric:
    """Share of real images in the neighbourhood of an output (Kynkäänniemi et al. 2019, arXiv:1904.06991)."""

    def estimate(real: Tensor, fake: Tensor) -> float:
        return distances.share_within(real, fake, neighbours=config.neighbours)

    return _of_neighbours("recall", config, context, estimate, around_real=False)


def density(config: DensityConfig, *, context: i2i.MetricContext) -> SetMetric:
    """Real neighbourhoods around an output, over k (Naeem et al. 2020, arXiv:2002.09797, equation 3)."""

    def estimate(real: Tensor, fake: Tensor) -> float:
        return distances.density_and_coverage(real, fake, neighbours=config.neighbours)[0]

    return _of_neighbours("density", config, context, estimate, around_real=True)


def coverage(config: DensityConfig, *, context: i2i.MetricContext) -> SetMetric:
    """Share of real neighbourhoods with an output in them (Naeem et al. 2020, arXiv:2002.09797, equation 4)."""

    def estimate(real: Tensor, fake: Tensor) -> float:
        return distances.density_and_coverage(real, fake, neighbours=config.neighbours)[1]

    return _of_neighbours("coverage", config, context, estimate, around_real=True)


def _of_neighbours(
    name: str,
    config: PrecisionConfig | DensityConfig,
    context: i2i.MetricContext,
    estimate: Callable[[Tensor, Tensor], float],
    *,
    around_real: bool,
) -> SetMetric:
    """A metric of neighbourhoods around the real images, or around the outputs, which need one image more than k."""
    k = config.neighbours
    measure = SetMeasure(
        name,
        name,
        lambda sets: Estimate(estimate(*_features(sets))),
        min_real=k + 1 if around_real else 1,
        min_fake=1 if around_real else k + 1,
        reason=f"{k} neighbours and the image itself",
        details=lambda sets: {"neighbours": k},
    )
    return SetMetric(measure, feature_sets(config.features, context))


def _features(sets: FeatureSets) -> tuple[Tensor, Tensor]:
    return sets.real.kept("features"), sets.fake.kept("features")
