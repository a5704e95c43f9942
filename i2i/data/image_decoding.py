"""Decoders of image files: what Pillow and OpenCV each do right, and where they must not be trusted."""

from __future__ import annotations

import ctypes
import io
import logging
import warnings
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageCms

from i2i.data.image_errors import Unfit
from i2i.data.image_headers import Header, has_alpha, is_grey, npy_header, png_chunks, ppm_maximum, tiff_tags

# What decoders have to say reaches users as the one line of a DataError, not as library output on stderr.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
with suppress(AttributeError, OSError):  # libtiff prints by itself; not every platform lets us reach it
    _set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    _set_handler.argtypes, _set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    _set_handler(None)


def decode(file: BinaryIO, header: Header) -> tuple[np.ndarray, bytes | None]:
    """Decodes the pixels that belong to the header.

    Returns:
        Array ``(H, W, 1..4)`` before orientation, and the profile its values refer to, None for sRGB.
    """
    if header.format == "NPY":
        return _npy(file), None
    image = header.image
    if image is None:
        return _by_opencv(file, header), None
    maximum = ppm_maximum(image)
    image.load()
    if header.bits == 8 or image.mode == "F" or (image.mode.startswith("I") and header.format != "TIFF"):
        return picture_arrays(image)
    pixels = _by_opencv(file, header)
    return (_from_maximum(pixels, maximum) if header.format == "PPM" else pixels), image.info.get("icc_profile")


def picture_arrays(image: Image.Image) -> tuple[np.ndarray, bytes | None]:
    """Array ``(H, W, 1..4)`` of an image that Pillow has loaded, and the profile its values refer to, None for sRGB."""
    icc = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        wide = np.array(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise Unfit("integers of 32 bits are not read")
        grey = wide.astype(np.uint16)[..., np.newaxis]
        return _keyed(grey, image.info.get("transparency")), icc
    if image.mode == "F":
        return np.array(image)[..., np.newaxis], icc
    alpha = None
    if has_alpha(image):
        image = image.convert("LA" if is_grey(image) else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
        image = _without_alpha(image)
    elif image.mode != "CMYK":
        image = image.convert("L" if is_grey(image) else "RGB")
    pixels = np.array(_in_srgb(image, icc))
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    return (pixels if alpha is None else np.dstack([pixels, alpha])), None


def _without_alpha(image: Image.Image) -> Image.Image:
    bands = image.split()[:-1]
    return bands[0] if len(bands) == 1 else Image.merge("RGB", bands)


def _npy(file: BinaryIO) -> np.ndarray:
    shape, dtype = npy_header(file)
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False).reshape(shape)
    return array.astype(np.float32 if dtype.kind == "f" else dtype.newbyteorder("="), order="C")


def _by_opencv(file: BinaryIO, header: Header) -> np.ndarray:
    """Decodes what has more than 8 bits; the data are known to be complete where Pillow could read them at all."""
    if header.format == "PNG":
        data = _png_essentials(file)
    else:
        if header.format == "TIFF":
            _refuse_other_tiff(tiff_tags(file))
        file.seek(0)
        data = file.read()
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.shape[:2] != (header.height, header.width):
        raise Unfit("damaged or of a kind that is not supported")
    array = np.atleast_3d(array)
    if array.shape[2] > 2:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    if header.format == "TIFF":
        return _tiff_meaning(array, tiff_tags(file))
    image = header.image
    if header.format == "PNG" and image is not None:
        return _keyed(array[..., [0, 3]] if header.channels == 1 else array, image.info.get("transparency"))
    return array


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


def _from_maximum(values: np.ndarray, maximum: int) -> np.ndarray:
    """Scales integers in [0, maximum] to the full range of 16 bits."""
    if maximum == 65535:
        return values
    return ((values.astype(np.uint32) * 65535 + maximum // 2) // maximum).astype(np.uint16)


def _refuse_other_tiff(tags: Mapping[int, Any]) -> None:
    kind, bits, colours = tags.get(339, (1,))[0], tags.get(258, (1,))[0], tags.get(262)
    if (kind, bits) not in ((1, 16), (3, 32), (3, 64)) or colours not in (0, 1, 2):
        raise Unfit(f"TIFF with {bits} bits, sample format {kind} and photometric interpretation {colours} is not read")
    if tags.get(284, 1) != 1 and tags.get(277, 1) > 1:  # OpenCV would mix the planes up in silence
        raise Unfit("TIFF of more than 8 bits with a plane a colour is not read")


def _tiff_meaning(array: np.ndarray, tags: Mapping[int, Any]) -> np.ndarray:
    """Applies what OpenCV leaves undone: which type, which end is white, and what the fourth channel is."""
    kind, extra = tags.get(339, (1,))[0], tags.get(338, (0,))[0]
    if kind == 3:
        array = array.astype(np.float32)
    elif tags.get(262) == 0:  # white is zero
        array = 65535 - array
    if array.shape[2] < 4:
        return array
    if extra == 1:  # colours are multiplied by alpha
        full, alpha = (1.0 if kind == 3 else 65535.0), array[..., 3:].astype(np.float64)
        colour = np.minimum(array[..., :3] * (full / np.maximum(alpha, full / 65535)), full)
        array = np.dstack([(colour if kind == 3 else np.rint(colour)).astype(array.dtype), array[..., 3]])
    return array if extra in (1, 2) else array[..., :3]


def _in_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Grey, RGB or CMYK of 8 bits as grey or RGB in sRGB; a profile that is broken or for other colours is ignored."""
    spaces = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
    if icc and icc[16:20] == spaces[image.mode] and not _is_srgb(icc):
        with suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",  # lcms has no grey output for an RGB profile: its three channels are equal
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            if converted is not None:
                return converted.getchannel("G") if image.mode == "L" else converted
    return image.convert("RGB") if image.mode == "CMYK" else image


@lru_cache(maxsize=16)
def _is_srgb(icc: bytes) -> bool:
    with suppress(ImageCms.PyCMSError, OSError):
        return "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
    return False
