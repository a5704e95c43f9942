"""PNG and APNG, checked chunk by chunk. Pillow decodes, OpenCV encodes, and decodes colour of 16 bits.

gAMA, cHRM, sBIT and cICP are not looked at. An APNG of 16 bits is not read.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageFile

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Extras, Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_implausible, refuse_size
from i2i.images.formats.pillow import (
    channels_of,
    decode_by_pillow,
    open_by_pillow,
    opened_by_pillow,
    orientation_of,
    with_transparent_colour,
)
from i2i.images.formats.png_data import ImageData

_START = b"\x89PNG\r\n\x1a\n"
_END = b"\xaeB`\x82"  # checksum of the chunk IEND
_MAX_EXPANSION = 1040  # bytes that a byte of deflate can unpack to: at most 1032
# Deflate looks for runs only and takes the best filter of each row. For 1024 x 1024 and one thread: 39 ms and 0.65 MB
# (mean of three photographs), 18 kB for a label map; levels 1 to 4 of full deflate take 43 to 61 ms for 0.63 to 0.73 MB
# and 19 to 37 kB, OpenCV's default 22 ms for 0.8 MB, Pillow's 293 ms.
_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    _check(file, limits)
    image = open_by_pillow(file, "PNG", limits)
    stored = str(image.tile[0].args) if image.tile else ""  # such as "RGB;16B", where Pillow's mode is RGB
    key, full = image.info.get("transparency"), {"1": 1, "L;2": 3, "L;4": 15}.get(stored, 0)
    if full > 1 and isinstance(key, int):  # Pillow spreads grey of 2 and 4 bits over the range of 8, but not this value
        image.info["transparency"] = key * (255 // full)
    for kind, start, length in _chunks(file):
        if kind == b"eXIf":  # may stand behind the data, where Pillow finds it only after decoding
            file.seek(start + 8)
            image.info.setdefault("exif", file.read(length))
    channels = 1 if stored.startswith("L") else channels_of(image)
    frames = int(getattr(image, "n_frames", 1))
    deep = "16" in stored
    read = partial(_deep_frame, file, image, channels) if deep else partial(decode_by_pillow, image, stored_full=full)
    changes = {"bits": 16} if deep else {"orientation": orientation_of(image)}
    return opened_by_pillow(image, channels=channels, decode=lambda: _decode(file, image, frames, read), **changes)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The chunks as type, position and length of the data; raises when the last one is not there in full."""
    start, size = 8, file.seek(0, io.SEEK_END)
    while True:
        file.seek(start)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (size, b"")
        file.seek(start + 8 + length)
        if start + length + 12 > size or (kind == b"IEND" and file.read(4) != _END):
            raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the PNG is missing")
        yield kind, start, length
        if kind == b"IEND":
            return
        start += length + 12


def _check(file: BinaryIO, limits: Limits) -> None:
    """Raises FileError where chunks that decide about pixels are missing, damaged, or less than the header promises."""
    packed, promised, has_colours = 0, 0, True
    for kind, start, length in _chunks(file):
        packed += length if kind == b"IDAT" else 0
        has_colours = has_colours or kind == b"PLTE"
        if kind == b"IHDR" or (limits.thorough and kind in (b"PLTE", b"IDAT", b"tRNS")):
            file.seek(start + 4)
            body, checksum = file.read(length + 4), file.read(4)
            if limits.thorough and checksum != struct.pack(">I", zlib.crc32(body)):
                raise FileError(ErrorKind.DAMAGED, f"damaged: wrong checksum in chunk {kind.decode()}")
            if kind == b"IHDR" and length == 13:
                width, height, bits, colour_type = struct.unpack_from(">IIBB", body, 4)
                has_colours = colour_type != 3
                refuse_size(width, height, limits.max_pixels)
                promised = width * height * bits // 8
    if not packed or not has_colours:
        raise FileError(ErrorKind.DAMAGED, f"damaged: a PNG without {'a palette' if packed else 'image data'}")
    refuse_implausible(promised, packed * _MAX_EXPANSION)


def _decode(
    file: BinaryIO, image: ImageFile.ImageFile, frames: int, read: Callable[[int], Iterator[Frame]]
) -> Iterator[Frame]:
    """The frames; data that end before the last row are refused, where Pillow leaves the rest black.

    Unpacking all data again takes as long as half the decoding, so a plain image with anything in its last row is not
    looked at.
    """
    try:
        image.load()
    except OSError:
        _refuse_missing_rows(file)
        raise
    last_row = image.crop((0, image.height - 1, image.width, image.height))
    if frames > 1 or "interlace" in image.info or last_row.getbbox() is None:
        _refuse_missing_rows(file)
    yield from read(frames)


def _refuse_missing_rows(file: BinaryIO) -> None:
    data = ImageData()
    for kind, start, length in _chunks(file):
        if kind in ImageData.CHUNKS:
            file.seek(start + 8)
            data.add(kind, file.read(length))


def _deep_frame(file: BinaryIO, image: ImageFile.ImageFile, channels: int, frames: int) -> Iterator[Frame]:
    """The single frame of 16 bits a channel; Pillow, which would cut colour to 8, finds out whether it is complete."""
    if frames > 1:
        raise FileError(ErrorKind.UNSUPPORTED, "an animated PNG of 16 bits is not read")
    if image.mode.startswith("I"):
        yield from decode_by_pillow(image, 1)
        return
    image.load()
    array = cv2.imdecode(np.frombuffer(_essentials(file), np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.shape[1::-1] != image.size:
        raise FileError(ErrorKind.DAMAGED, "damaged or of a kind that is not supported")
    array = np.atleast_3d(array)
    if array.shape[2] > 2:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    pixels = with_transparent_colour(array[..., [0, 3]] if channels == 1 else array, image.info.get("transparency"))
    yield Frame(pixels, image.info.get("icc_profile"), image.getexif)


def _essentials(file: BinaryIO) -> bytes:
    """The PNG without the chunks that OpenCV would warn about, animate, or apply in a way of its own."""
    file.seek(0)
    kept = [file.read(8)]
    for kind, start, length in _chunks(file):
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            file.seek(start)
            kept.append(file.read(length + 12))
    return b"".join(kept)


def _encode(pixels: np.ndarray, extras: Extras) -> bytes:
    if extras.palette and pixels.shape[2] == 1:
        return _with_palette(pixels[..., 0], extras.palette)
    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    ordered = cv2.cvtColor(pixels, codes[pixels.shape[2]]) if pixels.shape[2] in codes else pixels[..., 0]
    done, encoded = cv2.imencode(".png", ordered, _OPTIONS)
    if not done:
        raise FileError(ErrorKind.UNSUPPORTED, "the PNG encoder failed")
    data = encoded.tobytes()
    more = _chunk(b"iCCP", b"icc\0\0" + zlib.compress(extras.icc)) if extras.icc is not None else b""
    if extras.exif is not None:
        more += _chunk(b"eXIf", extras.exif)
    return data[:33] + more + data[33:]  # right after the signature (8 bytes) and IHDR (25)


def _with_palette(values: np.ndarray, palette: Sequence[tuple[int, int, int]]) -> bytes:
    image, file = Image.fromarray(values, "P"), io.BytesIO()
    image.putpalette([part for colour in palette for part in colour])
    image.save(file, "PNG", compress_level=2, bits=8)
    return file.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = Format(
    name="PNG",
    endings=(".png", ".apng"),
    matches=lambda start: start.startswith(_START),
    open=_open,
    encoders=(Encoder("PNG", (".png", ".apng"), _encode, channels=(1, 3, 4), dtypes=("uint8", "uint16")),),
)
