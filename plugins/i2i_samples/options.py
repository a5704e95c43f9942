"""Options of the sample sets. They need no NumPy and no OpenCV, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import i2i

VALIDATION_START = 1_000_000
"""Index of the first validation sample, far from any training sample."""

Count = Annotated[int, Field(ge=1, le=VALIDATION_START, description="Training samples.")]
ValidationCount = Annotated[int, Field(ge=1, le=VALIDATION_START, description="Validation samples.")]
Size = Annotated[int, Field(ge=16, description="Height and width of a picture, in pixels.")]
Seed = Annotated[int, Field(ge=0, description="Another seed draws other facades.")]


class DrawnConfig(i2i.Config):
    """How many samples are drawn, and how large; a set that has other defaults overrides them."""

    count: Count = 160
    val_count: ValidationCount = 24
    size: Size = 128
    seed: Seed = 0


class FacadesConfig(DrawnConfig):
    """How many facades are drawn, how large, and what the label maps hold."""

    numbers: bool = False
    """Label maps hold the numbers of the 20 classes, in the order of the palette, instead of their colours."""
    instances: bool = False
    """Give a map of the facade's parts too, each with a number of its own, under the key instance."""


class DayNightConfig(DrawnConfig):
    """How many facades are drawn by day, and as many others by night, and how large."""

    size: Size = 64


class StylesConfig(DrawnConfig):
    """How many facades are drawn, a quarter of them in each style, and how large."""

    count: Count = 400
    val_count: ValidationCount = 40
    size: Size = 32


class TintsConfig(DrawnConfig):
    """How many facades are drawn, each in a colour of its own, and how large."""

    count: Count = 400
    size: Size = 64


class TintedStylesConfig(DrawnConfig):
    """How many facades are drawn, a third of them in each style, and how large."""

    count: Count = 400
    val_count: ValidationCount = 42
    size: Size = 32


class PicturesConfig(DrawnConfig):
    """How many pictures are drawn, and how large."""
