"""Types of single values of a configuration: numbers, sizes and ranges."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

from i2i.kinds import is_range

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Size = int | tuple[int, int]
"""Side of a square, or height and width, in pixels."""


def _number_or_auto(value: Any, number: ValidatorFunctionWrapHandler) -> int:
    return 0 if value == "auto" else number(value)


Images = Annotated[Positive, WrapValidator(_number_or_auto), PlainSerializer(lambda number: number or "auto")]
"""A number from 1, or ``auto``, which is kept as 0 until memory has been measured."""


def _checked_sides(value: Any, checked: ValidatorFunctionWrapHandler) -> Size:
    if not isinstance(value, list | tuple):
        return checked(value)
    sides = tuple(checked(side) for side in value)
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise ValueError("must be a number of pixels, or [height, width]")
    return sides[0] if sides[0] == sides[1] else sides


Side = Annotated[int, Field(ge=4, le=16384)]
LoadSide = Annotated[int, Field(ge=4, le=32768)]
CropSize = Annotated[Side | tuple[Side, Side], WrapValidator(_checked_sides)]
LoadSize = Annotated[LoadSide | tuple[LoadSide, LoadSide], WrapValidator(_checked_sides)]


def height_and_width(size: Size) -> tuple[int, int]:
    """Both sides of a size."""
    return size if isinstance(size, tuple) else (size, size)


def size_text(size: Size) -> str:
    """A size as the option ``data.size`` is written: ``256``, or ``[256,512]`` for a height and a width that differ."""
    height, width = height_and_width(size)
    return str(height) if height == width else f"[{height},{width}]"


Betas = tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]


_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")


def parse_range(text: str) -> tuple[float, float]:
    """The two numbers of a text ``LOW..HIGH``.

    Raises:
        ValueError: it is no such text, or LOW is not below HIGH.
    """
    found = _RANGE.fullmatch(text.replace(" ", ""))
    low, high = map(float, found.groups()) if found else (math.nan, math.nan)
    if not is_range(low, high):
        raise ValueError("must be auto, or two numbers LOW..HIGH such as 500..10000")
    return low, high


def _checked_range(text: str) -> str:
    if text != "auto":
        parse_range(text)
    return text


RangeText = Annotated[str, AfterValidator(_checked_range)]
"""``auto``, or ``LOW..HIGH`` in the units of the image files."""
BandNumbers = Annotated[tuple[Positive, ...], Field(min_length=1)]
