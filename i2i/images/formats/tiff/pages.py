"""The pages (image file directories) of a TIFF and their tags, by TIFF 6.0 and BigTIFF."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

import numpy as np

from i2i.errors import ErrorKind, FileError

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How files begin: little or big endian, TIFF or BigTIFF."""
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by the type of its tag."""
_CODES = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_MAX_ENTRIES = 4096  # tags a page
_MAX_PAGES = 100_000


class Tag(IntEnum):
    """Numbers of the tags that are looked at (TIFF 6.0, part 1 to 3)."""

    SUBFILE_TYPE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    PLANAR = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    YCBCR_SUBSAMPLING = 530
    ICC_PROFILE = 34675


@dataclass(frozen=True)
class Page:
    """One page (image file directory).

    Attributes:
        file: the whole file.
        order: byte order, ``<`` for little or ``>`` for big endian.
        big: whether it is a BigTIFF, with offsets of 8 bytes.
        offset: where the directory begins.
        entries: type, number of values and position of the values, by tag.
    """

    file: BinaryIO
    order: str
    big: bool
    offset: int
    entries: dict[int, tuple[int, int, int]]

    def raw(self, tag: int) -> bytes:
        """The bytes of a tag; empty where it is not there."""
        kind, count, position = self.entries.get(tag, (1, 0, 0))
        self.file.seek(position)
        return self.file.read(count * SIZES.get(kind, 0))

    def values(self, tag: int) -> list[int]:
        """The integers of a tag; empty where it is not there or holds something else."""
        kind = self.entries.get(tag, (0, 0, 0))[0]
        code = _CODES.get(kind)
        data = self.raw(tag) if code else b""
        if code is None:
            return []
        return np.frombuffer(data[: len(data) // SIZES[kind] * SIZES[kind]], self.order + code).tolist()

    def value(self, tag: int, default: int) -> int:
        """The first integer of a tag."""
        return (self.values(tag) or [default])[0]

    @property
    def width(self) -> int:
        """In pixels, as stored."""
        return self.value(Tag.WIDTH, 0)

    @property
    def height(self) -> int:
        """In pixels, as stored."""
        return self.value(Tag.HEIGHT, 0)

    @property
    def samples(self) -> int:
        """Values a pixel."""
        return self.value(Tag.SAMPLES, 1)

    @property
    def bits(self) -> list[int]:
        """Bits of each value of a pixel."""
        return self.values(Tag.BITS) or [1]

    @property
    def is_deep(self) -> bool:
        """Whether a value has more than 8 bits."""
        return max(self.bits) > 8

    @property
    def colours(self) -> int:
        """How many values of a pixel its photometric interpretation takes: 3 for RGB, 1 for grey."""
        return {2: 3, 5: 4, 6: 3, 8: 3}.get(self.value(Tag.PHOTOMETRIC, 1), 1)

    @property
    def alpha(self) -> int | None:
        """Which value of a pixel, from 0, is alpha; None where the file does not say that one is."""
        extra = self.values(Tag.EXTRA_SAMPLES)[: max(0, self.samples - self.colours)]
        return next((self.colours + place for place, meaning in enumerate(extra) if meaning in (1, 2)), None)

    @property
    def bands(self) -> int:
        """Values a pixel without alpha."""
        return self.samples - (self.alpha is not None)

    @property
    def turned(self) -> bool:
        """Whether the orientation exchanges width and height."""
        return self.value(Tag.ORIENTATION, 1) in (5, 6, 7, 8)


def tiff_pages(file: BinaryIO) -> list[Page]:
    """The pages in order, without thumbnails, smaller copies and masks where there is anything else.

    Raises:
        FileError: a directory is damaged or cut off, or the directories run in a circle.
    """
    file.seek(0)
    start = file.read(16)
    order, big = "<" if start[:1] == b"I" else ">", start[2:3] == b"+" or start[3:4] == b"+"
    offset = struct.unpack_from(order + ("Q" if big else "I"), start.ljust(16, b"\0"), 8 if big else 4)[0]
    size = file.seek(0, io.SEEK_END)
    pages: list[Page] = []
    seen: set[int] = set()
    while offset:
        if offset in seen or len(pages) == _MAX_PAGES:
            raise FileError(ErrorKind.DAMAGED, "damaged: the pages of this TIFF run in a circle")
        seen.add(offset)
        page, offset = _page(file, order, big, offset, size)
        pages.append(page)
    whole = [page for page in pages if not page.value(Tag.SUBFILE_TYPE, 0) & 5]  # 1: a smaller copy, 4: a mask
    if not pages:
        raise FileError(ErrorKind.CUT_OFF, "cut off: a TIFF without a page")
    return whole or pages


def _page(file: BinaryIO, order: str, big: bool, offset: int, size: int) -> tuple[Page, int]:
    """Reads one directory; returns it and where the next one begins, 0 at the end."""
    number, entry, word = ("Q", 20, 8) if big else ("H", 12, 4)
    if offset >= size:
        raise FileError(ErrorKind.CUT_OFF, "cut off: a directory of the TIFF is missing")
    file.seek(offset)
    count = _integer(file.read(struct.calcsize("<" + number)), order + number)
    if not 0 < count <= _MAX_ENTRIES:
        raise FileError(ErrorKind.DAMAGED, f"damaged: a TIFF page with {count} tags")
    table = file.read(count * entry)
    following = _integer(file.read(word), order + ("Q" if big else "I"))
    if len(table) < count * entry:
        raise FileError(ErrorKind.CUT_OFF, "cut off: a directory of the TIFF is missing")
    entries: dict[int, tuple[int, int, int]] = {}
    total = 0
    base = file.tell() - word - len(table)
    for index in range(count):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if big else "HHI"), table, index * entry)
        taken = values * SIZES.get(kind, 1)
        position = base + index * entry + entry - word
        if taken > word:
            position = _integer(
                table[index * entry + entry - word : (index + 1) * entry], order + ("Q" if big else "I")
            )
            total += taken
            if position + taken > size or total > size:
                raise FileError(ErrorKind.CUT_OFF, "cut off or damaged: a tag of the TIFF points behind its end")
        entries.setdefault(tag, (kind, values, position))
    return Page(file, order, big, offset, entries), following


def _integer(data: bytes, code: str) -> int:
    if len(data) < struct.calcsize(code):
        raise FileError(ErrorKind.CUT_OFF, "cut off: a directory of the TIFF is missing")
    return int(struct.unpack(code, data)[0])
