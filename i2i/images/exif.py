"""EXIF data to copy to a written image: without the tags that no longer hold for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from PIL import Image

_EXIF, _GPS, _MAKER_NOTE = 0x8769, 0x8825, 0x927C
# Description, camera, resolution, software, date, artist, copyright, rating, and the five tags of Windows.
_KEPT = (0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x4746, 0x8298)
_KEPT_WINDOWS = (0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
_STALE = (0xA002, 0xA003, 0xA005)  # width, height, and the position of the interoperability directory in the old block
_MAX_BYTES = 65_000  # fits into a JPEG segment


def exif_block(read: Callable[[], Image.Exif] | None) -> bytes | None:
    """The EXIF data of a frame, to be written with the upright image.

    Orientation, thumbnail and pixel dimensions are left out; GPS data are kept.

    Args:
        read: reads the EXIF data, as `Frame.exif` does; None where the format has none.

    Returns:
        ``Exif``, two zeros, and a TIFF structure, 65,000 bytes at most; None if the frame has no readable EXIF data.
    """
    if read is None:
        return None
    with suppress(Exception):  # metadata that are broken are no reason to lose the image
        source = read()
        kept = Image.Exif()
        for tag in (*_KEPT, *_KEPT_WINDOWS):
            if tag in source:
                kept[tag] = source[tag]
        for pointer in (_EXIF, _GPS):
            values = {tag: value for tag, value in source.get_ifd(pointer).items() if tag not in _STALE}
            if values:
                kept[pointer] = values
        return _small_enough(kept)
    return None


def _small_enough(exif: Image.Exif) -> bytes | None:
    if not len(exif):
        return None
    block = exif.tobytes()
    if len(block) > _MAX_BYTES:
        exif[_EXIF] = {tag: value for tag, value in exif.get(_EXIF, {}).items() if tag != _MAKER_NOTE}
        block = exif.tobytes()
    return block if len(block) <= _MAX_BYTES else None
