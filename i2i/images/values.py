"""What the values of images stand for: their type, and which of them are the least and the greatest of interest.

A network computes on one range of its own. Full scale of a type fills it, unless bounds say which values do: depth in
millimetres, 12 bits in files of 16, temperatures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from i2i.images.pixels import to_dtype

DEPTHS = ("uint8", "uint16", "float32")
"""Names of the value types of pixels, those that hold the fewest levels first."""


def deepest(types: Iterable[str]) -> str:
    """The one of some value types that holds the most levels.

    Args:
        types: at least one of `DEPTHS`.
    """
    return max(types, key=DEPTHS.index)


@dataclass(frozen=True)
class ValueRange:
    """The values of images, and how they are mapped to [0, 1].

    Attributes:
        dtype: name of their type: uint8, uint16 or float32.
        bounds: the values that become 0 and 1, in the images' own units; None: 0 and full scale.
    """

    dtype: str
    bounds: tuple[float, float] | None = None

    @property
    def text(self) -> str:
        """The bounds as ``LOW..HIGH``; empty without."""
        return bounds_text(*self.bounds) if self.bounds else ""

    def to_unit(self, pixels: np.ndarray) -> np.ndarray:
        """The values mapped to [0, 1].

        Args:
            pixels: array of any shape; uint8, uint16 or float32. With bounds, values count as they are, whatever their
                type, and those beyond become 0 or 1. Without, full scale of their type becomes 1.

        Returns:
            float32 of that shape.
        """
        if self.bounds is None:
            return to_dtype(pixels, np.float32)
        low, high = map(np.float32, self.bounds)
        return np.clip((pixels.astype(np.float32) - low) / (high - low), 0, 1)

    def from_unit(self, values: np.ndarray, dtype: DTypeLike | None = None) -> np.ndarray:
        """Values in [0, 1] mapped back.

        Args:
            values: array of any shape; floats in [0, 1], or integers whose full scale stands for 1.
            dtype: type of the result; None: that of the images. Integers are rounded to the nearest that there is.
        """
        wanted = np.dtype(self.dtype if dtype is None else dtype)
        if self.bounds is None:
            return to_dtype(values, wanted)
        low, high = map(np.float32, self.bounds)
        mapped = to_dtype(values, np.float32) * (high - low) + low
        if wanted.kind == "f":
            return mapped
        return np.rint(np.clip(mapped, 0, np.iinfo(wanted).max)).astype(wanted)

    def share_beyond(self, pixels: np.ndarray) -> float:
        """The share of values that lie beyond the bounds; 0 without bounds."""
        if self.bounds is None:
            return 0.0
        low, high = self.bounds
        return float(np.mean((pixels < low) | (pixels > high)))


def bounds_text(low: float, high: float) -> str:
    """Two values as ``LOW..HIGH``, as the options of ranges are written."""
    return f"{low:.9g}..{high:.9g}"


def colours(pixels: np.ndarray, has_alpha: bool | None = None) -> np.ndarray:
    """An image ``(H, W, C)`` without its alpha, the last channel; if that is not said, the last of four."""
    return pixels[..., :-1] if (pixels.shape[2] == 4 if has_alpha is None else has_alpha) else pixels


def extremes(pixels: np.ndarray, has_alpha: bool | None = None) -> tuple[float, float]:
    """Least and greatest value of an image ``(H, W, C)`` without its alpha; zeros for one without pixels.

    Args:
        pixels: the image.
        has_alpha: whether the last channel is alpha; None: the last of four is.
    """
    if not pixels.size:
        return 0.0, 0.0
    rows = pixels[:1] if pixels.strides[0] == 0 else pixels  # a stand-in has equal rows
    values = colours(rows, has_alpha)
    return float(values.min()), float(values.max())
