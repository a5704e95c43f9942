"""Options of the degradations. They need no NumPy and no OpenCV, so that tables of components are had at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

import i2i

Chance = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= limits[0] <= limits[1]:
        raise ValueError(f"the lower of two limits comes first and is not negative, got {limits[0]}, {limits[1]}")
    return limits


def _around_one(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 < limits[0] <= 1 <= limits[1]:
        raise ValueError(f"the limits are above 0 and have 1 between them, got {limits[0]}, {limits[1]}")
    return limits


def _odd_sizes(limits: tuple[int, int]) -> tuple[int, int]:
    if not 3 <= limits[0] <= limits[1] <= 99 or not limits[0] % 2 or not limits[1] % 2:
        raise ValueError(f"the limits are odd numbers from 3 to 99, got {limits[0]}, {limits[1]}")
    return limits


def _qualities(limits: tuple[float, float]) -> tuple[float, float]:
    if not 1 <= limits[0] <= limits[1] <= 100:
        raise ValueError(f"JPEG qualities are from 1 to 100, got {limits[0]}, {limits[1]}")
    return limits


def _some_positive(weights: tuple[float, float, float]) -> tuple[float, float, float]:
    if not sum(weights) > 0:
        raise ValueError("one of the three must be above 0")
    return weights


Limits = Annotated[tuple[float, float], AfterValidator(_ordered)]
AroundOne = Annotated[tuple[float, float], AfterValidator(_around_one)]
Weights = Annotated[tuple[Weight, Weight, Weight], AfterValidator(_some_positive)]


class BicubicConfig(i2i.Config):
    """Bicubic shrinking has no options."""


class StageConfig(i2i.Config):
    """One round of degradation; limits are of uniform distributions, the defaults those of the first round."""

    blur: Chance = 1.0
    """Chance of blur; the second round has 0.8."""
    kernel_size: Annotated[tuple[int, int], AfterValidator(_odd_sizes)] = (7, 21)
    """Limits of the blur kernel's height and width in pixels; odd numbers are drawn."""
    sinc: Chance = 0.1
    """Chance that the kernel is a sinc filter, which leaves ringing; else it is one of the next three."""
    kernels: Weights = (0.7, 0.15, 0.15)
    """How often the kernel is Gaussian, generalised Gaussian and plateau-shaped, relative to each other."""
    anisotropic: tuple[Chance, Chance, Chance] = (0.25 / 0.7, 0.2, 0.2)
    """Chance, for each of these three, that it has two widths and any angle."""
    sigma: Limits = (0.2, 3.0)
    """Standard deviation of the kernel in pixels; the second round has 0.2 to 1.5."""
    generalized_beta: AroundOne = (0.5, 4.0)
    """Shape of the generalised Gaussian: below 1 in one half of the draws, above it in the other."""
    plateau_beta: AroundOne = (1.0, 2.0)
    """Shape of the plateau kernel: below 1 in one half of the draws, above it in the other."""
    resize: Weights = (0.2, 0.7, 0.1)
    """How often the image is enlarged, shrunk and kept, relative to each other; the second round has 0.3, 0.4, 0.3."""
    resize_range: AroundOne = (0.15, 1.5)
    """Smallest and largest factor of resizing; the second round has 0.3 to 1.2 of the final size."""
    gaussian: Chance = 0.5
    """Chance that the noise is Gaussian; else it is Poisson noise, which grows with brightness."""
    gaussian_sigma: Limits = (1.0, 30.0)
    """Standard deviation of Gaussian noise, white being 255; the second round has 1 to 25."""
    poisson_scale: Limits = (0.05, 3.0)
    """Factor of Poisson noise: white is as many photons as the image has levels; the second round has 0.05 to 2.5."""
    grey: Chance = 0.4
    """Chance that all channels get the same noise."""
    jpeg: Annotated[tuple[float, float], AfterValidator(_qualities)] = (30.0, 95.0)
    """Limits of the JPEG quality, which need not be an integer."""

    @field_validator("sigma")
    @classmethod
    def _positive(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if limits[0] <= 0:
            raise ValueError("standard deviations are above 0")
        return limits


_SECOND: dict[str, Any] = {
    "blur": 0.8,
    "sigma": (0.2, 1.5),
    "resize": (0.3, 0.4, 0.3),
    "resize_range": (0.3, 1.2),
    "gaussian_sigma": (1.0, 25.0),
    "poisson_scale": (0.05, 2.5),
}
"""Options of the second round whose defaults differ from those of the first."""


class RealConfig(i2i.Config):
    """Options of the second-order degradation."""

    sharpen: bool = False
    """Begin with the sharpened target, as Real-ESRGAN does, whose losses also compare with it."""
    first: StageConfig = StageConfig()
    """The first round: blur, resizing, noise, JPEG."""
    second: StageConfig = StageConfig(**_SECOND)
    """The second round; its JPEG comes before or after the last resizing."""
    final_sinc: Chance = 0.8
    """Chance of a sinc filter at the last resizing, for ringing and overshoot."""

    @field_validator("second", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        return _SECOND | dict(value) if isinstance(value, Mapping) else value
