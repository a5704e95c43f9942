"""Which bands of the images become channels of the networks' images, and which images do not have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from i2i.config import DataConfig
from i2i.errors import DataError, ErrorKind
from i2i.images.pixels import band_count


@dataclass(frozen=True)
class Bands:
    """What the images under one key have, and what the networks get of it.

    Attributes:
        key: key of the sample, such as ``source``.
        channels: channels of the networks' images.
        of: channels, alpha among them, that every image must have; 0: images are grey, RGB or RGBA and are converted.
        chosen: numbers from 1 of the channels that are taken, in this order; empty: all.
    """

    key: str
    channels: int
    of: int = 0
    chosen: tuple[int, ...] = ()

    def problem(self, channels: int, *, has_alpha: bool) -> str:
        """Why an image with that many channels cannot be used; empty if it can.

        Args:
            channels: of the image, alpha among them.
            has_alpha: whether the last one is alpha.
        """
        if self.of == channels or (not self.of and (channels in (1, 3) or (channels == 4 and has_alpha))):
            return ""
        there = band_count(channels)
        if self.chosen:
            return f"{there}; data.{self.key}_bands={list(self.chosen)} is chosen from {self.of}"
        some = list(range(1, min(self.channels, channels) + 1))
        some = some[::-1] if len(some) == 3 else some  # as red, green and blue stand in files of satellites
        return (
            f"{there}; the model takes {self.channels}: set data.{self.key}_channels={channels}, "
            f"or choose with data.{self.key}_bands={str(some).replace(' ', '')}"
        )

    def take(self, image: np.ndarray) -> np.ndarray:
        """The channels of an image ``(H, W, C)`` that the networks get; as it is where it is to be converted.

        Raises:
            DataError: it has another number of channels.
        """
        if problem := self.problem(image.shape[2], has_alpha=image.shape[2] == 4):
            raise DataError(problem, kind=ErrorKind.CHANNELS)
        return image[..., [number - 1 for number in self.chosen]] if self.chosen else image


def bands_of(config: DataConfig, key: str, images: Iterable[tuple[int, bool]]) -> Bands:
    """What is taken of the images under a key.

    Args:
        config: the data section.
        key: key of the sample, such as ``source``.
        images: of each checked image, of which there is one at least, the number of channels, alpha among them, and
            whether the last one is alpha.

    Raises:
        DataError: a band is chosen that the images do not have.
    """
    counted = Counter(images)
    asked, chosen = getattr(config, f"{key}_channels", None), getattr(config, f"{key}_bands", None) or ()
    usual, has_alpha = counted.most_common(1)[0][0]
    if chosen:
        if max(chosen) > usual:
            raise DataError(
                f"data.{key}_bands={list(chosen)}: the {key}s have {band_count(usual)}", kind=ErrorKind.CHANNELS
            )
        return Bands(key, len(chosen), usual, tuple(chosen))
    is_colour = usual in (1, 3) or (usual == 4 and has_alpha)
    if asked is None and not is_colour:
        return Bands(key, usual, usual)
    if asked is not None and (asked not in (1, 3, 4) or (asked == usual and not is_colour)):
        return Bands(key, asked, asked)
    if asked is None and config.alpha == "channel" and any(alpha for _, alpha in counted):
        return Bands(key, 4)
    return Bands(key, asked or (3 if any(channels > 1 for channels, _ in counted) else 1))
