"""Metrics whose figure is the mean over images: SSIM and MS-SSIM, and PSNR and L1 of the luma.

On luma they are those of super-resolution papers: 8-bit images, the luma of ITU-R BT.601 in 16 to 235, not rounded, and
without the border; images of other than three channels are taken as they are, in 0 to 255. The peak is 255.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i_metrics.options import LumaConfig, PixelsConfig, SSIMConfig
from i2i_metrics.preparing import BT601, check_sides, luma, unrounded, without_border

WINDOW, SIGMA = 11, 1.5
"""Side and standard deviation in pixels of the Gaussian window (Wang et al. 2004, section III.B)."""

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales (Wang et al. 2003, section 3.2)."""

MIN_MS_SSIM = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""Smallest side for five scales: 161 pixels."""


@dataclass(frozen=True)
class Measure:
    """What is measured of each image, and of what.

    Attributes:
        name: in messages, such as ``SSIM``.
        values: from two batches ``(N, C, H, W)`` to a value for each image, ``(N,)``.
        min_side: smallest height and width, without the border.
        on_luma: compare the luma of 8-bit images, rather than the channels, which are not rounded; 0 to 255.
        higher_is_better: whether the higher of two values is the better one.
        edges: what happens at the edges of images, for the protocol.
    """

    name: str
    values: Callable[[Tensor, Tensor], Tensor]
    min_side: int = 1
    on_luma: bool = False
    higher_is_better: bool = True
    edges: str = ""


class MeanOverImages:
    """The mean of a measure over all images.

    Args:
        measure: what is measured of each image.
        border: pixels cut off each side.

    Attributes:
        higher_is_better: whether the higher of two values is the better one.
    """

    def __init__(self, measure: Measure, border: int) -> None:
        self.measure, self.border, self.higher_is_better = measure, border, measure.higher_is_better
        self.reset()

    def update(self, output: Tensor, target: Tensor) -> None:
        """Measures images ``(N, C, H, W)`` in [-1, 1]; those of the next call may be of another size.

        Raises:
            ValueError: the shapes differ.
            i2i.DataError: the images are too small.
        """
        if output.shape != target.shape:
            raise ValueError(f"outputs are {tuple(output.shape)}, their targets {tuple(target.shape)}")
        what = f"{self.measure.name} with a border of {self.border} pixels" if self.border else self.measure.name
        check_sides(target, self.measure.min_side + 2 * self.border, what)
        both = [without_border(images, self.border) for images in (output, target)]
        both = [luma(images) if self.measure.on_luma else unrounded(images) for images in both]
        self._values += self.measure.values(*both).tolist()

    def compute(self) -> Tensor:
        """The mean over all images, a scalar in float64; NaN without any."""
        return torch.tensor(self._values, dtype=torch.float64).mean()

    def of_images(self, places: Sequence[int]) -> Tensor:
        """The mean over some of the images, by their places from 0, of which each may be there several times."""
        return torch.tensor([self._values[place] for place in places], dtype=torch.float64).mean()

    def reset(self) -> None:
        """Forgets all images."""
        self._values: list[float] = []

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about."""
        own = "the images' own channels, 0 to 255, not rounded"
        colour = BT601 + ", of 8-bit images" if self.measure.on_luma else own
        protocol = {"images": len(self._values), "colour": colour, "border": self.border, "mean": "over images"}
        return protocol | ({"edges": self.measure.edges} if self.measure.edges else {})


def ssim(config: SSIMConfig) -> MeanOverImages:
    """Structural similarity with an 11x11 Gaussian window of standard deviation 1.5 (Wang et al. 2004, equation 13)."""
    least = WINDOW if config.edges == "valid" else WINDOW // 2 + 1
    measure = Measure("SSIM", lambda x, y: ssim_of(x, y, peak=255, edges=config.edges), least, edges=config.edges)
    return MeanOverImages(measure, config.border)


def ms_ssim(config: PixelsConfig) -> MeanOverImages:
    """Structural similarity at five scales (Wang et al. 2003, equation 7)."""
    measure = Measure("MS-SSIM", lambda x, y: ms_ssim_of(x, y, peak=255), MIN_MS_SSIM, edges="valid")
    return MeanOverImages(measure, config.border)


def l1_y(config: LumaConfig, *, scale: int = 1) -> MeanOverImages:
    """Mean absolute error of each image's luma, 0 to 255."""
    values = lambda x, y: (x - y).abs().mean((1, 2, 3))  # noqa: E731
    return _on_luma(Measure("L1 on luma", values, on_luma=True, higher_is_better=False), config, scale)


def psnr_y(config: LumaConfig, *, scale: int = 1) -> MeanOverImages:
    """``10 log10(255^2 / mean squared error)`` in dB of each image, without `scale` pixels at each border."""
    values = lambda x, y: 10 * (255**2 / (x - y).square().mean((1, 2, 3))).log10()  # noqa: E731
    return _on_luma(Measure("PSNR on luma", values, on_luma=True), config, scale)


def ssim_y(config: LumaConfig, *, scale: int = 1) -> MeanOverImages:
    """Structural similarity (Wang et al. 2004, equation 13) of each image, without `scale` pixels at each border.

    The Gaussian window of 11x11 pixels and standard deviation 1.5 stays within the image, as in the authors' program.
    """
    values = lambda x, y: ssim_of(x, y, peak=255, edges="valid")  # noqa: E731
    return _on_luma(Measure("SSIM on luma", values, WINDOW, on_luma=True, edges="valid"), config, scale)


def ms_ssim_y(config: LumaConfig, *, scale: int = 1) -> MeanOverImages:
    """Structural similarity at five scales (Wang et al. 2003, equation 7) of each image's luma."""
    values = lambda x, y: ms_ssim_of(x, y, peak=255)  # noqa: E731
    return _on_luma(Measure("MS-SSIM on luma", values, MIN_MS_SSIM, on_luma=True, edges="valid"), config, scale)


def _on_luma(measure: Measure, config: LumaConfig, scale: int) -> MeanOverImages:
    return MeanOverImages(measure, scale if config.border is None else config.border)


def ssim_of(x: Tensor, y: Tensor, *, peak: float, edges: str) -> Tensor:
    """SSIM of each image, the mean over pixels and channels (Wang et al. 2004, equation 13).

    Args:
        x: images ``(N, C, H, W)`` in float64, from 0 to `peak`: values around 0 would give another brightness.
        y: images of the same shape; the two may change places.
        peak: difference of the largest and the smallest possible value.
        edges: ``reflect`` or ``valid``, see `SSIMConfig.edges`.

    Returns:
        ``(N,)``.
    """
    if edges == "reflect":
        x, y = (F.pad(images, (WINDOW // 2,) * 4, mode="reflect") for images in (x, y))
    brightness, structure = _similarity(x, y, peak)
    return (brightness * structure).mean((1, 2, 3))


def ms_ssim_of(x: Tensor, y: Tensor, *, peak: float) -> Tensor:
    """MS-SSIM of each image, the mean over channels (Wang et al. 2003, equation 7).

    Between two scales images are halved by averaging 2x2 pixels; of an odd number, the last row or column is averaged
    by itself. Where the structure is opposed, which is negative and has no broken power, it is taken as 0.

    Args:
        x: images ``(N, C, H, W)`` in float64, of sides of `MIN_MS_SSIM` and more.
        y: images of the same shape.
        peak: difference of the largest and the smallest possible value.

    Returns:
        ``(N,)``.
    """
    result = torch.ones(x.shape[:2], dtype=x.dtype)
    for index, weight in enumerate(SCALE_WEIGHTS):
        if index:
            x, y = F.avg_pool2d(x, 2, ceil_mode=True), F.avg_pool2d(y, 2, ceil_mode=True)
        brightness, structure = _similarity(x, y, peak)
        last = index == len(SCALE_WEIGHTS) - 1
        result *= (brightness * structure if last else structure).mean((2, 3)).clamp(min=0) ** weight
    return result.mean(1)


def _similarity(x: Tensor, y: Tensor, peak: float) -> tuple[Tensor, Tensor]:
    """Similarity of brightness, and of contrast and structure, at each place where the window fits in."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (_windowed(images) for images in (x, y, x * x, y * y, x * y))
    var_x, var_y, covariance = mean_xx - mean_x**2, mean_yy - mean_y**2, mean_xy - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return brightness, (2 * covariance + c2) / (var_x + var_y + c2)


def _windowed(images: Tensor) -> Tensor:
    """Weighted means over the Gaussian window, along rows and then columns."""
    offsets = torch.arange(WINDOW, dtype=images.dtype) - WINDOW // 2
    weights = (-(offsets**2) / (2 * SIGMA**2)).exp()
    weights = (weights / weights.sum()).expand(images.shape[1], 1, 1, WINDOW)
    rows = F.conv2d(images, weights, groups=images.shape[1])
    return F.conv2d(rows, weights.transpose(2, 3), groups=images.shape[1])
