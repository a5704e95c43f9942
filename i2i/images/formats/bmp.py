"""BMP: Pillow decodes and encodes but for palettes.

Pillow takes minutes for run lengths, and takes a grey palette of few colours for another number of bits. OpenCV reads
the second right, but not run lengths that jump to the end of a row (a delta), and fills up where an end comes early.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Extras, Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_implausible, refuse_too_few_bytes
from i2i.images.formats.pillow import channels_of, encode_by_pillow, open_by_pillow, opened_by_pillow

_MAX_CODE_BYTES = 1 << 24  # of run lengths; each code costs a step of Python


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    image = open_by_pillow(file, "BMP", limits)
    pixels, size, bits = image.width * image.height, file.seek(0, io.SEEK_END), _bits(file)
    channels = channels_of(image)
    if _has_runs(file):
        refuse_too_few_bytes(pixels, size)
        return opened_by_pillow(image, decode=lambda: _run_lengths(file, *image.size, channels))
    refuse_implausible(pixels, size * 8)
    if limits.thorough and size < _integer(file, 10, 4) + _min_bytes(*image.size, bits):
        raise FileError(ErrorKind.CUT_OFF, "cut off: the data of the BMP are not all there")
    if (image.mode == "1" and bits != 1) or (image.mode == "L" and bits != 8):
        return opened_by_pillow(image, decode=lambda: _by_opencv(file, image, channels))
    return opened_by_pillow(image)


def _bits(file: BinaryIO) -> int:
    """Bits a pixel."""
    return _integer(file, 24 if _integer(file, 14, 4) == 12 else 28, 2)


def _min_bytes(width: int, height: int, bits: int) -> int:
    """Bytes of the pixels: rows begin at multiples of 4 bytes, but some writers do not pad the last row."""
    return (width * bits + 31) // 32 * 4 * (height - 1) + (width * bits + 7) // 8


def _has_runs(file: BinaryIO) -> bool:
    return _integer(file, 14, 4) >= 40 and _integer(file, 30, 4) in (1, 2)


def _by_opencv(file: BinaryIO, image: Image.Image, channels: int) -> Iterator[Frame]:
    file.seek(0)
    pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None or pixels.shape[1::-1] != image.size:
        raise FileError(ErrorKind.DAMAGED, "damaged or of a kind that is not supported")
    yield Frame(pixels[..., ::-1][..., :channels])


def _run_lengths(file: BinaryIO, width: int, height: int, channels: int) -> Iterator[Frame]:
    """Decodes run lengths of 4 or 8 bits; pixels that they skip get the first colour of the palette.

    Raises:
        FileError: the data end too early.
    """
    bits, info = _bits(file), _integer(file, 14, 4)
    count = _integer(file, 46, 4) or 1 << bits
    file.seek(14 + info)
    stored = np.frombuffer(file.read(min(count, 256) * 4), np.uint8)
    table = np.zeros((256, 3), np.uint8)
    stored = stored[: len(stored) // 4 * 4].reshape(-1, 4)[:, 2::-1]
    table[: len(stored)] = stored
    file.seek(_integer(file, 10, 4))
    rows = _run_rows(file.read(_MAX_CODE_BYTES + 1), width, height, bits == 4)
    upward = _integer(file, 22, 4) < 2**31
    rows = rows[:: -1 if upward else 1]
    yield Frame(table[rows][..., :channels], indices=rows)


def _run_rows(codes: bytes, width: int, height: int, four_bits: bool) -> np.ndarray:
    """Indices ``(H, W)`` of the palette in the order of the file.

    Args:
        codes: the run lengths.
        width: of the image in pixels.
        height: of the image in pixels.
        four_bits: whether an index has 4 bits, not 8.
    """
    if len(codes) > _MAX_CODE_BYTES:
        raise FileError(ErrorKind.TOO_LARGE, "a BMP with run lengths of more than 16 MB is not read")
    rows = np.zeros((height, width), np.uint8)
    x = y = at = 0
    while at + 1 < len(codes) and y < height:
        count, value = codes[at], codes[at + 1]
        at += 2
        if count:
            run = _nibbles(bytes([value]) * (count // 2 + 1)) if four_bits else np.full(count, value, np.uint8)
            _put(rows[y], x, run, count)
            x += count
        elif value == 0:
            x, y = 0, y + 1
        elif value == 1:
            break
        elif value == 2:
            if at + 1 >= len(codes):
                break
            x, y, at = x + codes[at], y + codes[at + 1], at + 2
        else:
            length = (value + 1) // 2 if four_bits else value
            literal = codes[at : at + length]
            if len(literal) < length:
                break
            _put(rows[y], x, _nibbles(literal) if four_bits else np.frombuffer(literal, np.uint8), value)
            x, at = x + value, at + length + length % 2
    if y < height - 1 or (y == height - 1 and x < width):
        raise FileError(ErrorKind.CUT_OFF, "cut off: the codes of the BMP end too early")
    return rows


def _put(row: np.ndarray, x: int, values: np.ndarray, count: int) -> None:
    """Writes the first `count` values into a row from `x` on, as far as it goes."""
    room = max(0, min(count, len(row) - x))
    row[x : x + room] = values[:room]


def _nibbles(data: bytes) -> np.ndarray:
    """The upper and lower four_bits bits of each byte."""
    pairs = np.frombuffer(data, np.uint8)
    return np.stack([pairs >> 4, pairs & 15], axis=1).ravel()


def _integer(file: BinaryIO, at: int, size: int) -> int:
    file.seek(at)
    return int.from_bytes(file.read(size), "little")


def _encode(pixels: np.ndarray, extras: Extras) -> bytes:
    return encode_by_pillow("BMP", pixels, Extras())


BMP = Format(
    name="BMP",
    endings=(".bmp", ".dib"),
    matches=lambda start: start.startswith(b"BM"),
    open=_open,
    encoders=(Encoder("BMP", (".bmp",), _encode, channels=(1, 3), dtypes=("uint8",)),),
)
