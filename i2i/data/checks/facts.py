"""What is known about an image file once it has been decoded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from i2i.errors import DataError, ErrorKind

Colour = tuple[float, ...]

_MIN_WIDTH = 4
"""Pixels; a half of a narrower image has too few columns for a row of it to be constant or not."""

_PASSING = frozenset({ErrorKind.OUT_OF_MEMORY, ErrorKind.UNREADABLE, ErrorKind.MISSING})
"""Failures that are not the file's own: it may well be read the next time."""


@dataclass(frozen=True)
class ImageFacts:
    """What decoding an image file has shown.

    Attributes:
        problem: why the file cannot be used, without its name; empty if it can.
        kind: the same for code.
        shape: (height, width, channels); zeros if the file cannot be used.
        dtype: ``uint8``, ``uint16`` or ``float32``; empty if the file cannot be used.
        left: colour of the left half, if all its pixels have one; the left half of a side-by-side pair is its image A.
        right: the same of the right half.
        digest: hash of shape, type and pixels; equal for the same picture in two lossless formats.
    """

    problem: str = ""
    kind: ErrorKind = ErrorKind.OTHER
    shape: tuple[int, int, int] = (0, 0, 0)
    dtype: str = ""
    left: Colour | None = None
    right: Colour | None = None
    digest: str = ""

    @classmethod
    def of_pixels(cls, pixels: np.ndarray) -> ImageFacts:
        """The facts of a decoded image ``(H, W, C)``."""
        middle = pixels.shape[1] // 2
        return cls(
            shape=(pixels.shape[0], pixels.shape[1], pixels.shape[2]),
            dtype=str(pixels.dtype),
            left=single_colour(pixels[:, :middle]),
            right=single_colour(pixels[:, middle:]),
            digest=digest(pixels),
        )

    @classmethod
    def of_failure(cls, error: DataError) -> ImageFacts:
        """The facts of a file that cannot be read."""
        return cls(error.reason, error.kind)

    @property
    def lasting(self) -> bool:
        """Whether reading the unchanged file again would show the same."""
        return not self.problem or self.kind not in _PASSING

    def stand_in(self) -> np.ndarray | None:
        """An array of the image's shape and type that takes no memory of its own, in place of the pixels.

        Each of its halves is constant where the image's is. None for an image that is too narrow for that.
        """
        _, width, channels = self.shape
        if width < _MIN_WIDTH:
            return None
        row = np.zeros((1, width, channels), self.dtype)
        row[:, 1::2] = 1
        if self.left is not None:
            row[:, : width // 2] = self.left
        if self.right is not None:
            row[:, width // 2 :] = self.right
        return np.broadcast_to(row, self.shape)


def single_colour(pixels: np.ndarray) -> Colour | None:
    """The colour of all pixels ``(H, W, C)``, if they have one and the same."""
    if not pixels.size or (pixels[0] != pixels[0, 0]).any() or (pixels != pixels[0, 0]).any():
        return None
    return tuple(pixels[0, 0].tolist())


def digest(pixels: np.ndarray) -> str:
    """Hash of shape, type and values of an array."""
    value = hashlib.blake2b(f"{pixels.shape}{pixels.dtype}".encode(), digest_size=16)
    value.update(np.ascontiguousarray(pixels).data.cast("B"))
    return value.hexdigest()
