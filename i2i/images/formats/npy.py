"""Arrays of numpy as images: ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or floats; nothing is unpickled."""

from __future__ import annotations

import io
from collections.abc import Iterator
from tokenize import TokenError
from typing import BinaryIO

import numpy as np

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Extras, Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_size
from i2i.images.pixels import has_channels_first

_MAX_HEADER_BYTES = 10_000  # numpy refuses more, but reads it first


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    shape, dtype = _header(file)
    height, width, channels = shape
    refuse_size(width, height, limits.max_pixels)
    start, end = file.tell(), file.seek(0, io.SEEK_END)
    if end - start < height * width * channels * dtype.itemsize:
        raise FileError(ErrorKind.CUT_OFF, "cut off: the data of the npy file are not all there")
    bits = 32 if dtype.kind == "f" else dtype.itemsize * 8
    return OpenedImage(width, height, channels, bits, decode=lambda: _decode(file, shape, dtype))


def _header(file: BinaryIO) -> tuple[tuple[int, int, int], np.dtype]:
    """Shape ``(H, W, C)`` and type; the data come next in the file."""
    file.seek(0)
    version = np.lib.format.read_magic(file)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(file.read(width), "little")
    if length > _MAX_HEADER_BYTES:
        raise FileError(ErrorKind.DAMAGED, "damaged: the header of the npy file is too long")
    file.seek(-width, io.SEEK_CUR)
    read = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(file)
    except (ValueError, SyntaxError, TokenError):
        raise FileError(ErrorKind.DAMAGED, "damaged: the header of the npy file") from None
    if len(shape) not in (2, 3) or min(shape) < 1 or has_channels_first(shape):
        raise FileError(ErrorKind.CHANNELS, f"an array of shape {shape} is no image (H, W, C)")
    if dtype.str[1:] not in ("u1", "u2", "f2", "f4", "f8"):
        raise FileError(ErrorKind.NOT_AN_IMAGE, f"an array of type {dtype} is no image; uint8, uint16 and floats are")
    return (shape[0], shape[1], (*shape, 1)[2]), dtype


def _decode(file: BinaryIO, shape: tuple[int, int, int], dtype: np.dtype) -> Iterator[Frame]:
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False).reshape(shape)
    with np.errstate(all="ignore"):  # values that become infinite are refused later
        pixels = array.astype(np.float32 if dtype.kind == "f" else dtype.newbyteorder("="), order="C")
    yield Frame(pixels, has_alpha=shape[2] == 4)


def _encode(pixels: np.ndarray, extras: Extras) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, pixels, allow_pickle=False)
    return buffer.getvalue()


NPY = Format(
    name="NPY",
    endings=(".npy",),
    matches=lambda start: start.startswith(b"\x93NUMPY"),
    open=_open,
    encoders=(Encoder("NPY", (".npy",), _encode),),
)
