"""Headers of image files: format, size, type and orientation before anything is decoded."""

from __future__ import annotations

import io
from dataclasses import dataclass
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
from PIL import AvifImagePlugin, Image, ImageFile, WebPImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.checks import PNG_START, check_png, check_webp, png_chunks, refuse_lie, refuse_size, refuse_thin
from i2i.images.formats.bmp import has_runs
from i2i.images.formats.gif import Gif
from i2i.images.formats.jpeg import Jpeg
from i2i.images.formats.pnm import Pnm, is_pnm, pnm_header
from i2i.images.formats.tiff import STARTS, Page, is_deep, refuse_missing_data, refuse_unknown, tiff_pages

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "AVIF")
_PLUGINS = (AvifImagePlugin, WebPImagePlugin)  # importing them is what makes Pillow know the formats
_NPY_START = b"\x93NUMPY"
_LONGEST_NPY_HEADER = 10_000  # numpy refuses more, but reads it first


@dataclass(frozen=True)
class Header:
    """What is known before decoding.

    Attributes:
        format: Pillow's name, ``PPM`` for the family of PBM to PFM, or ``NPY``.
        width: as decoded, before `orientation` is applied.
        height: likewise.
        channels: 1 grey, 3 colour, 4 colour with alpha.
        bits: a channel: 8, 16 or 32.
        orientation: EXIF's number; 1 for TIFF, which is decoded upright.
        frames: or pages in the file.
        image: opened by Pillow, None where it does not decode.
        parts: the structure of formats that are taken apart here: TIFF's pages, GIF, JPEG, PNM.
    """

    format: str
    width: int
    height: int
    channels: int
    bits: int
    orientation: int = 1
    frames: int = 1
    image: ImageFile.ImageFile | None = None
    parts: list[Page] | Gif | Jpeg | Pnm | None = None

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after `orientation`."""
        return (self.height, self.width) if self.orientation in (5, 6, 7, 8) else (self.width, self.height)


def read_header(file: BinaryIO, max_pixels: int, *, thorough: bool = True) -> Header:
    """Reads as much as tells format, size and type, and whether the data can be complete.

    Args:
        file: at any position.
        max_pixels: more are refused. Pillow's own limit is raised to this.
        thorough: looks through all data for what decoders do not notice, as must be done before decoding.

    Raises:
        FileError: the content is of no known format, too large, cut off, or less than the header promises. Pillow's
            exceptions come through as they are.
    """
    file.seek(0)
    start = file.read(32)
    if start.startswith(_NPY_START):
        header = _checked(_npy(file), max_pixels)
        _refuse_short_npy(file)
        return header
    if start.startswith(STARTS):
        return tiff_page_header(tiff_pages(file), 0, max_pixels, thorough=thorough)
    if is_pnm(start):
        pnm = pnm_header(file)
        return _checked(Header("PPM", pnm.width, pnm.height, pnm.channels, pnm.bits, parts=pnm), max_pixels)
    if start.startswith(PNG_START):
        check_png(file, max_pixels, thorough)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        check_webp(file, max_pixels)
    return _by_pillow(file, max_pixels, thorough)


def _checked(header: Header, max_pixels: int) -> Header:
    refuse_size(header.width, header.height, max_pixels)
    return header


def _by_pillow(file: BinaryIO, max_pixels: int, thorough: bool) -> Header:
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels
    file.seek(0)
    try:
        image = Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError:
        raise FileError(ErrorKind.TOO_LARGE, f"more pixels than the limit of {max_pixels}") from None
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    bits = 16 if "16" in _raw_mode(image) else 8
    header = _checked(Header(kind, *image.size, _channels(image), bits, image=image), max_pixels)
    parts, frames = _taken_apart(file, header, image, thorough)
    if isinstance(parts, Gif) and not parts.covered and header.channels == 3:
        header = Header(kind, *image.size, 4, bits, image=image)
    orientation = _orientation(file, image)
    return Header(kind, *image.size, header.channels, bits, orientation, frames, image, parts)


def _taken_apart(
    file: BinaryIO, header: Header, image: ImageFile.ImageFile, thorough: bool
) -> tuple[Gif | Jpeg | None, int]:
    """What Pillow does not look at: the structure of some formats, the number of frames, and lies of the header."""
    pixels, size = header.width * header.height, file.seek(0, io.SEEK_END)
    frames = 1 if header.format == "JPEG" else int(getattr(image, "n_frames", 1))
    if header.format == "PNG":
        _scale_key(image)
    elif header.format == "JPEG" and thorough:
        jpeg = Jpeg(file)
        jpeg.refuse_lie()
        return jpeg, 1
    elif header.format == "GIF":
        file.seek(0)
        gif = Gif(file.read())
        refuse_thin(pixels, size)
        return gif, len(gif.frames)
    elif header.format == "BMP":
        refuse_thin(pixels, size) if has_runs(file) else refuse_lie(pixels, size * 8)
    elif header.format == "AVIF":
        refuse_thin(pixels, size)
    return None, frames


def tiff_page_header(pages: list[Page], number: int, max_pixels: int, *, thorough: bool = True) -> Header:
    """The header of one page of a TIFF."""
    page = pages[number]
    width, height = page.width, page.height
    if page.turned:
        width, height = height, width
    colour = page.value(262, 1) not in (0, 1, 4)
    alpha = (page.values(338) or [0])[0] in (1, 2) and page.samples > (3 if colour else 1)
    bits = 8 if not is_deep(page) else 32 if page.value(339, 1) == 3 else 16
    header = _checked(
        Header("TIFF", width, height, (4 if alpha else 3) if colour else 1, bits, frames=len(pages), parts=pages),
        max_pixels,
    )
    refuse_unknown(page)
    if thorough:
        refuse_missing_data(page)
    return header


def is_grey(image: Image.Image) -> bool:
    """Whether the mode is grey, with or without alpha."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def has_alpha(image: Image.Image) -> bool:
    """Whether there is an alpha channel, or a colour that stands for transparent."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How a PNG stores its pixels, such as ``RGB;16B`` where Pillow's mode is RGB; empty for other formats."""
    return str(image.tile[0].args) if image.format == "PNG" and image.tile else ""


def _scale_key(image: ImageFile.ImageFile) -> None:
    """Pillow spreads grey of 2 and 4 bits over the range of 8, but not the value that stands for transparent."""
    key, factor = image.info.get("transparency"), {"L;2": 85, "L;4": 17}.get(_raw_mode(image))
    if factor and isinstance(key, int):
        image.info["transparency"] = key * factor


def _channels(image: ImageFile.ImageFile) -> int:
    if is_grey(image) or _raw_mode(image).startswith("L"):
        return 1
    return 4 if has_alpha(image) else 3


def _orientation(file: BinaryIO, image: ImageFile.ImageFile) -> int:
    if image.format == "PNG":
        for kind, start, length in png_chunks(file):
            if kind == b"eXIf":  # may stand behind the data, where Pillow finds it only after decoding
                file.seek(start + 8)
                image.info.setdefault("exif", file.read(length))
    try:
        value = Image.Image.getexif(image).get(0x0112, 1)
    except Exception:  # EXIF that cannot be read is no reason to lose the image
        return 1
    return value if isinstance(value, int) else 1


def _npy(file: BinaryIO) -> Header:
    (height, width, channels), dtype = npy_header(file)
    bits = 32 if dtype.kind == "f" else dtype.itemsize * 8
    return Header("NPY", width, height, 1 if channels < 3 else channels, bits)


def npy_header(file: BinaryIO) -> tuple[tuple[int, int, int], np.dtype]:
    """Shape ``(H, W, C)`` and type of an npy file; the data come next in the file."""
    file.seek(0)
    version = np.lib.format.read_magic(file)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(file.read(width), "little")
    if length > _LONGEST_NPY_HEADER:
        raise FileError(ErrorKind.DAMAGED, "damaged: the header of the npy file is too long")
    file.seek(-width, io.SEEK_CUR)
    read = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(file)
    except (ValueError, SyntaxError, TokenError):
        raise FileError(ErrorKind.DAMAGED, "damaged: the header of the npy file") from None
    if len(shape) not in (2, 3) or min(shape) < 1 or not 1 <= (*shape, 1)[2] <= 4:
        raise FileError(ErrorKind.CHANNELS, f"an array of shape {shape} is no image")
    if dtype.str[1:] not in ("u1", "u2", "f2", "f4", "f8"):
        raise FileError(ErrorKind.NOT_AN_IMAGE, f"an array of type {dtype} is no image; uint8, uint16 and floats are")
    return (shape[0], shape[1], (*shape, 1)[2]), dtype


def _refuse_short_npy(file: BinaryIO) -> None:
    shape, dtype = npy_header(file)
    start, end = file.tell(), file.seek(0, io.SEEK_END)
    if end - start < shape[0] * shape[1] * shape[2] * dtype.itemsize:
        raise FileError(ErrorKind.CUT_OFF, "cut off: the data of the npy file are not all there")
