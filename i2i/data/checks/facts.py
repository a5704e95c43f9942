"""Facts about an image file, known after decoding it once."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from i2i.data.reading.cache import DecodedFile
from i2i.errors import DataError, ErrorKind
from i2i.images.values import colours, extremes

Colour = tuple[float, ...]

_MIN_WIDTH = 4
"""Pixels: in a narrower image a half has a single column, and cannot be made to have two colours."""

_MAX_COLOURS, _MAX_GREYS = 256, 64
_MIN_PIXELS_A_VALUE = 16
_PROBED = (512, 16_384)
"""Pixels that are looked at, first a few: most images have too many values among these already."""

_TRANSIENT = frozenset({ErrorKind.OUT_OF_MEMORY, ErrorKind.UNREADABLE, ErrorKind.MISSING, ErrorKind.OUT_OF_RANGE})
"""Failures that may be gone the next time: they are not caused by the content of the file, or options allow it."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What decoding an image file has shown.

    Attributes:
        problem: why the file cannot be used, without its name; empty if it can.
        kind: kind of that problem, for code.
        shape: (height, width, channels); zeros if the file cannot be used.
        dtype: ``uint8``, ``uint16`` or ``float32``; empty if the file cannot be used.
        left: colour of the left half (image A of a side-by-side pair) if all its pixels are equal; else None.
        right: colour of the right half (image B of a side-by-side pair) if all its pixels are equal; else None.
        left_extremes: least and greatest value of the left half, without alpha; None if the file cannot be used.
        right_extremes: least and greatest value of the right half.
        digest: hash of shape, type and pixels; equal for the same picture in two lossless formats.
        has_alpha: whether the last channel is alpha.
        frames: frames or pages in the file.
        labels: whether it was read as a label map.
        few: how many different values, or colours, there are in the image, its left and its right half, if these are
            as few as in label maps; else 0.
    """

    problem: str = ""
    kind: ErrorKind = ErrorKind.OTHER
    shape: tuple[int, int, int] = (0, 0, 0)
    dtype: str = ""
    left: Colour | None = None
    right: Colour | None = None
    left_extremes: tuple[float, float] | None = None
    right_extremes: tuple[float, float] | None = None
    digest: str = ""
    has_alpha: bool = False
    frames: int = 1
    labels: bool = False
    few: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def of_file(cls, decoded: DecodedFile) -> ImageFacts:
        """The facts of a decoded file."""
        pixels = decoded.pixels
        middle = pixels.shape[1] // 2
        return cls(
            shape=(pixels.shape[0], pixels.shape[1], pixels.shape[2]),
            dtype=str(pixels.dtype),
            left=single_colour(pixels[:, :middle]),
            right=single_colour(pixels[:, middle:]),
            left_extremes=extremes(pixels[:, :middle], decoded.has_alpha),
            right_extremes=extremes(pixels[:, middle:], decoded.has_alpha),
            digest=digest(pixels),
            has_alpha=decoded.has_alpha,
            frames=decoded.frames,
            labels=decoded.labels,
            few=(few_values(pixels), few_values(pixels[:, :middle]), few_values(pixels[:, middle:])),
        )

    @classmethod
    def of_failure(cls, error: DataError, labels: bool = False) -> ImageFacts:
        """The facts of a file that cannot be read."""
        return cls(error.reason, error.kind, labels=labels)

    @property
    def lasting(self) -> bool:
        """Whether reading the unchanged file again would show the same."""
        return not self.problem or self.kind not in _TRANSIENT

    def stand_in(self) -> np.ndarray | None:
        """An array of the image's shape and type to use in place of its pixels; takes hardly any memory.

        Each half has the least and the greatest value of the image's half, and a single colour if that has. None for an
        image narrower than 4 pixels.
        """
        _, width, channels = self.shape
        if width < _MIN_WIDTH:
            return None
        row = np.zeros((1, width, channels), self.dtype)
        row[:, 1::2] = 1
        left, right = slice(0, width // 2), slice(width // 2, None)
        halves = (left, self.left, self.left_extremes), (right, self.right, self.right_extremes)
        for half, colour, values in halves:
            if values is not None:
                part = colours(row[:, half], self.has_alpha)
                part[:, ::2], part[:, 1::2] = values
            if colour is not None:
                row[:, half] = colour
        return np.broadcast_to(row, self.shape)


def single_colour(pixels: np.ndarray) -> Colour | None:
    """The colour of an image ``(H, W, C)`` if all its pixels are equal; else None."""
    if not pixels.size or (pixels[0] != pixels[0, 0]).any() or (pixels != pixels[0, 0]).any():
        return None
    return tuple(pixels[0, 0].tolist())


def few_values(pixels: np.ndarray) -> int:
    """How many different values, or colours, an image ``(H, W, C)`` of integers has; 0 for more than label maps have.

    That is more than 256 colours, as a palette has, more than 64 values of grey, which photographs may have, or more
    than one in 16 pixels. Of a large image some 16,000 pixels are looked at, evenly spread.
    """
    size, channels = pixels.shape[0] * pixels.shape[1], pixels.shape[2]
    most = min(_MAX_GREYS if channels == 1 else _MAX_COLOURS, size // _MIN_PIXELS_A_VALUE)
    if pixels.dtype.kind == "f" or channels > 4 or not most:
        return 0
    for probed in _PROBED:
        step = max(1, math.isqrt(size // probed))
        part = pixels[::step, ::step]
        packed = np.zeros(part.shape[:2], np.uint64)
        for channel in range(channels):
            packed = (packed << np.uint64(16)) | part[..., channel]
        ordered = np.sort(packed, axis=None)  # np.unique takes three times as long for so few
        found = 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))
        if found > most:
            return 0
    return found


def digest(pixels: np.ndarray) -> str:
    """Hash of shape, type and values of an array."""
    value = hashlib.blake2b(f"{pixels.shape}{pixels.dtype}".encode(), digest_size=16)
    value.update(np.ascontiguousarray(pixels).data.cast("B"))
    return value.hexdigest()
