"""Metrics that compare an output with its target pixel by pixel; images ``(N, C, H, W)`` in [-1, 1].

torchmetrics is imported when a metric is built, for it takes seconds and listing the components should not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from i2i.api import Config

if TYPE_CHECKING:
    from torchmetrics import Metric


def l1(config: Config) -> Metric:
    """Mean absolute error; 2 is the largest possible."""
    from torchmetrics import MeanAbsoluteError

    return MeanAbsoluteError()


def psnr(config: Config) -> Metric:
    """``10 log10(2^2 / mean squared error)`` in dB, the mean taken over all images together."""
    from torchmetrics.image import PeakSignalNoiseRatio

    return PeakSignalNoiseRatio(data_range=(-1.0, 1.0))


def ssim(config: Config) -> Metric:
    """Structural similarity with an 11x11 Gaussian window of standard deviation 1.5 (Wang et al. 2004, equation 13)."""
    from torchmetrics.image import StructuralSimilarityIndexMeasure

    return StructuralSimilarityIndexMeasure(data_range=(-1.0, 1.0))
