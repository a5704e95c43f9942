"""Whether a file's data can be what its header says: asked before decoding, or where decoders fill up in silence."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from i2i.errors import ErrorKind, FileError

PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\xaeB`\x82"  # checksum of the chunk IEND
_PNG_EXPANSION = 1040  # bytes that a byte can unpack to; deflate's most is 1032
_HARMLESS_PIXELS = 1 << 22  # so few cost nothing even if the header lies
_VP8_PIXELS = 700  # that a byte can hold: the prediction modes of 16 x 16 pixels take 3.4 bits or more
_MORE_THAN_A_BYTE_HOLDS = 16_384  # pixels: WebP and AVIF of one colour come close


def refuse_size(width: int, height: int, max_pixels: int) -> None:
    """Raises FileError where an image is too large, or nothing at all."""
    if width < 1 or height < 1:
        raise FileError(ErrorKind.DAMAGED, "damaged: an image without a size")
    if width * height > max_pixels:
        raise FileError(ErrorKind.TOO_LARGE, f"{width} x {height} pixels are more than the limit of {max_pixels}")


def refuse_lie(pixels: int, most: float) -> None:
    """Raises FileError where a header promises more pixels than its data can hold."""
    if pixels > max(most, _HARMLESS_PIXELS):
        raise FileError(
            ErrorKind.IMPLAUSIBLE, "damaged or a bomb: the header promises more pixels than the data can hold"
        )


def refuse_thin(pixels: int, size: int) -> None:
    """The same for formats that can hold any number of pixels of one colour in a few bytes."""
    refuse_lie(pixels, max(size * _MORE_THAN_A_BYTE_HOLDS, 4 * _HARMLESS_PIXELS))


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG as type, position and length of the data; raises when the last one is not there in full."""
    start, size = 8, file.seek(0, io.SEEK_END)
    while True:
        file.seek(start)
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (size, b"")
        file.seek(start + 8 + length)
        if start + length + 12 > size or (kind == b"IEND" and file.read(4) != _PNG_END):
            raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the PNG is missing")
        yield kind, start, length
        if kind == b"IEND":
            return
        start += length + 12


def check_png(file: BinaryIO, max_pixels: int, thorough: bool) -> None:
    """Raises FileError where chunks that decide about pixels are missing, damaged, or less than the header promises."""
    packed, promised, colours = 0, 0, True
    for kind, start, length in png_chunks(file):
        packed += length if kind == b"IDAT" else 0
        colours = colours or kind == b"PLTE"
        if kind == b"IHDR" or (thorough and kind in (b"PLTE", b"IDAT", b"tRNS")):
            file.seek(start + 4)
            body, checksum = file.read(length + 4), file.read(4)
            if thorough and checksum != struct.pack(">I", zlib.crc32(body)):
                raise FileError(ErrorKind.DAMAGED, f"damaged: wrong checksum in chunk {kind.decode()}")
            if kind == b"IHDR" and length == 13:
                width, height, bits, kind_of_colour = struct.unpack_from(">IIBB", body, 4)
                colours = kind_of_colour != 3
                refuse_size(width, height, max_pixels)
                promised = width * height * bits // 8
    if not packed or not colours:
        raise FileError(ErrorKind.DAMAGED, f"damaged: a PNG without {'a palette' if packed else 'image data'}")
    refuse_lie(promised, packed * _PNG_EXPANSION)


def is_lossless_webp(file: BinaryIO) -> bool:
    """Whether the picture, or the first frame, of a WebP that was checked is coded without loss."""
    place = 12
    for _ in range(100):  # a few come before the picture
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[:4] in (b"VP8 ", b"VP8L"):
            return head[:4] == b"VP8L"
        # a frame (ANMF) has 16 bytes of its own, and then the same chunks
        place += 24 if head[:4] == b"ANMF" else 8 + (int.from_bytes(head[4:], "little") + 1) // 2 * 2
    return False


def check_webp(file: BinaryIO, max_pixels: int) -> None:
    """Raises FileError where the file is shorter than it says, too large, or promises more than it can hold."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(30)
    if len(start) < 30 or int.from_bytes(start[4:8], "little") + 8 > size:
        raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the WebP is missing")
    kind = start[12:16]
    if kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", start, 26))
    elif kind == b"VP8L":
        packed = struct.unpack_from("<I", start, 21)[0]
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    refuse_size(width, height, max_pixels)
    if kind == b"VP8 ":
        refuse_lie(width * height, size * _VP8_PIXELS)
    refuse_thin(width * height, size)
