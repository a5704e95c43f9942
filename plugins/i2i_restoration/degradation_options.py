"""Options of the degradations. They need no NumPy and no OpenCV, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

import i2i

Chance = Annotated[float, Field(ge=0, le=1)]


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= limits[0] <= limits[1]:
        raise ValueError(f"the lower of two limits comes first and is not negative, got {limits[0]}, {limits[1]}")
    return limits


def _share(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 < limits[0] <= limits[1] <= 1:
        raise ValueError(f"shares are above 0 and at most 1, the lower one first, got {limits[0]}, {limits[1]}")
    return limits


def _counted(limits: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= limits[0] <= limits[1] <= 100:
        raise ValueError(f"counts are from 1 to 100, the lower one first, got {limits[0]}, {limits[1]}")
    return limits


Limits = Annotated[tuple[float, float], AfterValidator(_ordered)]
Shares = Annotated[tuple[float, float], AfterValidator(_share)]
Counts = Annotated[tuple[int, int], AfterValidator(_counted)]


class HolesConfig(i2i.Config):
    """Holes: each kind is drawn with its chance, and what several cover is one hole. Limits are of uniform draws."""

    box: Chance = 1.0
    """Chance of a box."""
    box_size: Shares = (0.375, 0.5)
    """Its height and its width, as shares of the image's."""
    strokes: Chance = 1.0
    """Chance of free-form strokes (Yu et al. 2019, algorithm 1)."""
    stroke_count: Counts = (1, 3)
    """Number of strokes."""
    stroke_vertices: Counts = (4, 11)
    """Straight parts of a stroke."""
    stroke_width: Shares = (0.046875, 0.15625)
    """Width of a stroke as a share of the image's shorter side: 12 to 40 of 256 pixels."""
    given: Chance = 0.0
    """Chance of a mask out of `folder`, mirrored at random and resized to the image; white is the hole."""
    folder: str | None = None
    """Folder of given masks, searched through for images."""

    @model_validator(mode="after")
    def _has_holes(self) -> Self:
        if not self.box + self.strokes + self.given:
            raise ValueError("one of box, strokes and given must be above 0")
        if self.given and self.folder is None:
            raise ValueError("given masks need a folder")
        return self


class NoiseConfig(i2i.Config):
    """Gaussian noise, independent in all pixels."""

    sigma: Limits = (0.0, 55.0)
    """Limits of its standard deviation, white being 255; one is drawn for each image (Zhang et al. 2017, DnCNN-B)."""
    grey: Chance = 0.0
    """Chance that all channels get the same noise."""


class BlurConfig(i2i.Config):
    """Blur of one kernel for the whole image, and a little noise."""

    motion: Chance = 0.5
    """Chance of motion blur, along a line of any direction; else the blur is Gaussian."""
    length: Limits = (3.0, 21.0)
    """Limits of the line's length in pixels."""
    sigma: Limits = (0.5, 3.0)
    """Limits of the Gaussian's standard deviation in pixels."""
    noise: Limits = (0.0, 2.0)
    """Limits of the standard deviation of Gaussian noise on top, white being 255."""
