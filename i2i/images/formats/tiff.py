"""TIFF files: the pages, what their tags say, and the pixels of those with more than 8 bits.

Pillow decodes 8 bits. It knows few deeper kinds and cuts colour to 8 bits, so for those libtiff (through Pillow) only
unpacks the bytes, as if they were a grey image, and all that they mean is applied here.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.pixels import orient

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_MOST_ENTRIES = 4096  # tags a page
_MOST_PAGES = 100_000
_JPEG, _OLD_JPEG, _DEFLATE, _LZW, _PACKBITS = 7, 6, (8, 32946), 5, 32773
_DEEP_COMPRESSIONS = (1, _LZW, *_DEFLATE, _PACKBITS, 34925, 50000)  # the last two are LZMA and Zstandard
_SHARED, _HARMLESS_BYTES = 4, 1 << 26  # strips that are the same may be stored once
_PLACES = (273, 279, 324, 325)  # offsets and lengths of strips, and of tiles
EXPANSION = {_LZW: 2800, 8: 1040, 32946: 1040, _PACKBITS: 128}
"""Most bytes that one byte can unpack to, by compression."""


@dataclass(frozen=True)
class Page:
    """One page (image file directory).

    Attributes:
        file: the whole file.
        order: ``<`` or ``>``.
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
        return self.file.read(count * _SIZES.get(kind, 0))

    def values(self, tag: int) -> list[int]:
        """The integers of a tag; empty where it is not there or holds something else."""
        kind = self.entries.get(tag, (0, 0, 0))[0]
        code = _CODES.get(kind)
        data = self.raw(tag) if code else b""
        return (
            []
            if code is None
            else np.frombuffer(data[: len(data) // _SIZES[kind] * _SIZES[kind]], self.order + code).tolist()
        )

    def value(self, tag: int, default: int) -> int:
        """The first integer of a tag."""
        return (self.values(tag) or [default])[0]

    @property
    def width(self) -> int:
        """In pixels, as stored."""
        return self.value(256, 0)

    @property
    def height(self) -> int:
        """In pixels, as stored."""
        return self.value(257, 0)

    @property
    def samples(self) -> int:
        """Values a pixel."""
        return self.value(277, 1)

    @property
    def bits(self) -> list[int]:
        """Of each value of a pixel."""
        return self.values(258) or [1]

    @property
    def turned(self) -> bool:
        """Whether the orientation exchanges width and height."""
        return self.value(274, 1) in (5, 6, 7, 8)


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
        if offset in seen or len(pages) == _MOST_PAGES:
            raise FileError(ErrorKind.DAMAGED, "damaged: the pages of this TIFF run in a circle")
        seen.add(offset)
        page, offset = _page(file, order, big, offset, size)
        pages.append(page)
    whole = [page for page in pages if not page.value(254, 0) & 5]  # 1: a smaller copy, 4: a mask
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
    if not 0 < count <= _MOST_ENTRIES:
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
        taken = values * _SIZES.get(kind, 1)
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


def refuse_missing_data(page: Page) -> None:
    """Raises FileError where strips or tiles are not all there, or too short for what they should hold."""
    size = page.file.seek(0, io.SEEK_END)
    layout = _Layout(page)
    compression, lengths = page.value(259, 1), layout.counts
    for index, (offset, length) in enumerate(zip(layout.offsets, lengths, strict=True)):
        if offset + length > size or length == 0:
            raise FileError(ErrorKind.CUT_OFF, "cut off: not all of the TIFF's data are there")
        if compression == 1 and length < layout.part_bytes(index):
            raise FileError(ErrorKind.CUT_OFF, "cut off: a strip or tile of the TIFF is too short")
    if sum(lengths) > max(_SHARED * size, _HARMLESS_BYTES):
        raise FileError(ErrorKind.DAMAGED, "damaged: the strips or tiles of the TIFF lie over each other")
    needed = sum(layout.part_bytes(index) for index in range(layout.parts))
    if compression in EXPANSION and needed > EXPANSION[compression] * sum(lengths):
        raise FileError(ErrorKind.IMPLAUSIBLE, "damaged: the header promises more than the data can hold")


class _Layout:
    """How the pixels of a page are cut into strips or tiles."""

    def __init__(self, page: Page) -> None:
        self.tiled = 322 in page.entries
        width, height = page.width, page.height
        if width < 1 or height < 1:
            raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF without a size")
        rows = page.value(278, height) or height
        self.width, self.height = (page.value(322, 0), page.value(323, 0)) if self.tiled else (width, min(rows, height))
        if self.width < 1 or self.height < 1 or self.width * self.height > 2**31:
            raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF with tiles of an impossible size")
        self.across, self.down = math.ceil(width / self.width), math.ceil(height / self.height)
        self.planes = page.samples if page.value(284, 1) == 2 else 1
        self.parts = self.across * self.down * self.planes
        self.offsets = page.values(324 if self.tiled else 273)
        self.counts = page.values(325 if self.tiled else 279)
        pixel_bits = page.bits[0] if self.planes > 1 else page.samples * page.bits[0]
        self.row_bytes = (self.width * pixel_bits + 7) // 8
        self._last = self.height if self.tiled else height - (self.down - 1) * self.height
        if len(self.offsets) < self.parts:
            raise FileError(
                ErrorKind.DAMAGED, f"damaged: a TIFF with {len(self.offsets)} of {self.parts} strips or tiles"
            )
        if page.value(259, 1) == 1 and len(self.counts) in (0, len(self.offsets)):
            whole = [self.part_bytes(index) for index in range(self.parts)]
            self.counts = [min(pair) for pair in zip(whole, self.counts or whole, strict=False)]
        if len(self.counts) < self.parts:
            raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF without the lengths of its strips or tiles")
        self.offsets, self.counts = self.offsets[: self.parts], self.counts[: self.parts]

    def part_bytes(self, index: int) -> int:
        """Bytes of a strip or tile when unpacked."""
        return self.row_bytes * (
            self._last if index % (self.across * self.down) >= self.across * (self.down - 1) else self.height
        )


def is_deep(page: Page) -> bool:
    """Whether `deep_pixels` is to decode the page."""
    return max(page.bits) > 8


def refuse_unknown(page: Page) -> None:
    """Raises FileError for kinds that nobody reads right."""
    kinds, bits, colours = page.values(339) or [1], page.bits, page.value(262, 1)
    compression = page.value(259, 1)
    if compression == _OLD_JPEG:
        raise FileError(ErrorKind.UNSUPPORTED, "TIFF with JPEG data of the old kind is not read")
    if len(set(bits)) > 1 or len(set(kinds)) > 1:
        raise FileError(ErrorKind.UNSUPPORTED, "TIFF with channels of different types is not read")
    if is_deep(page):
        known = (kinds[0], bits[0]) in ((1, 16), (3, 16), (3, 32), (3, 64)) and compression in _DEEP_COMPRESSIONS
        known = known and (colours in (1, 2) or (colours == 0 and kinds[0] == 1)) and page.samples <= 16
    else:
        known = kinds[0] in (1, 4) and (colours != 6 or compression == _JPEG or page.values(530) == [1, 1])
    if not known:
        raise FileError(
            ErrorKind.UNSUPPORTED,
            f"TIFF with {bits[0]} bits, sample format {kinds[0]}, photometric interpretation {colours} "
            f"and compression {compression} is not read",
        )


def deep_pixels(page: Page) -> np.ndarray:
    """Pixels ``(H, W, 1..4)``, uint16 or float32, upright; alpha is not multiplied into the colours.

    Raises:
        FileError: the data are damaged.
    """
    layout = _Layout(page)
    stored = np.dtype(f"{page.order}{'f' if page.value(339, 1) == 3 else 'u'}{page.bits[0] // 8}")
    per_plane = 1 if layout.planes > 1 else page.samples
    parts = layout.across * layout.down
    planes = [
        _unpredicted(
            page,
            _unpacked(page, layout, slice(plane * parts, (plane + 1) * parts), stored.itemsize * per_plane),
            layout,
            stored,
            per_plane,
        )
        for plane in range(layout.planes)
    ]
    pixels = planes[0] if len(planes) == 1 else np.dstack(planes)
    with np.errstate(all="ignore"):  # what becomes infinite is refused
        pixels = pixels[: page.height, : page.width].astype(np.float32 if stored.kind == "f" else np.uint16)
    if page.value(262, 1) == 0:  # white is zero
        pixels = 65535 - pixels
    return orient(_with_meaning(pixels, page), page.value(274, 1))


def _with_meaning(pixels: np.ndarray, page: Page) -> np.ndarray:
    """Keeps the colours, and the first further channel where it is alpha."""
    colours = 3 if page.value(262, 1) == 2 else 1
    extra = page.values(338)
    if pixels.shape[2] < colours:
        raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF with too few channels")
    if pixels.shape[2] == colours or not extra or extra[0] not in (1, 2):
        return pixels[..., :colours]
    alpha = pixels[..., colours : colours + 1]
    if extra[0] == 2:
        return pixels[..., : colours + 1]
    full = 1.0 if pixels.dtype.kind == "f" else 65535.0  # colours are multiplied by alpha
    colour = pixels[..., :colours] * (full / np.maximum(alpha.astype(np.float64), full / 65535))
    colour = np.minimum(colour, full) if pixels.dtype.kind == "f" else np.rint(np.minimum(colour, full))
    return np.dstack([colour.astype(pixels.dtype), alpha])


def _unpacked(page: Page, layout: _Layout, parts: slice, pixel_bytes: int) -> np.ndarray:
    """Bytes ``(rows, bytes of a row)`` of one plane, whole tiles, unpacked by libtiff but not yet given a meaning."""
    width = layout.across * layout.width * pixel_bytes
    height = layout.down * layout.height if layout.tiled else page.height
    tags = {256: width, 257: height, 258: 8, 259: page.value(259, 1), 262: 1, 266: page.value(266, 1), 277: 1}
    tags |= {322: layout.width * pixel_bytes, 323: layout.height} if layout.tiled else {278: layout.height}
    fields = {tag: (4, _longs([value], "<")) for tag, value in tags.items()}
    return np.asarray(TiffImagePlugin.TiffImageFile(_with_parts(page, layout, parts, fields, "<")))


def single_page(page: Page) -> BinaryIO:
    """A TIFF in memory that holds this page alone, and is no BigTIFF: Pillow does not read all of those."""
    fields = {}
    for tag, (kind, _, _) in page.entries.items():
        if kind in (16, 17, 18):
            fields[tag] = (4, _longs(page.values(tag) if tag not in _PLACES else [0], page.order))
        elif kind in _SIZES:
            fields[tag] = (kind, page.raw(tag))
    layout = _Layout(page)
    return _with_parts(page, layout, slice(layout.parts), fields, page.order)


def _longs(values: Sequence[int], order: str) -> bytes:
    if min(values, default=0) < 0 or max(values, default=0) >= 2**32:
        raise FileError(ErrorKind.TOO_LARGE, "a TIFF page of more than 4 GB is not read")
    return np.asarray(values, order + "u4").tobytes()


def _with_parts(
    page: Page, layout: _Layout, parts: slice, fields: dict[int, tuple[int, bytes]], order: str
) -> BinaryIO:
    """A TIFF of one page that holds these strips or tiles, and has these tags: type and bytes of each."""
    data, offsets = bytearray(8), []
    for offset, count in zip(layout.offsets[parts], layout.counts[parts], strict=True):
        page.file.seek(offset)
        offsets.append(len(data))
        data += page.file.read(count)
    data += b"\0" * (len(data) % 2)
    places = _PLACES[2:] if layout.tiled else _PLACES[:2]
    fields |= {places[0]: (4, _longs(offsets, order)), places[1]: (4, _longs(layout.counts[parts], order))}
    data[:8] = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, len(data))
    tail_at = len(data) + 2 + 12 * len(fields) + 4
    table, tail = struct.pack(order + "H", len(fields)), bytearray()
    for tag, (kind, packed) in sorted(fields.items()):
        table += struct.pack(order + "HHI", tag, kind, len(packed) // _SIZES[kind])
        table += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack(order + "I", tail_at + len(tail))
        tail += packed + b"\0" * (len(packed) % 2) if len(packed) > 4 else b""
    return io.BytesIO(bytes(data + table + b"\0\0\0\0" + tail))


def _unpredicted(page: Page, packed: np.ndarray, layout: _Layout, stored: np.dtype, samples: int) -> np.ndarray:
    """Undoes the differences along rows (predictors 2 and 3) within each strip or tile: ``(H, W, samples)``."""
    predictor, rows = page.value(317, 1), len(packed)
    blocks = np.ascontiguousarray(packed).reshape(rows, layout.across, layout.width, samples, stored.itemsize)
    if predictor == 3 and stored.kind == "f":
        flat = np.cumsum(blocks.reshape(rows, layout.across, -1, samples), axis=2, dtype=np.uint8)
        planes = flat.reshape(rows, layout.across, stored.itemsize, layout.width, samples)  # highest byte first
        values = np.ascontiguousarray(np.moveaxis(planes, 2, -1)).view(stored.newbyteorder(">"))[..., 0]
    else:
        values = blocks.view(stored)[..., 0]
        if predictor == 2:
            whole = values.view(f"{page.order}u{stored.itemsize}").astype(f"u{stored.itemsize}")
            values = np.cumsum(whole, axis=2, dtype=whole.dtype).view(stored.newbyteorder("="))
        elif predictor != 1:
            raise FileError(ErrorKind.UNSUPPORTED, f"TIFF with predictor {predictor} is not read")
    return values.reshape(rows, layout.across * layout.width, samples)
