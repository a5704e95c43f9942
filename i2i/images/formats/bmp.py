"""BMP with a palette, where Pillow takes minutes (run lengths) or misreads it (few greys)."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from PIL import Image

from i2i.errors import ErrorKind, FileError

_MOST_BYTES = 1 << 24  # of codes; each costs a step of Python


def is_misread(file: BinaryIO, image: Image.Image) -> bool:
    """Whether Pillow takes a grey palette of few colours for another number of bits."""
    bits = _bits(file)
    return (image.mode == "1" and bits != 1) or (image.mode == "L" and bits != 8)


def _bits(file: BinaryIO) -> int:
    return _integer(file, 24 if _integer(file, 14, 4) == 12 else 28, 2)


def has_runs(file: BinaryIO) -> bool:
    """Whether the BMP is one of run lengths."""
    return _integer(file, 14, 4) >= 40 and _integer(file, 30, 4) in (1, 2)


def indexed_pixels(file: BinaryIO, width: int, height: int) -> np.ndarray:
    """Pixels ``(H, W, 3)`` of a BMP of 4 or 8 bits; what run lengths jump over has the first colour of the palette.

    Raises:
        FileError: the data end too early.
    """
    bits, info = _bits(file), _integer(file, 14, 4)
    entry = 3 if info == 12 else 4
    count = (_integer(file, 46, 4) if info >= 40 else 0) or 1 << bits
    file.seek(14 + info)
    stored = np.frombuffer(file.read(min(count, 256) * entry), np.uint8)
    table = np.zeros((256, 3), np.uint8)
    stored = stored[: len(stored) // entry * entry].reshape(-1, entry)[:, 2::-1]
    table[: len(stored)] = stored
    if has_runs(file):
        file.seek(_integer(file, 10, 4))
        rows = _run_rows(file.read(_MOST_BYTES + 1), width, height, bits == 4)
    else:
        rows = _plain_rows(file, width, height, bits)
    upward = info == 12 or _integer(file, 22, 4) < 2**31
    return table[rows[:: -1 if upward else 1]]


def _plain_rows(file: BinaryIO, width: int, height: int, bits: int) -> np.ndarray:
    stride = (width * bits + 31) // 32 * 4
    file.seek(_integer(file, 10, 4))
    data = file.read(stride * height)
    if len(data) < stride * height or bits not in (4, 8):
        raise FileError(ErrorKind.CUT_OFF, "cut off: the data of the BMP are not all there")
    rows = np.frombuffer(data, np.uint8).reshape(height, stride)
    return (_nibbles(data).reshape(height, -1) if bits == 4 else rows)[:, :width]


def _run_rows(codes: bytes, width: int, height: int, four: bool) -> np.ndarray:
    """Indices ``(H, W)``, the first row first."""
    if len(codes) > _MOST_BYTES:
        raise FileError(ErrorKind.TOO_LARGE, "a BMP with run lengths of more than 16 MB is not read")
    rows = np.zeros((height, width), np.uint8)
    x = y = at = 0
    while at + 1 < len(codes) and y < height:
        count, value = codes[at], codes[at + 1]
        at += 2
        if count:
            _put(
                rows[y],
                x,
                np.full(count, value, np.uint8) if not four else _nibbles(bytes([value]) * (count // 2 + 1)),
                count,
            )
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
            length = (value + 1) // 2 if four else value
            literal = codes[at : at + length]
            if len(literal) < length:
                break
            _put(rows[y], x, _nibbles(literal) if four else np.frombuffer(literal, np.uint8), value)
            x, at = x + value, at + length + length % 2
    if y < height - 1 or (y == height - 1 and x < width):
        raise FileError(ErrorKind.CUT_OFF, "cut off: the codes of the BMP end too early")
    return rows


def _put(row: np.ndarray, x: int, values: np.ndarray, count: int) -> None:
    room = max(0, min(count, len(row) - x))
    row[x : x + room] = values[:room]


def _nibbles(data: bytes) -> np.ndarray:
    pairs = np.frombuffer(data, np.uint8)
    return np.stack([pairs >> 4, pairs & 15], axis=1).ravel()


def _integer(file: BinaryIO, at: int, size: int) -> int:
    file.seek(at)
    return int.from_bytes(file.read(size), "little")
