"""Encoding images by the ending of their file name; a file appears whole or not at all."""

from __future__ import annotations

import io
import os
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike
from PIL import Image

from i2i.errors import ErrorKind, FileError
from i2i.files import write_file
from i2i.images.errors import named
from i2i.images.formats.tiff_writing import encode_tiff
from i2i.images.pixels import to_channels, to_dtype

WRITABLE = {
    ".png": "PNG",
    ".apng": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pnm": "PPM",
    ".pfm": "PPM",
    ".npy": "NPY",
}
"""The formats that can be written, by file ending, named as `Picture.format` names them."""

_CHANNELS = {"PNG": (1, 3, 4), "TIFF": (1, 3, 4), "WEBP": (1, 3, 4), "AVIF": (1, 3, 4), "JPEG": (1, 3), "BMP": (1, 3)}
_PPM_CHANNELS = {".ppm": (3,), ".pgm": (1,), ".pnm": (1, 3), ".pfm": (1,)}  # colour PFM is beyond most readers
_EIGHT_BIT = ("JPEG", "WEBP", "AVIF", "BMP")
_LONGEST_SIDE = {"WEBP": 16_383, "JPEG": 65_500, "AVIF": 65_535}
# Deflate looks for runs only and takes the best filter of each row. For 1024 x 1024 and one thread: 39 ms and 0.65 MB
# (mean of three photographs), 18 kB for a label map; levels 1 to 4 of full deflate take 43 to 61 ms for 0.63 to 0.73 MB
# and 19 to 37 kB, OpenCV's default 22 ms for 0.8 MB, Pillow's 293 ms.
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
# Quality 95, and colour at full resolution where the format offers it: label maps have sharp edges between colours,
# and for a photograph as JPEG that is 3 to 4 dB for a fifth more bytes. Pillow's own WebP method (4) and AVIF speed (6)
# take 3 to 7 times as long for 0.5 dB.
_PILLOW_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95, "method": 2, "exact": True},  # exact: the colours under full transparency stay
    "AVIF": {"quality": 95, "subsampling": "4:4:4", "speed": 8},
    "BMP": {},
}
_LOSSLESS_WEBP = {"lossless": True, "method": 2, "exact": True}
_EXIF_MARK = b"Exif\0\0"
_MOST_EXIF_IN_JPEG = 65_533


def can_hold(
    path: str | os.PathLike[str], channels: int, dtype: DTypeLike, size: tuple[int, int] | None = None
) -> bool:
    """Whether an image can be written under that name without a loss of channels or depth.

    Args:
        path: its ending tells the format.
        channels: 1 grey, 3 RGB, 4 RGBA; npy takes any number.
        dtype: more than 8 bits need a format that has more, 16 at least.
        size: height and width, which WebP, JPEG and AVIF limit; None: not asked.
    """
    ending = Path(path).suffix.lower()
    kind = WRITABLE.get(ending)
    if kind is None or kind == "NPY":
        return kind is not None
    if size is not None and max(size) > _LONGEST_SIDE.get(kind, max(size)):
        return False
    return channels in _channels(ending) and (np.dtype(dtype) == np.uint8 or kind not in _EIGHT_BIT)


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
        path: where to; the ending chooses the format.
        pixels: ``(H, W)`` or ``(H, W, C)``; grey, RGB or RGBA; uint8, uint16 or float32 in [0, 1]; npy takes any C.
        icc: profile to embed where the format can and the profile is for as many channels; sRGB is meant without.
        exif: EXIF block, beginning with its TIFF header or with ``Exif`` before that; embedded where the format can.
            Its orientation is for the caller to reset.
        lossless: WebP is coded without loss.
        replace: whether what is there is replaced.

    Raises:
        DataError: the ending is unknown, the format cannot hold the channels, the file cannot be written, or something
            is there and `replace` is false.
    """
    target = Path(path)
    with named(target):
        write_file(target, _encode(target.suffix.lower(), pixels, icc, exif, lossless=lossless), replace=replace)


def _channels(ending: str) -> tuple[int, ...]:
    return _PPM_CHANNELS.get(ending) or _CHANNELS[WRITABLE[ending]]


def _encode(ending: str, pixels: np.ndarray, icc: bytes | None, exif: bytes | None, *, lossless: bool) -> bytes:
    kind = WRITABLE.get(ending)
    if kind is None:
        raise FileError(ErrorKind.UNSUPPORTED, f"unknown ending for an output; known are {' '.join(WRITABLE)}")
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise FileError(ErrorKind.NOT_AN_IMAGE, f"an array of shape {pixels.shape} is no image")
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise FileError(ErrorKind.OUT_OF_RANGE, "the image to write has values that are not finite")
    if kind != "NPY" and pixels.shape[2] not in _channels(ending):
        raise FileError(
            ErrorKind.CHANNELS, f"{'PFM' if ending == '.pfm' else kind} cannot hold {pixels.shape[2]} channels"
        )
    if kind in ("NPY", "PPM"):
        return {".npy": _npy, ".pfm": _pfm}.get(ending, _ppm)(pixels)
    if kind in ("WEBP", "AVIF") and pixels.shape[2] == 1:
        pixels = to_channels(pixels, 3)  # so it is stored, and the profile must suit
    if icc is not None and icc[16:20] != (b"GRAY" if pixels.shape[2] == 1 else b"RGB "):
        icc = None
    encode = {"PNG": _png, "TIFF": encode_tiff}.get(kind) or partial(_by_pillow, kind, lossless=lossless)
    return encode(_in_depth_of(kind, pixels), icc, exif.removeprefix(_EXIF_MARK) if exif else None)


def _in_depth_of(kind: str, pixels: np.ndarray) -> np.ndarray:
    if kind in _EIGHT_BIT or pixels.dtype == np.uint8:
        return to_dtype(pixels, np.uint8)
    return to_dtype(pixels, np.float32 if kind == "TIFF" and pixels.dtype != np.uint16 else np.uint16)


def _png(pixels: np.ndarray, icc: bytes | None, exif: bytes | None) -> bytes:
    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    ordered = cv2.cvtColor(pixels, codes[pixels.shape[2]]) if pixels.shape[2] in codes else pixels[..., 0]
    done, encoded = cv2.imencode(".png", ordered, _PNG_OPTIONS)
    if not done:
        raise FileError(ErrorKind.UNSUPPORTED, "the PNG encoder failed")
    data = encoded.tobytes()
    extra = _chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc)) if icc is not None else b""
    if exif is not None:
        extra += _chunk(b"eXIf", exif)
    return data[:33] + extra + data[33:]  # right after the signature (8 bytes) and IHDR (25)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _by_pillow(kind: str, pixels: np.ndarray, icc: bytes | None, exif: bytes | None, *, lossless: bool) -> bytes:
    height, width, channels = pixels.shape
    if max(height, width) > _LONGEST_SIDE.get(kind, max(height, width)):
        raise FileError(ErrorKind.TOO_LARGE, f"{width} x {height} pixels are more than {kind} can hold")
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    options = _LOSSLESS_WEBP if kind == "WEBP" and lossless else _PILLOW_OPTIONS[kind]
    metadata: dict[str, Any] = {"icc_profile": icc}
    if exif is not None:
        metadata["exif"] = _EXIF_MARK + exif
        if kind == "JPEG" and len(metadata["exif"]) > _MOST_EXIF_IN_JPEG:
            raise FileError(ErrorKind.TOO_LARGE, "the EXIF block is too long for JPEG")
    buffer = io.BytesIO()
    image.save(buffer, kind, **options, **(metadata if kind != "BMP" else {}))
    return buffer.getvalue()


def _npy(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, pixels, allow_pickle=False)
    return buffer.getvalue()


def _ppm(pixels: np.ndarray) -> bytes:
    """Binary PGM or PPM; written here as Pillow has no 16-bit colour."""
    pixels = pixels if pixels.dtype == np.uint8 else to_dtype(pixels, np.uint16)
    (height, width, channels), most = pixels.shape, np.iinfo(pixels.dtype).max
    head = f"P{5 if channels == 1 else 6}\n{width} {height}\n{most}\n".encode()
    return head + pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).tobytes()


def _pfm(pixels: np.ndarray) -> bytes:
    """Grey PFM: little-endian floats, the bottom row first."""
    height, width = pixels.shape[:2]
    return f"Pf\n{width} {height}\n-1.0\n".encode() + to_dtype(pixels, np.float32)[::-1].astype("<f4").tobytes()
