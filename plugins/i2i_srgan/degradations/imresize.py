"""Bicubic resizing by whole factors that repeats MATLAB's imresize bit by bit, the standard of super-resolution.

The cubic kernel is that of Keys 1981 (doi:10.1109/TASSP.1981.1163711, a = -0.5), stretched by the scale when shrinking,
against aliasing; images are mirrored at the border; rows come before columns, and integers are rounded in between.
torch has that kernel, but cuts it off at the border: hence the padding here.
"""

from __future__ import annotations

import numpy as np

import i2i


def imresize(image: np.ndarray, scale: int, *, enlarge: bool = False) -> np.ndarray:
    """Shrinks or enlarges as MATLAB's imresize does with its defaults, bicubic and antialiased.

    Args:
        image: ``(H, W, C)`` uint8, uint16 or float32 in [0, 1].
        scale: the factor.
        enlarge: enlarge by the factor, instead of shrinking by it.

    Returns:
        An image of the same type, clipped to its range: ``(H * scale, W * scale, C)`` when enlarging, else
        ``(H // scale, W // scale, C)``, for which rows and columns beyond the last multiple of `scale` are left out.

    Raises:
        i2i.DataError: the image is too small to shrink.
    """
    if not enlarge:
        image = cut_to_multiple(image, scale)
    if scale == 1:
        return image.copy()
    resized = image
    for axis in (0, 1):
        resized = _as_type(_resize_axis(resized.astype(np.float64), axis, scale, enlarge), image.dtype)
    return np.clip(resized, 0, 1) if image.dtype.kind == "f" else resized


def cut_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Cuts ``(H, W, C)`` at the bottom and right so that height and width are multiples of the scale.

    Raises:
        i2i.DataError: nothing would be left.
    """
    height, width = image.shape[0] // scale * scale, image.shape[1] // scale * scale
    if not height or not width:
        raise i2i.DataError(f"an image of {image.shape[0]}x{image.shape[1]} pixels is too small for scale {scale}")
    return image[:height, :width]


def _resize_axis(image: np.ndarray, axis: int, scale: int, enlarge: bool) -> np.ndarray:
    """Float64 ``(H, W, C)``, resized along one axis only: mirrored by the kernel's reach, resized and cut back."""
    import torch

    reach = 4 if enlarge else 2 * scale
    padded = np.pad(image, [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode="symmetric")
    size = list(padded.shape[:2])
    size[axis] = size[axis] * scale if enlarge else size[axis] // scale
    planes = torch.from_numpy(padded.transpose(2, 0, 1).copy())[None]
    planes = torch.nn.functional.interpolate(planes, size, mode="bicubic", antialias=True)
    margin = reach * scale if enlarge else reach // scale
    return planes[0].permute(1, 2, 0).narrow(axis, margin, size[axis] - 2 * margin).contiguous().numpy()


def _as_type(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return image.astype(dtype)
    return np.floor(np.clip(image, 0, np.iinfo(dtype).max) + 0.5).astype(dtype)
