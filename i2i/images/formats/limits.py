"""Refusing by size: whether a file's data can be what its header says, asked before anything is decoded."""

from __future__ import annotations

from i2i.errors import ErrorKind, FileError

_HARMLESS_PIXELS = 1 << 22  # so few cost nothing even if the header lies
_MAX_PIXELS_PER_BYTE = 16_384  # WebP and AVIF of a single colour come close


def refuse_size(width: int, height: int, max_pixels: int) -> None:
    """Raises FileError where an image has more pixels than the limit, or none at all."""
    if width < 1 or height < 1:
        raise FileError(ErrorKind.DAMAGED, "damaged: an image without a size")
    if width * height > max_pixels:
        raise FileError(ErrorKind.TOO_LARGE, f"{width} x {height} pixels are more than the limit of {max_pixels}")


def refuse_implausible(pixels: int, possible: float) -> None:
    """Raises FileError where a header promises more pixels than its data can hold.

    Args:
        pixels: width times height as in the header, or the bytes of all pixels.
        possible: the most that the data can hold, in the same unit.
    """
    if pixels > max(possible, _HARMLESS_PIXELS):
        raise FileError(
            ErrorKind.IMPLAUSIBLE, "damaged or a bomb: the header promises more pixels than the data can hold"
        )


def refuse_too_few_bytes(pixels: int, size: int) -> None:
    """Raises FileError where a header promises more pixels than any compression packs into a file of that size.

    Args:
        pixels: width times height as in the header.
        size: bytes of the file.
    """
    refuse_implausible(pixels, max(size * _MAX_PIXELS_PER_BYTE, 4 * _HARMLESS_PIXELS))
