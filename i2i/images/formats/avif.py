"""AVIF: the boxes are checked here, Pillow decodes and encodes. Of 10 and 12 bits, 8 are read."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from PIL import AvifImagePlugin  # noqa: F401 - importing it is what makes Pillow know the format

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Extras, Format, Limits, OpenedImage
from i2i.images.formats.limits import refuse_too_few_bytes
from i2i.images.formats.pillow import encode_by_pillow, open_by_pillow, opened_by_pillow

_BOXES = (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip")


def _matches(start: bytes) -> bool:
    """Whether the file type box names AVIF as its brand, or among those that it is compatible with."""
    if len(start) < 16 or start[4:8] != b"ftyp":
        return False
    brands = start[8:12] + start[16 : max(16, int.from_bytes(start[:4]))]
    return any(brands[at : at + 4] in (b"avif", b"avis") for at in range(0, len(brands), 4))


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    _refuse_cut_off(file)
    image = open_by_pillow(file, "AVIF", limits)
    refuse_too_few_bytes(image.width * image.height, file.seek(0, io.SEEK_END))
    return opened_by_pillow(image)


def _refuse_cut_off(file: BinaryIO) -> None:
    """Raises FileError where a box of the outermost level (ISO/IEC 14496-12, section 4.2) ends behind the file."""
    size, at = file.seek(0, io.SEEK_END), 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4]), head[4:8]
        if length == 1:  # a large one, whose length stands behind its type
            length = int.from_bytes(head[8:])
        if length < 8 or kind not in _BOXES:  # up to the end of the file, or nothing that matters
            return
        if at + length > size:
            raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the AVIF is missing")
        at += length


def _encode(pixels: np.ndarray, extras: Extras) -> bytes:
    # Speed 8, as Pillow's own (6) takes seven times as long for half a decibel. 4:4:4 as in JPEG.
    return encode_by_pillow("AVIF", pixels, extras, quality=95, subsampling="4:4:4", speed=8)


AVIF = Format(
    name="AVIF",
    endings=(".avif",),
    matches=_matches,
    open=_open,
    encoders=(
        Encoder("AVIF", (".avif",), _encode, channels=(1, 3, 4), dtypes=("uint8",), max_side=65_535, stores_grey=False),
    ),
)
