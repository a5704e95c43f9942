"""Decoders of image files: what Pillow and OpenCV each do right, and where they must not be trusted."""

from __future__ import annotations

import ctypes
import logging
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.checks import png_chunks
from i2i.images.colour import in_srgb
from i2i.images.formats.bmp import has_runs, indexed_pixels, is_misread
from i2i.images.formats.gif import Gif
from i2i.images.formats.jpeg import Jpeg
from i2i.images.formats.pnm import Pnm, pnm_pixels
from i2i.images.formats.tiff import Page, deep_pixels, is_deep, single_page
from i2i.images.headers import Header, has_alpha, is_grey, npy_header, tiff_page_header

# What decoders have to say reaches users as the one line of a DataError, not as library output on stderr.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
with suppress(AttributeError, OSError):  # libtiff prints by itself; not every platform lets us reach it
    _set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    _set_handler.argtypes, _set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    _set_handler(None)


Decoded = tuple[np.ndarray, bytes | None]
"""Array ``(H, W, 1..4)`` before orientation, and the profile its values refer to, sRGB's where they were converted."""


def decode(file: BinaryIO, header: Header, max_pixels: int) -> Iterator[Decoded]:
    """Decodes the frames or pages in order, each when it is asked for."""
    parts = header.parts
    if header.format == "NPY":
        yield _npy(file), None
    elif isinstance(parts, Pnm):
        yield pnm_pixels(file, parts), None
    elif isinstance(parts, list):
        for number, page in enumerate(parts):
            tiff_page_header(parts, number, max_pixels)
            yield _tiff_page(page)
    elif isinstance(parts, Gif):
        for screen in parts.pictures():
            yield _gif_picture(screen, header), None
    elif header.image is not None:
        for frame in range(header.frames):
            yield _frame(file, header, header.image, frame)


def _frame(file: BinaryIO, header: Header, image: Image.Image, frame: int) -> Decoded:
    if header.bits == 16 and header.frames > 1:
        raise FileError(ErrorKind.UNSUPPORTED, "an animated PNG of 16 bits is not read")
    if frame:
        image.seek(frame)
    if header.format == "BMP" and (has_runs(file) or is_misread(file, image)):
        return indexed_pixels(file, header.width, header.height)[..., : header.channels], None
    image.load()
    if isinstance(header.parts, Jpeg):
        header.parts.refuse_filled(image)
    if header.bits == 8 or image.mode.startswith("I"):
        return picture_arrays(image)
    return _deep_png(file, header, image), image.info.get("icc_profile")


def picture_arrays(image: Image.Image) -> Decoded:
    """Array ``(H, W, 1..4)`` of an image that Pillow has loaded, and the profile its values refer to."""
    icc = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        wide = np.array(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise FileError(ErrorKind.UNSUPPORTED, "integers of 32 bits are not read")
        grey = wide.astype(np.uint16)[..., np.newaxis]
        return _keyed(grey, image.info.get("transparency")), icc
    if image.mode == "F":
        return np.array(image)[..., np.newaxis], icc
    alpha = None
    if has_alpha(image):
        image = image.convert("LA" if is_grey(image) else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
        image = _without_alpha(image)
    elif image.mode not in ("CMYK", "LAB"):
        image = image.convert("L" if is_grey(image) else "RGB")
    image, icc = in_srgb(image, icc)
    pixels = np.array(image)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    return (pixels if alpha is None else np.dstack([pixels, alpha])), icc


def _without_alpha(image: Image.Image) -> Image.Image:
    bands = image.split()[:-1]
    return bands[0] if len(bands) == 1 else Image.merge("RGB", bands)


def _gif_picture(screen: np.ndarray, header: Header) -> np.ndarray:
    opaque = bool((screen[..., 3] == 255).all())
    if header.channels == 1 and opaque and np.ptp(screen[..., :3], axis=2).max() == 0:
        return screen[..., :1]
    return screen if header.channels == 4 or not opaque else screen[..., :3]


def _npy(file: BinaryIO) -> np.ndarray:
    shape, dtype = npy_header(file)
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False).reshape(shape)
    with np.errstate(all="ignore"):  # what becomes infinite is refused
        return array.astype(np.float32 if dtype.kind == "f" else dtype.newbyteorder("="), order="C")


def _tiff_page(page: Page) -> Decoded:
    """One page, upright."""
    if is_deep(page):
        return deep_pixels(page), page.raw(34675) or None
    with TiffImagePlugin.TiffImageFile(single_page(page)) as image:
        image.load()
        return picture_arrays(image)


def _deep_png(file: BinaryIO, header: Header, image: Image.Image) -> np.ndarray:
    """OpenCV decodes colour of 16 bits, which Pillow would cut; Pillow has found the data complete."""
    array = cv2.imdecode(np.frombuffer(_png_essentials(file), np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.shape[:2] != (header.height, header.width):
        raise FileError(ErrorKind.DAMAGED, "damaged or of a kind that is not supported")
    array = np.atleast_3d(array)
    if array.shape[2] > 2:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    return _keyed(array[..., [0, 3]] if header.channels == 1 else array, image.info.get("transparency"))


def _png_essentials(file: BinaryIO) -> bytes:
    """The PNG without the chunks that OpenCV would warn about, animate, or apply in a way of its own."""
    file.seek(0)
    kept = [file.read(8)]
    for kind, start, length in png_chunks(file):
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            file.seek(start)
            kept.append(file.read(length + 12))
    return b"".join(kept)


def _keyed(pixels: np.ndarray, key: int | tuple[int, ...] | None) -> np.ndarray:
    """Appends the alpha of a 16-bit image in which one colour stands for transparent; `key` None leaves it as it is."""
    if key is None:
        return pixels
    opaque = (pixels != np.asarray(key)).any(axis=2)
    return np.dstack([pixels, np.where(opaque, 65535, 0).astype(np.uint16)])
