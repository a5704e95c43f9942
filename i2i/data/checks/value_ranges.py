"""The ranges of values of source and target images: as configured, measured, and refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from i2i.config import DataConfig, parse_range
from i2i.errors import ConfigError, DataError
from i2i.images import ValueRange
from i2i.images.values import bounds_text, deepest

SIDES = ("source", "target")
"""Keys of a sample whose images may have a range."""
MAX_OVERSHOOT = 1e-3
"""How far floats may lie beyond [0, 1] without a range; filters leave that much."""


@dataclass
class ImageType:
    """What the images under one key of the samples have in common.

    Attributes:
        dtype: the deepest type of all images; empty if the values are no images.
        extremes: least and greatest value of all images, without alpha.
        heights: least and greatest height in pixels; None without images.
        widths: least and greatest width in pixels.
        channels: the numbers of channels that there are, alpha among them.
    """

    dtype: str = ""
    extremes: tuple[float, float] | None = None
    heights: tuple[int, int] | None = None
    widths: tuple[int, int] | None = None
    channels: frozenset[int] = frozenset()

    def add(self, dtype: str, extremes: tuple[float, float] | None, shape: tuple[int, ...]) -> None:
        """Widens type, values and sizes to those of one more image of that shape, (height, width, channels)."""
        self.dtype = deepest([self.dtype or dtype, dtype])
        height, width, channels = shape
        short, tall = self.heights or (height, height)
        self.heights = min(short, height), max(tall, height)
        narrow, wide = self.widths or (width, width)
        self.widths = min(narrow, width), max(wide, width)
        self.channels |= {channels}
        if extremes is not None:
            low, high = self.extremes or extremes
            self.extremes = min(low, extremes[0]), max(high, extremes[1])


def configured_range(config: DataConfig, key: str) -> str | None:
    """The option ``data.source_range`` or ``data.target_range``; None for other keys and where it is not set."""
    return getattr(config, f"{key}_range") if key in SIDES else None


def range_problem(config: DataConfig, key: str, dtype: str, extremes: tuple[float, float]) -> str:
    """Why an image cannot be used: it has floats beyond [0, 1], and no range says what they mean; else empty.

    Args:
        config: the data section.
        key: ``source`` or ``target``.
        dtype: type of the image's values.
        extremes: least and greatest value of the image.
    """
    low, high = extremes
    within = low >= -MAX_OVERSHOOT and high <= 1 + MAX_OVERSHOOT
    if dtype != "float32" or within or key not in SIDES or configured_range(config, key):
        return ""
    return f"float values from {low:.4g} to {high:.4g}: set data.{key}_range=auto, or scale them to [0, 1]"


def value_ranges(config: DataConfig, types: Mapping[str, ImageType]) -> dict[str, ValueRange]:
    """The range of each key of the samples that holds images, ``auto`` replaced by what was measured.

    A source that is made out of the target has the target's range.

    Args:
        config: the data section.
        types: what the images of each key have in common.

    Raises:
        ConfigError: a range is set for a key that no sample has.
        DataError: a range is to be measured, and all values are equal.
    """
    found = {}
    for key, images in types.items():
        if images.dtype:
            found[key] = ValueRange(images.dtype, _bounds(key, configured_range(config, key), images))
    for key in SIDES:
        if key not in found and configured_range(config, key):
            made = " (it is made out of the target: set data.target_range)" if config.degrade else ""
            raise ConfigError(f"data.{key}_range is set, but the samples have no {key}{made}")
    if config.degrade and "target" in found:
        found.setdefault("source", found["target"])
    return found


def with_ranges(config: DataConfig, values: Mapping[str, ValueRange]) -> DataConfig:
    """The data section with the measured range in the place of ``auto``."""
    measured = {
        f"{key}_range": values[key].text for key in SIDES if configured_range(config, key) == "auto" and key in values
    }
    return config.model_copy(update=measured)


def _bounds(key: str, text: str | None, images: ImageType) -> tuple[float, float] | None:
    if text is None:
        return None
    if text != "auto":
        return parse_range(text)
    low, high = images.extremes or (0.0, 0.0)
    if low == high:
        raise DataError(f"data.{key}_range=auto: all values of the {key}s are {low:g}, which is no range")
    return parse_range(bounds_text(low, high))  # as the run's configuration will have it
