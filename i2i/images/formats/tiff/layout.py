"""How the pixels of a TIFF page are cut into strips or tiles, and whether all of these are there."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.tiff.pages import SIZES, Page, Tag

_MAX_SHARING = 4  # times the file's size that all strips may have together: equal strips may be stored once
_HARMLESS_BYTES = 1 << 26  # strips of fewer bytes may share as much as they like
_PLACES = (Tag.STRIP_OFFSETS, Tag.STRIP_BYTES, Tag.TILE_OFFSETS, Tag.TILE_BYTES)
_MAX_EXPANSION = {5: 2800, 8: 1040, 32946: 1040, 32773: 128}  # bytes that a byte of LZW, deflate, PackBits unpacks to


class Layout:
    """How the pixels of a page are cut into strips or tiles.

    Attributes:
        tiled: whether into tiles.
        width: of a strip or tile in pixels.
        height: of a strip or tile in rows; the last strip may have fewer.
        across: strips or tiles side by side.
        down: strips or tiles below each other.
        planes: 1, or the number of channels where each is stored apart.
        parts: number of all strips or tiles.
        offsets: where each begins in the file.
        counts: bytes of each in the file.
        row_bytes: bytes of a row of one when unpacked.

    Raises:
        FileError: sizes or places of strips or tiles are missing or impossible.
    """

    def __init__(self, page: Page) -> None:
        self.tiled = Tag.TILE_WIDTH in page.entries
        width, height = page.width, page.height
        if width < 1 or height < 1:
            raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF without a size")
        rows = page.value(Tag.ROWS_PER_STRIP, height) or height
        self.width, self.height = (
            (page.value(Tag.TILE_WIDTH, 0), page.value(Tag.TILE_HEIGHT, 0))
            if self.tiled
            else (width, min(rows, height))
        )
        if self.width < 1 or self.height < 1 or self.width * self.height > 2**31:
            raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF with tiles of an impossible size")
        self.across, self.down = math.ceil(width / self.width), math.ceil(height / self.height)
        self.planes = page.samples if page.value(Tag.PLANAR, 1) == 2 else 1
        self.parts = self.across * self.down * self.planes
        self.offsets = page.values(Tag.TILE_OFFSETS if self.tiled else Tag.STRIP_OFFSETS)
        self.counts = page.values(Tag.TILE_BYTES if self.tiled else Tag.STRIP_BYTES)
        pixel_bits = page.bits[0] if self.planes > 1 else page.samples * page.bits[0]
        self.row_bytes = (self.width * pixel_bits + 7) // 8
        self._last = self.height if self.tiled else height - (self.down - 1) * self.height
        if len(self.offsets) < self.parts:
            raise FileError(
                ErrorKind.DAMAGED, f"damaged: a TIFF with {len(self.offsets)} of {self.parts} strips or tiles"
            )
        if page.value(Tag.COMPRESSION, 1) == 1 and len(self.counts) in (0, len(self.offsets)):
            whole = [self.part_bytes(index) for index in range(self.parts)]
            self.counts = [min(pair) for pair in zip(whole, self.counts or whole, strict=False)]
        if len(self.counts) < self.parts:
            raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF without the lengths of its strips or tiles")
        self.offsets, self.counts = self.offsets[: self.parts], self.counts[: self.parts]

    def part_bytes(self, index: int) -> int:
        """Bytes of a strip or tile when unpacked."""
        is_last = index % (self.across * self.down) >= self.across * (self.down - 1)
        return self.row_bytes * (self._last if is_last else self.height)


def refuse_missing_data(page: Page) -> None:
    """Raises FileError where strips or tiles are not all there, or too short for what they should hold."""
    size = page.file.seek(0, io.SEEK_END)
    layout = Layout(page)
    compression, lengths = page.value(Tag.COMPRESSION, 1), layout.counts
    for index, (offset, length) in enumerate(zip(layout.offsets, lengths, strict=True)):
        if offset + length > size or length == 0:
            raise FileError(ErrorKind.CUT_OFF, "cut off: not all of the TIFF's data are there")
        if compression == 1 and length < layout.part_bytes(index):
            raise FileError(ErrorKind.CUT_OFF, "cut off: a strip or tile of the TIFF is too short")
    if sum(lengths) > max(_MAX_SHARING * size, _HARMLESS_BYTES):
        raise FileError(ErrorKind.DAMAGED, "damaged: the strips or tiles of the TIFF lie over each other")
    needed = sum(layout.part_bytes(index) for index in range(layout.parts))
    if compression in _MAX_EXPANSION and needed > _MAX_EXPANSION[compression] * sum(lengths):
        raise FileError(ErrorKind.IMPLAUSIBLE, "damaged: the header promises more than the data can hold")


def single_page(page: Page) -> BinaryIO:
    """A TIFF in memory that holds this page alone, and is no BigTIFF: Pillow does not read all of those."""
    fields = {}
    for tag, (kind, _, _) in page.entries.items():
        if kind in (16, 17, 18):
            fields[tag] = (4, long_integers(page.values(tag) if tag not in _PLACES else [0], page.order))
        elif kind in SIZES:
            fields[tag] = (kind, page.raw(tag))
    layout = Layout(page)
    return with_parts(page, layout, slice(layout.parts), fields, page.order)


def long_integers(values: Sequence[int], order: str) -> bytes:
    """The values as a tag of 32-bit integers holds them, in the byte order ``<`` or ``>``."""
    if min(values, default=0) < 0 or max(values, default=0) >= 2**32:
        raise FileError(ErrorKind.TOO_LARGE, "a TIFF page of more than 4 GB is not read")
    return np.asarray(values, order + "u4").tobytes()


def with_parts(page: Page, layout: Layout, parts: slice, fields: dict[int, tuple[int, bytes]], order: str) -> BinaryIO:
    """A TIFF of one page that holds these strips or tiles, and has these tags: type and bytes of each."""
    data, offsets = bytearray(8), []
    for offset, count in zip(layout.offsets[parts], layout.counts[parts], strict=True):
        page.file.seek(offset)
        offsets.append(len(data))
        data += page.file.read(count)
    data += b"\0" * (len(data) % 2)
    places = _PLACES[2:] if layout.tiled else _PLACES[:2]
    fields[places[0]] = 4, long_integers(offsets, order)
    fields[places[1]] = 4, long_integers(layout.counts[parts], order)
    data[:8] = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, len(data))
    tail_at = len(data) + 2 + 12 * len(fields) + 4
    table, tail = struct.pack(order + "H", len(fields)), bytearray()
    for tag, (kind, packed) in sorted(fields.items()):
        table += struct.pack(order + "HHI", tag, kind, len(packed) // SIZES[kind])
        table += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(order + "I", tail_at + len(tail))
        tail += packed + b"\0" * (len(packed) % 2) if len(packed) > 4 else b""
    return io.BytesIO(bytes(data + table + b"\0\0\0\0" + tail))
