"""What formats that Pillow decodes or encodes have in common."""

from __future__ import annotations

import ctypes
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from i2i.errors import ErrorKind, FileError
from i2i.images.colour import in_srgb
from i2i.images.formats.format import Extras, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_size

EXIF_MARK = b"Exif\0\0"
"""The bytes before the TIFF header of an EXIF block, in a JPEG and for Pillow."""

# Messages of decoders reach users as the one line of a DataError, not as library output on stderr. Set at import, as
# these settings are the whole process's: threads that decode at the same time cannot each have their own.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
with suppress(AttributeError, OSError):  # libtiff prints by itself; not every platform lets us reach it
    _set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    _set_handler.argtypes, _set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    _set_handler(None)


def open_by_pillow(file: BinaryIO, name: str, limits: Limits) -> ImageFile.ImageFile:
    """Lets Pillow read the header; its own limit of pixels is raised to that of `limits`.

    Args:
        file: at any position.
        name: Pillow's name of the format.
        limits: of the size.

    Raises:
        FileError: too large, or a header that Pillow does not understand.
    """
    if Image.MAX_IMAGE_PIXELS is not None and limits.max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limits.max_pixels
    file.seek(0)
    try:
        image = Image.open(file, formats=(name,))
    except Image.DecompressionBombError:
        raise FileError(ErrorKind.TOO_LARGE, f"more pixels than the limit of {limits.max_pixels}") from None
    except UnidentifiedImageError:
        raise FileError(ErrorKind.DAMAGED, f"damaged or of a kind that is not read: the header of the {name}") from None
    refuse_size(*image.size, limits.max_pixels)
    return image


def opened_by_pillow(image: ImageFile.ImageFile, **changes: Any) -> OpenedImage:
    """The `OpenedImage` of a file that Pillow has opened, decoded by Pillow with 8 bits a channel.

    Args:
        image: the result of `open_by_pillow`.
        changes: attributes of `OpenedImage` that are other than Pillow says.
    """
    frames = int(getattr(image, "n_frames", 1))
    found: dict[str, Any] = {
        "channels": channels_of(image),
        "bits": 8,
        "decode": lambda: decode_by_pillow(image, frames),
        "frames": frames,
        "orientation": orientation_of(image),
    }
    return OpenedImage(*image.size, **(found | changes))


def decode_by_pillow(image: ImageFile.ImageFile, frames: int, stored_full: int = 0) -> Iterator[Frame]:
    """Lets Pillow decode the frames in order; `stored_full` is what `Frame` says."""
    for frame in range(frames):
        if frame:
            image.seek(frame)
        image.load()
        indices = palette_indices(image)
        yield Frame(*picture_arrays(image), image.getexif, indices=indices, stored_full=stored_full)


def picture_arrays(image: Image.Image) -> tuple[np.ndarray, bytes | None]:
    """Array ``(H, W, 1..4)`` of an image that Pillow has loaded, and the profile its values refer to."""
    icc = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        wide = np.array(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise FileError(ErrorKind.UNSUPPORTED, "integers of 32 bits are not read")
        grey = wide.astype(np.uint16)[..., np.newaxis]
        return with_transparent_colour(grey, image.info.get("transparency")), icc
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


def palette_indices(image: Image.Image) -> np.ndarray | None:
    """Numbers of the pixels' colours in the palette, ``(H, W)`` uint8; None of an image without a palette."""
    if image.mode not in ("P", "PA"):
        return None
    return np.array(image if image.mode == "P" else image.getchannel(0))


def with_transparent_colour(pixels: np.ndarray, colour: int | tuple[int, ...] | None) -> np.ndarray:
    """Appends the alpha of a 16-bit image in which one colour stands for transparent; None leaves it as it is."""
    if colour is None:
        return pixels
    opaque = (pixels != np.asarray(colour)).any(axis=2)
    return np.dstack([pixels, np.where(opaque, 65535, 0).astype(np.uint16)])


def is_grey(image: Image.Image) -> bool:
    """Whether the mode is grey, with or without alpha."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def has_alpha(image: Image.Image) -> bool:
    """Whether there is an alpha channel, or a colour that stands for transparent."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def channels_of(image: Image.Image) -> int:
    """1 for grey, with or without alpha, 3 for colour, 4 for colour with alpha."""
    return 1 if is_grey(image) else 4 if has_alpha(image) else 3


def orientation_of(image: Image.Image) -> int:
    """The number of EXIF's orientation tag; 1 where there is none that can be read."""
    try:
        value = Image.Image.getexif(image).get(0x0112, 1)
    except Exception:  # EXIF that cannot be read is no reason to lose the image
        return 1
    return value if isinstance(value, int) else 1


def encode_by_pillow(name: str, pixels: np.ndarray, extras: Extras, **options: Any) -> bytes:
    """Encodes pixels with their profile and EXIF block.

    Args:
        name: Pillow's name of the format.
        pixels: ``(H, W, 1, 3 or 4)`` uint8.
        extras: the profile and the EXIF block.
        options: of Pillow's encoder.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    exif = {} if extras.exif is None else {"exif": EXIF_MARK + extras.exif}
    buffer = io.BytesIO()
    image.save(buffer, name, icc_profile=extras.icc, **exif, **options)
    return buffer.getvalue()


def _without_alpha(image: Image.Image) -> Image.Image:
    bands = image.split()[:-1]
    return bands[0] if len(bands) == 1 else Image.merge("RGB", bands)
