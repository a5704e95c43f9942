"""What the values of an image stand for."""

from __future__ import annotations

import math
import struct
from typing import Literal

ValueKind = Literal["image", "labels", "mask", "values"]
"""What the values of an image stand for: a picture; numbers of classes, or colours that stand for classes; where
something is; measurements, such as depth.

Pictures and measurements are interpolated when they are resized, and pictures alone may change in brightness or colour.
"""
PICKED: tuple[ValueKind, ...] = ("labels", "mask")
"""Kinds that are resized by picking the nearest pixel: a blend of two values would mean something else."""


def is_range(low: float, high: float) -> bool:
    """Whether two numbers can be the least and the greatest value of images: float32 must tell them apart."""
    try:
        least, greatest = struct.unpack("2f", struct.pack("2f", low, high))
    except OverflowError:
        return False
    return bool(least < greatest) and math.isfinite(greatest - least)
