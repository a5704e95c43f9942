"""PSNR and SSIM as super-resolution papers report them: on the luma of 8-bit images, without the border.

Luma is that of ITU-R BT.601 in 16 to 235, as MATLAB's rgb2ycbcr gives it but not rounded; images of other than three
channels are taken as they are, in 0 to 255. The peak is 255. torchmetrics and kornia are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from i2i.api import Config
from i2i.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


class OnLuma:
    """A metric of images' luma without the border; its value is the mean over all images.

    Args:
        measure: from two batches ``(N, C, H, W)`` in 0 to 255 to a value for each image, ``(N,)``.
        border: pixels cut off each side.
        min_side: smallest height and width, without the border, that can be measured.

    Attributes:
        higher_is_better: whether the higher of two values is the better one.
    """

    higher_is_better: ClassVar[bool] = True

    def __init__(self, measure: Callable[[Tensor, Tensor], Tensor], *, border: int, min_side: int) -> None:
        from torchmetrics import MeanMetric

        self.measure, self.border, self.min_side = measure, border, min_side
        self.mean = MeanMetric(sync_on_compute=False)  # one process validates, and must not wait for others

    def update(self, output: Tensor, target: Tensor) -> None:
        """Measures images ``(N, C, H, W)`` in [-1, 1]; those of the next call may be of another size.

        Raises:
            DataError: the images are too small.
        """
        least = self.min_side + 2 * self.border
        if min(target.shape[2:]) < least:
            raise DataError(
                f"PSNR and SSIM on luma need images of at least {least}x{least} pixels at this scale, "
                f"got {target.shape[2]}x{target.shape[3]}: set a larger data.size, or other train.metrics"
            )
        self.mean.update(self.measure(self._cut(luma(output)), self._cut(luma(target))))

    def compute(self) -> Tensor:
        """The mean over all images."""
        return self.mean.compute()

    def reset(self) -> None:
        """Forgets all images."""
        self.mean.reset()

    def _cut(self, image: Tensor) -> Tensor:
        b = self.border
        return image[:, :, b : image.shape[2] - b, b : image.shape[3] - b]


def psnr_y(config: Config, *, scale: int = 1) -> OnLuma:
    """``10 log10(255^2 / mean squared error)`` in dB of each image without `scale` pixels at each border."""
    return OnLuma(_psnr, border=scale, min_side=1)


def ssim_y(config: Config, *, scale: int = 1) -> OnLuma:
    """Structural similarity (Wang et al. 2004, equation 13) of each image without `scale` pixels at each border.

    The Gaussian window of 11x11 pixels and standard deviation 1.5 stays within the image, as in the authors' program;
    torchmetrics mirrors the image at its border, which gives other values.
    """
    return OnLuma(_ssim, border=scale, min_side=11)


def luma(image: Tensor) -> Tensor:
    """The luma ``(N, 1, H, W)`` of RGB images in [-1, 1], rounded to 8 bits first; other images as 0 to 255."""
    levels = ((image.clamp(-1, 1) + 1) * 127.5).round().double()
    if levels.shape[1] != 3:
        return levels
    return 16 + (65.481 * levels[:, :1] + 128.553 * levels[:, 1:2] + 24.966 * levels[:, 2:]) / 255


def _psnr(output: Tensor, target: Tensor) -> Tensor:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    return peak_signal_noise_ratio(output, target, data_range=255.0, dim=(1, 2, 3), reduction="none")


def _ssim(output: Tensor, target: Tensor) -> Tensor:
    from kornia.metrics import ssim

    return ssim(output, target, window_size=11, max_val=255.0, padding="valid").mean((1, 2, 3))
