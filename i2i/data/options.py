"""Options of transforms. They need no NumPy and no OpenCV, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from i2i.api import Config

Chance = Annotated[float, Field(ge=0, le=1)]


class AugmentConfig(Config):
    """Augmentation of training samples; chances are for each sample."""

    flip: Chance = 0.5
    """Chance of a left-right flip."""
    vertical_flip: Chance = 0.0
    """Chance of an upside-down flip."""
    rotate90: Chance = 0.0
    """Chance of a rotation by a random multiple of 90 degrees, or of 180 for crops that are not square."""
    brightness: Chance = 0.0
    """Largest change of brightness, as a share of the full range; half of the samples are changed."""
    contrast: Chance = 0.0
    """Largest relative change of contrast; half of the samples are changed."""
