"""Metrics that compare an output with its target pixel by pixel; images ``(N, C, H, W)`` in [-1, 1].

SSIM is torchmetrics', which is imported when it is built, for that takes seconds. The mean absolute and the mean
squared error need no library: every training measures them, and is to begin at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from i2i.api import Config

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import Metric


class MeanOverPixels:
    """The mean of a measure of the difference over all pixels of all images, in the protocol of torchmetrics.

    Args:
        measure: the sum over the pixels of outputs and targets, which have one shape.
        figure: the metric as a function of the mean.
        higher_is_better: whether the higher figure is the better one.
    """

    def __init__(
        self, measure: Callable[[Tensor, Tensor], Tensor], figure: Callable[[Tensor], Tensor], *, higher_is_better: bool
    ) -> None:
        self.higher_is_better = higher_is_better
        self._measure, self._figure = measure, figure
        self.reset()

    def reset(self) -> None:
        """Forgets all images."""
        self._total, self._count = 0.0, 0

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds images.

        Args:
            preds: outputs ``(N, C, H, W)``.
            target: what they should be, of the same shape.

        Raises:
            ValueError: the shapes differ.
        """
        if preds.shape != target.shape:
            raise ValueError(f"outputs are {tuple(preds.shape)}, their targets {tuple(target.shape)}")
        self._total += float(self._measure(preds.double(), target.double()))
        self._count += target.numel()

    def compute(self) -> Tensor:
        """The figure for all images so far, a scalar in float32; NaN without any."""
        import torch

        mean = self._total / self._count if self._count else float("nan")
        return self._figure(torch.tensor(mean, dtype=torch.float64)).float()


def l1(config: Config) -> MeanOverPixels:
    """Mean absolute error; 2 is the largest possible."""
    return MeanOverPixels(lambda x, y: (x - y).abs().sum(), lambda mean: mean, higher_is_better=False)


def psnr(config: Config) -> MeanOverPixels:
    """``10 log10(2^2 / mean squared error)`` in dB, the mean taken over all images together."""
    return MeanOverPixels(
        lambda x, y: (x.clamp(-1, 1) - y.clamp(-1, 1)).square().sum(),
        lambda mean: 10 * (4 / mean).log10(),
        higher_is_better=True,
    )


def ssim(config: Config) -> Metric:
    """Structural similarity with an 11x11 Gaussian window of standard deviation 1.5 (Wang et al. 2004, equation 13)."""
    from torchmetrics.image import StructuralSimilarityIndexMeasure

    return StructuralSimilarityIndexMeasure(data_range=(-1.0, 1.0))
