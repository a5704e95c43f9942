"""WebP: lengths and sizes are checked here, Pillow decodes and encodes."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
from PIL import WebPImagePlugin  # noqa: F401 - importing it is what makes Pillow know the format

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Extras, Format, Limits, OpenedImage
from i2i.images.formats.limits import refuse_implausible, refuse_size, refuse_too_few_bytes
from i2i.images.formats.pillow import encode_by_pillow, open_by_pillow, opened_by_pillow

_VP8_PIXELS = 700  # that a byte can hold: the prediction modes of 16 x 16 pixels take 3.4 bits or more


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    _check(file, limits.max_pixels)
    return opened_by_pillow(open_by_pillow(file, "WEBP", limits), lossless=_is_lossless(file))


def _check(file: BinaryIO, max_pixels: int) -> None:
    """Raises FileError where the file is shorter than it says, too large, or promises more than it can hold."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(30)
    if len(start) < 30 or int.from_bytes(start[4:8], "little") + 8 > size:
        raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the WebP is missing")
    kind = start[12:16]
    if kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", start, 26))
    elif kind == b"VP8L":
        packed = struct.unpack_from("<I", start, 21)[0]
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    refuse_size(width, height, max_pixels)
    if kind == b"VP8 ":
        refuse_implausible(width * height, size * _VP8_PIXELS)
    refuse_too_few_bytes(width * height, size)


def _is_lossless(file: BinaryIO) -> bool:
    """Whether the picture, or the first frame, of a file that was checked is coded without loss."""
    place = 12
    for _ in range(100):  # a few chunks come before the picture
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[:4] in (b"VP8 ", b"VP8L"):
            return head[:4] == b"VP8L"
        # a frame (ANMF) has 16 bytes of its own, and then the same chunks
        place += 24 if head[:4] == b"ANMF" else 8 + (int.from_bytes(head[4:], "little") + 1) // 2 * 2
    return False


def _encode(pixels: np.ndarray, extras: Extras) -> bytes:
    # Method 2, as Pillow's own (4) takes three times as long for half a decibel. Exact: the colours under full
    # transparency stay.
    quality = {"lossless": True} if extras.lossless else {"quality": 95}
    return encode_by_pillow("WEBP", pixels, extras, method=2, exact=True, **quality)


WEBP = Format(
    name="WEBP",
    endings=(".webp",),
    matches=lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP",
    open=_open,
    encoders=(
        Encoder("WEBP", (".webp",), _encode, channels=(1, 3, 4), dtypes=("uint8",), max_side=16_383, stores_grey=False),
    ),
)
