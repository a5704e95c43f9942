"""What the values of an image stand for."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

ValueKind = Literal["image", "labels", "mask", "values"]
"""What the values of an image stand for: a picture; numbers of classes, or colours that stand for classes; where
something is; measurements, such as depth.

Pictures and measurements are interpolated when they are resized, and pictures alone may change in brightness or colour.
"""
PICKED: tuple[ValueKind, ...] = ("labels", "mask")
"""Kinds that are resized by picking the nearest pixel: a blend of two values would mean something else."""
ClassColor = tuple[int, int, int, int]
"""Number of a class, and red, green and blue of a colour that stands for it, each from 0 to 255."""
CLASS_COLOR = "class, red, green, blue, from 0 to 255"
"""A `ClassColor` in words."""


@dataclass(frozen=True)
class LabelColors:
    """Which colours of label maps stand for which classes.

    Attributes:
        classes: a row for each colour; several may stand for one class.
        other: what pixels of all other colours count as, from 0 to 255; None: they are refused.
        nearest: whether they count as the class of the nearest colour, by squared distance, whatever `other` is.
    """

    classes: tuple[ClassColor, ...]
    other: int | None = None
    nearest: bool = False

    def __post_init__(self) -> None:
        rows = tuple(tuple(row) for row in self.classes)
        if wrong := [row for row in rows if not is_class_color(row)]:
            raise ValueError(f"each row must be {CLASS_COLOR}, not {list(wrong[0])!r:.60}")
        if not rows:
            raise ValueError("must have one row at least")
        if self.other is not None and not _is_byte(self.other):
            raise ValueError(f"what other colours count as must be from 0 to 255, not {self.other!r:.60}")
        owners: dict[tuple[int, ...], int] = {}
        for number, *colour in rows:
            if owners.setdefault(tuple(colour), number) != number:
                twice = f"{owners[tuple(colour)]} and {number}"
                raise ValueError(f"the colour {str(colour)[1:-1]} stands for two classes, {twice}")
        object.__setattr__(self, "classes", tuple(dict.fromkeys(rows)))

    @property
    def numbers(self) -> set[int]:
        """All numbers that pixels can become."""
        return {row[0] for row in self.classes} | (set() if self.other is None else {self.other})


def is_class_color(row: Sequence[object]) -> bool:
    """Whether a row is a `ClassColor`."""
    return len(row) == 4 and all(map(_is_byte, row))


def _is_byte(value: object) -> bool:
    return type(value) is int and 0 <= value <= 255


def is_range(low: float, high: float) -> bool:
    """Whether two numbers can be the least and the greatest value of images: float32 must tell them apart."""
    try:
        least, greatest = struct.unpack("2f", struct.pack("2f", low, high))
    except OverflowError:
        return False
    return bool(least < greatest) and math.isfinite(greatest - least)
