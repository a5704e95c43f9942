"""Reading the tags that say where a page's picture lies, and putting them among those of a TIFF to write."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import TiffImagePlugin

from i2i.images.formats.tiff.pages import SIZES, Page, Tag
from i2i.images.place import GEO, RESOLUTION, Place, StoredTag

_CODES = {1: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8"}
_RATIONALS = (5, 10)
_DESCRIPTION = 270


def place_of(page: Page) -> Place | None:
    """What the page says of its picture beside the pixels; None where it says nothing of that kind."""
    tags = {number: tag for number in (*GEO, *RESOLUTION) if (tag := _stored(page, number)) is not None}
    description = _stored(page, _DESCRIPTION)
    author = described_by(description.values) if description else ""
    if not tags and not author:
        return None
    is_planar = page.samples > 1 and page.value(Tag.PLANAR, 1) == 2  # and outputs are not
    return Place(tags, description if author and not is_planar else None, author, page.value(Tag.ORIENTATION, 1))


def described_by(text: object) -> str:
    """Whose description of stored pixels a text is; empty for one that only describes the picture."""
    start = (text if isinstance(text, bytes) else str(text).encode()).lstrip()[:2000]
    if start.startswith(b"ImageJ="):
        return "ImageJ"
    if b"<OME" in start:
        return "OME"
    return "tifffile" if start.startswith(b'{"shape":') else ""


def put_tags(directory: TiffImagePlugin.ImageFileDirectory_v2, tags: Mapping[int, StoredTag]) -> None:
    """Puts tags into a directory that Pillow writes."""
    for number, tag in tags.items():
        directory.tagtype[number] = tag.kind
        if isinstance(tag.values, bytes):
            directory[number] = tag.values.rstrip(b"\0") if tag.kind == 2 else tag.values  # Pillow ends texts itself
        elif tag.kind in _RATIONALS:
            pairs = zip(tag.values[::2], tag.values[1::2], strict=False)
            directory[number] = tuple(TiffImagePlugin.IFDRational(int(above), int(below)) for above, below in pairs)
        else:
            directory[number] = tag.values


def _stored(page: Page, number: int) -> StoredTag | None:
    kind = page.entries.get(number, (0, 0, 0))[0]
    data = page.raw(number) if kind in SIZES else b""
    if not data:
        return None
    if kind not in _CODES:
        return StoredTag(kind, data) if kind in (2, 7) else None
    return StoredTag(kind, tuple(np.frombuffer(data, page.order + _CODES[kind]).tolist()))
