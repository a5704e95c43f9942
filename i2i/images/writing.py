"""Encoding images by the ending of their file name; a file appears whole or not at all."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from i2i.errors import ErrorKind, FileError
from i2i.files import write_file
from i2i.images.errors import errors_about
from i2i.images.formats import FORMATS
from i2i.images.formats.format import Encoder, Extras
from i2i.images.pixels import to_channels, to_dtype

_ENCODERS = {ending: encoder for row in FORMATS for encoder in row.encoders for ending in encoder.endings}
WRITABLE = {ending: row.name for row in FORMATS for encoder in row.encoders for ending in encoder.endings}
"""The formats that can be written, by file ending, named as `Picture.format` names them."""
_EXIF_MARK = b"Exif\0\0"


def can_hold(
    path: str | os.PathLike[str],
    channels: int,
    dtype: DTypeLike,
    size: tuple[int, int] | None = None,
    *,
    exact: bool = False,
) -> bool:
    """Whether an image can be written under that name without a loss of channels or depth.

    Args:
        path: its ending tells the format.
        channels: 1 grey, 3 RGB, 4 RGBA; TIFF and npy take any number.
        dtype: value type of the pixels.
        exact: whether floats must stay floats; otherwise a format with 16 bits is enough for them.
        size: height and width in pixels, which WebP, JPEG and AVIF limit; None: the size is not checked.
    """
    encoder = _ENCODERS.get(Path(path).suffix.lower())
    if encoder is None:
        return False
    fits = size is None or encoder.max_side is None or max(size) <= encoder.max_side
    name = np.dtype(dtype).name
    if exact and name == "float32":
        deep = not encoder.dtypes or name in encoder.dtypes
    else:
        deep = name == "uint8" or encoder.dtypes != ("uint8",)
    return fits and deep and (not encoder.channels or channels in encoder.channels)


def write_image(
    path: str | os.PathLike[str],
    pixels: np.ndarray,
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    lossless: bool = False,
    replace: bool = True,
) -> None:
    """Writes an image; its file appears whole or not at all, and a link that lies there is never followed.

    PNG, TIFF, PPM: 8 or 16 bit; JPEG, WebP, AVIF (all three with losses, quality 95) and BMP: 8 bit. float32 stays as
    it is in TIFF, PFM and npy, and becomes 16 bit in PNG and PPM. Arrays with more bits than the format are rounded.

    Args:
        path: where to write; the ending chooses the format.
        pixels: ``(H, W)`` or ``(H, W, C)``; grey, RGB or RGBA; uint8, uint16 or float32 in [0, 1]; TIFF and npy take
            any C.
        icc: profile to embed, if the format can and the profile is for as many channels; without one, sRGB is meant.
        exif: EXIF block, beginning with its TIFF header or with ``Exif`` before that; embedded where the format can.
            Its orientation is for the caller to reset.
        lossless: WebP is coded without loss.
        replace: whether what exists under that name is replaced.

    Raises:
        DataError: the ending is unknown, the format cannot hold the channels, the file cannot be written, or something
            exists there and `replace` is false.
    """
    write_pixels(path, pixels, Extras(icc, exif, lossless), replace=replace)


def write_pixels(path: str | os.PathLike[str], pixels: np.ndarray, extras: Extras, *, replace: bool = True) -> None:
    """Writes an image as `write_image` does, with all that can stand beside the pixels.

    Args:
        path: where to write; the ending chooses the format.
        pixels: ``(H, W)`` or ``(H, W, C)``; uint8, uint16 or float32; TIFF and npy take any C.
        extras: what is written beside them, as far as the format can hold it.
        replace: whether what exists under that name is replaced.

    Raises:
        DataError: as for `write_image`.
    """
    target = Path(path)
    if extras.exif is not None:
        extras = dataclasses.replace(extras, exif=extras.exif.removeprefix(_EXIF_MARK))
    with errors_about(target):
        write_file(target, _encode(target.suffix.lower(), pixels, extras), replace=replace)


def _encode(ending: str, pixels: np.ndarray, extras: Extras) -> bytes:
    encoder = _ENCODERS.get(ending)
    if encoder is None:
        raise FileError(ErrorKind.UNSUPPORTED, f"unknown ending for an output; known are {' '.join(_ENCODERS)}")
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise FileError(ErrorKind.NOT_AN_IMAGE, f"an array of shape {pixels.shape} is no image")
    height, width, channels = pixels.shape
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise FileError(ErrorKind.OUT_OF_RANGE, "the image to write has values that are not finite")
    if encoder.channels and channels not in encoder.channels:
        raise FileError(ErrorKind.CHANNELS, f"{encoder.name} cannot hold {channels} channels")
    if encoder.max_side is not None and max(height, width) > encoder.max_side:
        raise FileError(ErrorKind.TOO_LARGE, f"{width} x {height} pixels are more than {encoder.name} can hold")
    if channels == 1 and not encoder.stores_grey:
        pixels = to_channels(pixels, 3)
    if extras.icc is not None and extras.icc[16:20] != (b"GRAY" if pixels.shape[2] == 1 else b"RGB "):
        extras = dataclasses.replace(extras, icc=None)
    return encoder.encode(np.ascontiguousarray(_in_depth_of(encoder, pixels)), extras)


def _in_depth_of(encoder: Encoder, pixels: np.ndarray) -> np.ndarray:
    """Pixels in a value type that the format holds: their own, or else the one with the most bits."""
    held = encoder.dtypes
    if not held:
        return pixels
    return to_dtype(pixels, pixels.dtype if pixels.dtype.name in held else held[-1])
