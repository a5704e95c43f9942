"""Headers of image files: format, size, type and orientation before anything is decoded."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from i2i.data.image_errors import Unfit

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")
_PLUGINS = (AvifImagePlugin, WebPImagePlugin)  # importing them is what makes Pillow know the formats
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NPY_START = b"\x93NUMPY"
_PNG_END = b"\xaeB`\x82"  # checksum of the chunk IEND


@dataclass(frozen=True)
class Header:
    """What is known before decoding.

    Attributes:
        format: Pillow's name, or ``NPY``.
        width: as decoded, before `orientation` is applied.
        height: likewise.
        channels: 1 grey, 3 colour, 4 colour with alpha.
        bits: a channel: 8, 16 or 32.
        orientation: EXIF's number; 1 for TIFF, whose decoders apply it themselves.
        image: the image opened by Pillow, None where only numpy or OpenCV can read it.
    """

    format: str
    width: int
    height: int
    channels: int
    bits: int
    orientation: int = 1
    image: ImageFile.ImageFile | None = None

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after `orientation`."""
        return (self.height, self.width) if self.orientation in (5, 6, 7, 8) else (self.width, self.height)


def read_header(file: BinaryIO, max_pixels: int) -> Header:
    """Reads as much as tells format, size and type.

    Args:
        file: at any position.
        max_pixels: Pillow's own limit is raised to this, since it refuses while opening.

    Raises:
        Unfit: the content is of no known format, or a PNG is cut off. Pillow's exceptions come through as they are.
    """
    file.seek(0)
    start = file.read(8)
    if start.startswith(_NPY_START):
        (height, width, channels), dtype = npy_header(file)
        bits = 32 if dtype.kind == "f" else dtype.itemsize * 8
        return Header("NPY", width, height, 1 if channels < 3 else channels, bits)
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels
    file.seek(0)
    try:
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        if not start.startswith(_TIFF_STARTS):
            raise
        return _tiff_header(file)
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    orientation = 1 if kind == "TIFF" else _orientation(file, image)
    return Header(kind, *image.size, _channels(image), _bits(image), orientation, image)


def is_grey(image: Image.Image) -> bool:
    """Whether the mode is grey, with or without alpha."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def has_alpha(image: Image.Image) -> bool:
    """Whether there is an alpha channel, or a colour that stands for transparent."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How a PNG stores its pixels, such as ``RGB;16B`` where Pillow's mode is RGB; empty for other formats."""
    return str(image.tile[0].args) if image.format == "PNG" and image.tile else ""


def _channels(image: ImageFile.ImageFile) -> int:
    if is_grey(image) or _raw_mode(image).startswith("L"):
        return 1
    return 4 if has_alpha(image) else 3


def _bits(image: ImageFile.ImageFile) -> int:
    if image.mode == "F":
        return 32
    if image.mode.startswith("I") or "16" in _raw_mode(image):
        return 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(8, *image.tag_v2.get(258, (1,)))
    return 16 if ppm_maximum(image) > 255 else 8


def ppm_maximum(image: ImageFile.ImageFile) -> int:
    """The value that means full scale in a PPM that Pillow has opened but not loaded; 255 for other formats."""
    arguments = image.tile[0].args if image.format == "PPM" and image.tile else ()
    return int(arguments[1]) if isinstance(arguments, tuple) and len(arguments) == 2 else 255


def _orientation(file: BinaryIO, image: ImageFile.ImageFile) -> int:
    if image.format == "PNG":
        for kind, start, length in png_chunks(file):
            if kind == b"eXIf":  # may stand behind the data, where Pillow finds it only after decoding
                file.seek(start + 8)
                image.info.setdefault("exif", file.read(length))
    value = Image.Image.getexif(image).get(0x0112, 1)
    return value if isinstance(value, int) else 1


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG as type, position and length of the data; raises when the last one is not there in full."""
    start = 8
    while True:
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:
            raise Unfit("cut off: the end of the PNG is missing")
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND" and file.read(4) != _PNG_END:
            raise Unfit("cut off: the end of the PNG is missing")
        yield kind, start, length
        if kind == b"IEND":
            return
        start += length + 12


def npy_header(file: BinaryIO) -> tuple[tuple[int, int, int], np.dtype]:
    """Shape ``(H, W, C)`` and type of an npy file, without the data: a header that promises too much costs nothing."""
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if len(shape) not in (2, 3) or 0 in shape or not 1 <= (*shape, 1)[2] <= 4:
        raise Unfit(f"an array of shape {shape} is no image")
    if dtype.str[1:] not in ("u1", "u2", "f2", "f4", "f8"):
        raise Unfit(f"an array of type {dtype} is no image; uint8, uint16 and floats are")
    return (shape[0], shape[1], (*shape, 1)[2]), dtype


def tiff_tags(file: BinaryIO) -> Mapping[int, Any]:
    """The tags of the first page; Pillow has them too, but only of images whose type it knows."""
    file.seek(0)
    start = file.read(8)
    if start[2:4] in (b"+\0", b"\0+"):  # BigTIFF
        start += file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(start)
    file.seek(tags.next)
    tags.load(file)
    return tags


def _tiff_header(file: BinaryIO) -> Header:
    """For what Pillow does not know, such as colour in floats."""
    tags = tiff_tags(file)
    width, height = int(tags[256]), int(tags[257])
    if tags.get(274, 1) in (5, 6, 7, 8):
        width, height = height, width
    samples = int(tags.get(277, 1))
    channels = 1 if samples < 3 else 4 if samples == 4 and tags.get(338, (0,))[0] else 3
    return Header("TIFF", width, height, channels, min(32, max(8, *tags.get(258, (1,)))))
