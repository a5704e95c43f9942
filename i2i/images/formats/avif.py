"""AVIF: the boxes are checked here, Pillow decodes and encodes; OpenCV decodes 10 and 12 bits, spread over 16.

An animation of more than 8 bits is not read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np
from PIL import (
    AvifImagePlugin,  # noqa: F401 - importing it is what makes Pillow know the format
    ImageFile,
)

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Extras, Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_too_few_bytes
from i2i.images.formats.pillow import encode_by_pillow, open_by_pillow, opened_by_pillow

_MAX_META_BYTES = 1 << 20
_HIGH_DEPTH, _TWELVE_BITS = 0x40, 0x20  # in the third byte of the box av1C (AV1-ISOBMFF, section 2.3.3)
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
    if (bits := _bits(file)) == 8:
        return opened_by_pillow(image)
    return opened_by_pillow(image, bits=16, decode=lambda: _deep_frame(file, image, bits))


def _bits(file: BinaryIO) -> int:
    """Bits a channel, by the first box that describes AV1 data."""
    file.seek(0)
    _, _, after = file.read(_MAX_META_BYTES).partition(b"av1C")
    flags = after[2] if len(after) > 2 else 0
    return 8 if not flags & _HIGH_DEPTH else 12 if flags & _TWELVE_BITS else 10


def _deep_frame(file: BinaryIO, image: ImageFile.ImageFile, bits: int) -> Iterator[Frame]:
    if getattr(image, "n_frames", 1) > 1:
        raise FileError(ErrorKind.UNSUPPORTED, f"an animated AVIF of {bits} bits is not read")
    file.seek(0)
    array = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.shape[1::-1] != image.size or array.dtype != np.uint16:
        raise FileError(ErrorKind.DAMAGED, "damaged or of a kind that is not supported: the data of the AVIF")
    array = np.atleast_3d(array)
    if array.shape[2] > 2:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    spread = np.rint(array * (65535 / (2**bits - 1))).astype(np.uint16)
    yield Frame(spread, image.info.get("icc_profile"), image.getexif)


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
