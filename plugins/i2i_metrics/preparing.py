"""What is done to images before they are measured: cutting, 8 bits, colour and size, by one rule each.

- **8 bits**: values in [-1, 1] are clipped, scaled to 0 to 255 and rounded to the nearest level, half to even.
- **Size**: `bicubic` of torch with antialiasing, in floats, clipped to the range and not rounded again.
- **Luma**: ITU-R BT.601 in 16 to 235, as MATLAB's rgb2ycbcr gives it, not rounded.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

import i2i

QUANTISATION = "8 bits: clipped to [-1, 1], times 127.5 plus 127.5, rounded"
RESIZE = "bicubic (a = -0.5), antialiased, clipped"
BT601 = "luma of ITU-R BT.601, 16 to 235"


def levels(images: Tensor) -> Tensor:
    """Images in [-1, 1] as whole numbers from 0 to 255, in float64."""
    return unrounded(images).round()


def unrounded(images: Tensor) -> Tensor:
    """Images in [-1, 1] as numbers from 0 to 255, clipped and not rounded, in float64."""
    return (images.double().clamp(-1, 1) + 1) * 127.5


def eight_bits(images: Tensor) -> Tensor:
    """Images in [-1, 1] as they come back from a file of 8 bits, uint8."""
    return levels(images).to(torch.uint8)


def as_colour(images: Tensor) -> Tensor:
    """Images of three channels; a single one is repeated.

    Raises:
        i2i.DataError: the images have another number of channels.
    """
    if images.shape[1] not in (1, 3):
        raise i2i.DataError(
            f"feature networks see images of 1 or 3 channels, got {images.shape[1]}: choose a metric without them"
        )
    return images.expand(-1, 3, -1, -1)


def resized(images: Tensor, size: int | None) -> Tensor:
    """Images ``(N, C, H, W)`` in [-1, 1] at `size` times `size` pixels; None leaves them as they are."""
    if size is None or images.shape[2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)


def luma(images: Tensor) -> Tensor:
    """The luma ``(N, 1, H, W)`` of RGB images in [-1, 1], rounded to 8 bits first; other images as 0 to 255."""
    whole = levels(images)
    if whole.shape[1] != 3:
        return whole
    return 16 + (65.481 * whole[:, :1] + 128.553 * whole[:, 1:2] + 24.966 * whole[:, 2:]) / 255


def without_border(images: Tensor, border: int) -> Tensor:
    """Images without `border` pixels at each side."""
    return images[:, :, border : images.shape[2] - border, border : images.shape[3] - border]


def check_sides(images: Tensor, least: int, what: str) -> None:
    """Refuses images that are too small to be measured.

    Raises:
        i2i.DataError: a side has less than `least` pixels; the line begins with `what`.
    """
    height, width = images.shape[2:]
    if min(height, width) < least:
        raise i2i.DataError(
            f"{what} needs images of at least {least}x{least} pixels, got {height}x{width}: "
            "use larger ones (data.size), or other metrics"
        )
