"""PBM, PGM, PPM (plain and binary) and PFM, by numpy.

Pillow takes most of a minute for large plain files, and cannot write colour of 16 bits.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Extras, Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_size

_HEADER_BYTES = 65_536  # as many as may be comments
_FIELD = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([+-]?[0-9.eE+-]+)")
_COMMENT = re.compile(rb"#[^\n\r]*")


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    header = _header(file)
    refuse_size(header.width, header.height, limits.max_pixels)
    return OpenedImage(header.width, header.height, header.channels, header.bits, decode=lambda: _decode(file, header))


@dataclass(frozen=True)
class _Header:
    """What stands before the data.

    Attributes:
        kind: ``1`` to ``3`` plain, ``4`` to ``6`` binary (bits, grey, colour), ``f`` and ``F`` floats (grey, colour).
        width: in pixels.
        height: in pixels.
        maximum: the value that stands for full scale; for floats, whose byte order is little endian if it is below 0,
            it is not applied.
        start: where the data begin.
    """

    kind: str
    width: int
    height: int
    maximum: float
    start: int

    @property
    def channels(self) -> int:
        """1 for grey and bits, 3 for colour."""
        return 3 if self.kind in "36F" else 1

    @property
    def bits(self) -> int:
        """Bits a channel when decoded: 8, 16, or 32 for floats."""
        return 32 if self.kind in "fF" else 16 if self.maximum > 255 else 8

    @property
    def stored_full(self) -> int:
        """What `Frame.stored_full` says; of bits, which are 0 for white, 1 as numpy has them: True is white."""
        full = int(self.maximum)
        return 0 if self.bits == 32 or full in (255, 65535) else full


def _matches(start: bytes) -> bool:
    """Whether a file begins with one of the formats' numbers and a space or comment."""
    return (
        len(start) > 2
        and start[:1] == b"P"
        and start[1:2] in b"123456fF"
        and (start[2:3].isspace() or start[2:3] == b"#")
    )


def _header(file: BinaryIO) -> _Header:
    """Reads the header and makes sure that the data behind it can be complete.

    Raises:
        FileError: it is damaged or the file too short.
    """
    file.seek(0)
    data = file.read(_HEADER_BYTES)
    kind, position, fields = data[1:2].decode(), 2, []
    for _ in range(2 if kind in "14" else 3):
        found = _FIELD.match(data, position)
        if found is None:
            raise FileError(ErrorKind.DAMAGED, "damaged: the header of the PNM file is not whole")
        try:
            fields.append(float(found[1]))
        except ValueError:
            raise FileError(ErrorKind.DAMAGED, "damaged: the header of the PNM file") from None
        position = found.end()
    width, height, maximum = (*fields, 1.0)[:3]
    if min(width, height) < 1 or max(width, height) > 2**31 or width % 1 or height % 1:
        raise FileError(ErrorKind.DAMAGED, "damaged: a PNM file without a size")
    if (kind not in "fF" and not 1 <= maximum <= 65535) or not np.isfinite(maximum) or maximum == 0:
        raise FileError(ErrorKind.DAMAGED, f"damaged: a PNM file with the largest value {maximum:g}")
    header = _Header(kind, int(width), int(height), maximum, position + 1)
    if file.seek(0, io.SEEK_END) - header.start < _min_bytes(header):
        raise FileError(ErrorKind.CUT_OFF, "cut off: the data of the PNM file are not all there")
    return header


def _min_bytes(header: _Header) -> int:
    values = header.width * header.height * header.channels
    if header.kind == "4":
        return (header.width + 7) // 8 * header.height
    if header.kind in "123":
        return values if header.kind == "1" else 2 * values - 1
    return values * header.bits // 8


def _decode(file: BinaryIO, header: _Header) -> Iterator[Frame]:
    yield Frame(_pixels(file, header), stored_full=header.stored_full)


def _pixels(file: BinaryIO, header: _Header) -> np.ndarray:
    """Pixels ``(H, W, 1 or 3)``: uint8, uint16 or float32, the largest value being full scale."""
    shape = (header.height, header.width, header.channels)
    file.seek(header.start)
    if header.kind in "123":
        values = _plain(file.read(), header)
    elif header.kind == "4":
        rows = np.frombuffer(file.read(_min_bytes(header)), np.uint8).reshape(header.height, -1)
        values = np.unpackbits(rows, axis=1)[:, : header.width]
    else:
        code = {8: "u1", 16: ">u2", 32: "<f4" if header.maximum < 0 else ">f4"}[header.bits]
        values = np.frombuffer(file.read(_min_bytes(header)), code)
    values = values.reshape(shape)
    if header.bits == 32:  # rows from the bottom up
        return np.ascontiguousarray(values[::-1]).astype(np.float32)
    if header.kind in "14":
        return ((1 - values) * 255).astype(np.uint8)
    full, maximum = (65535 if header.bits == 16 else 255), int(header.maximum)
    if values.max(initial=0) > maximum:
        raise FileError(ErrorKind.DAMAGED, f"damaged: a value above the largest value {maximum}")
    if maximum == full:
        return values.astype(np.uint16 if header.bits == 16 else np.uint8)
    scaled = (values.astype(np.uint32) * full + maximum // 2) // maximum
    return scaled.astype(np.uint16 if header.bits == 16 else np.uint8)


def _plain(text: bytes, header: _Header) -> np.ndarray:
    text = _COMMENT.sub(b" ", text)
    count = header.width * header.height * header.channels
    if header.kind == "1":  # digits may stand without spaces
        digits = np.frombuffer(text, np.uint8)
        digits = digits[~np.isin(digits, np.frombuffer(b" \t\n\r\v\f", np.uint8))][:count]
        if len(digits) == count and np.isin(digits, (48, 49)).all():
            return digits - 48
    else:
        words = text.split(None, count)[:count]
        if len(words) == count and all(map(bytes.isdigit, words)) and max(map(len, words)) < 10:
            return np.array(words, dtype="S").astype(np.int64)
    raise FileError(
        ErrorKind.CUT_OFF, "cut off or damaged: the plain PNM file does not hold as many numbers as it should"
    )


def _encode(pixels: np.ndarray, extras: Extras) -> bytes:
    (height, width, channels), maximum = pixels.shape, np.iinfo(pixels.dtype).max
    head = f"P{5 if channels == 1 else 6}\n{width} {height}\n{maximum}\n".encode()
    return head + pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).tobytes()


def _encode_floats(pixels: np.ndarray, extras: Extras) -> bytes:
    """Grey PFM: little-endian floats, the bottom row first."""
    height, width = pixels.shape[:2]
    return f"Pf\n{width} {height}\n-1.0\n".encode() + pixels[::-1].astype("<f4").tobytes()


_INTEGERS = ("uint8", "uint16")

PNM = Format(
    name="PPM",
    endings=(".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    matches=_matches,
    open=_open,
    encoders=(
        Encoder("PPM", (".ppm",), _encode, channels=(3,), dtypes=_INTEGERS),
        Encoder("PPM", (".pgm",), _encode, channels=(1,), dtypes=_INTEGERS),
        Encoder("PPM", (".pnm",), _encode, channels=(1, 3), dtypes=_INTEGERS),
        Encoder("PFM", (".pfm",), _encode_floats, channels=(1,), dtypes=("float32",)),  # few readers know colour PFM
    ),
)
