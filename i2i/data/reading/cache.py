"""Decoded images kept in memory, up to a limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i2i.images import PagesRule, label_map, numbers_of_colors, read_image, read_stack
from i2i.images.errors import errors_about
from i2i.images.pixels import every_channel
from i2i.kinds import LabelColors


@dataclass(frozen=True)
class DecodedFile:
    """An image file as datasets get it.

    Attributes:
        pixels: ``(H, W, C)``, uint8, uint16 or float32; alpha last; not to be written to.
        has_alpha: whether the last channel is alpha.
        frames: frames or pages in the file.
        labels: whether it was read as a label map.
        format: name of the file's format, as `i2i.images.Picture` has it; empty for a stand-in.
    """

    pixels: np.ndarray
    has_alpha: bool = False
    frames: int = 1
    labels: bool = False
    format: str = ""


def color_advice(pixels: np.ndarray) -> str:
    """What to do about a colour of a label map ``(H, W, C)`` that stands for no class."""
    grey = ": a grey file may have the numbers of classes already: leave out data.label_colors then; else"
    begin = grey if pixels.shape[2] < 3 else ":"
    return f"{begin} add it to data.label_colors, or set data.label_ignore to what such pixels count as"


class CachedReader:
    """Reads images and keeps the decoded pixels until the memory limit is reached.

    Cached images are never replaced by newer ones: training visits all images equally often, so a replacement would
    evict an image that is needed sooner. Loader processes that are forked share the images read before.

    Args:
        limit_mb: memory for pixels, in MiB; 0 turns the cache off.
        any_range: whether floats outside of [0, 1] are read.
        pages: which pages of a file are read.
        colors: which colours of label maps stand for which classes; None: their numbers are taken.
    """

    def __init__(
        self,
        limit_mb: int,
        *,
        any_range: bool = False,
        pages: PagesRule = "first",
        colors: LabelColors | None = None,
    ) -> None:
        self._any_range, self._pages, self._colors = any_range, pages, colors
        self._free_bytes = limit_mb * 2**20
        self._images: dict[tuple[Path, bool], DecodedFile] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_images": {}}  # for processes that are not forked, sending them costs more than decoding

    def __call__(self, path: Path, labels: bool = False) -> DecodedFile:
        """The decoded file.

        Args:
            path: the image file.
            labels: whether it is a label map, as `i2i.images.label_map` gives it.

        Raises:
            DataError: the file cannot be read as an image, or as a label map.
        """
        if (path, labels) in self._images:
            return self._images[path, labels]
        picture = (read_stack if self._pages == "stack" else read_image)(path, any_range=self._any_range)
        if labels:
            with errors_about(path):
                if self._colors:
                    advice = color_advice(picture.pixels)
                    pixels = numbers_of_colors(picture.pixels, self._colors, advice, format=picture.format)
                else:
                    pixels = label_map(picture.pixels, picture.indices, stored_full=picture.stored_full)
        else:
            pixels = every_channel(picture.pixels, picture.alpha)
        pixels.setflags(write=False)
        decoded = DecodedFile(pixels, picture.alpha is not None and not labels, picture.frames, labels, picture.format)
        if pixels.nbytes <= self._free_bytes:
            self._free_bytes -= pixels.nbytes
            self._images[path, labels] = decoded
        return decoded
