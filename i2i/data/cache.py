"""Decoded images kept in memory, up to a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from i2i.images import read_image, to_channels


class CachedReader:
    """Reads images and keeps the decoded pixels until the memory limit is reached.

    Cached images are never replaced by newer ones: training visits all images equally often, so a replacement would
    evict an image that is needed sooner. Loader processes that are forked share the images read before.

    Args:
        limit_mb: memory for pixels, in MiB; 0 turns the cache off.
        any_range: whether floats outside of [0, 1] are read.
    """

    def __init__(self, limit_mb: int, *, any_range: bool = False) -> None:
        self._any_range = any_range
        self._free_bytes = limit_mb * 2**20
        self._images: dict[Path, np.ndarray] = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_images": {}}  # for processes that are not forked, sending them costs more than decoding

    def __call__(self, path: Path) -> np.ndarray:
        """Pixels ``(H, W, C)``, C in 1, 3, 4 (alpha last), uint8, uint16 or float32; not to be written to.

        Raises:
            DataError: the file cannot be read as an image.
        """
        if path in self._images:
            return self._images[path]
        picture = read_image(path, any_range=self._any_range)
        pixels = picture.pixels
        if picture.alpha is not None:
            pixels = to_channels(pixels, 4, picture.alpha)
        pixels.setflags(write=False)
        if pixels.nbytes <= self._free_bytes:
            self._free_bytes -= pixels.nbytes
            self._images[path] = pixels
        return pixels
