"""How many bytes the image data of a PNG unpack to, compared with what its header asks for (PNG, sections 7.2 and 8).

Decoders fill up in silence where a stream ends early but properly.
"""

from __future__ import annotations

import struct
import zlib
from typing import ClassVar

from i2i.errors import ErrorKind, FileError

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE_BYTES = 1 << 20


class ImageData:
    """Unpacks the image, and the frames of an animation, to see whether all rows are there.

    Attributes:
        CHUNKS: the chunks that `add` must be given.
    """

    CHUNKS: ClassVar[frozenset[bytes]] = frozenset({b"IHDR", b"IDAT", b"fcTL", b"fdAT", b"IEND"})

    def __init__(self) -> None:
        self._missing, self._stream, self._last = 0, zlib.decompressobj(), b""
        self._pixel_bits, self._woven = 8, False

    def add(self, kind: bytes, data: bytes) -> None:
        """Takes the next chunk, with its data.

        Raises:
            FileError: the data of an image or frame have ended, and rows are missing.
        """
        if self._last in (b"IDAT", b"fdAT") and kind in (b"fcTL", b"IEND") and self._missing > 0:
            raise FileError(ErrorKind.CUT_OFF, "cut off: the data of the PNG end before its last row")
        if kind == b"IHDR":
            width, height, bits, colour_type, _, _, woven = struct.unpack(">IIBBBBB", data)
            self._pixel_bits, self._woven = bits * _CHANNELS.get(colour_type, 1), bool(woven)
            self._begin(width, height)
        elif kind == b"fcTL" and self._last in (b"IDAT", b"fdAT"):  # the one before IDAT is about the image itself
            self._begin(*struct.unpack_from(">II", data, 4))
        elif kind in (b"IDAT", b"fdAT"):
            self._unpack(data if kind == b"IDAT" else data[4:])  # behind the number of the chunk
        self._last = kind

    def _begin(self, width: int, height: int) -> None:
        """Asks for all rows, each with the number of its filter; for those of seven passes if interlaced."""
        passes = _ADAM7 if self._woven else ((0, 0, 1, 1),)
        sizes = [(-(-(width - left) // across), -(-(height - top) // down)) for left, top, across, down in passes]
        lengths = [rows * (1 + (columns * self._pixel_bits + 7) // 8) for columns, rows in sizes if columns > 0]
        self._missing, self._stream = sum(length for length in lengths if length > 0), zlib.decompressobj()

    def _unpack(self, data: bytes) -> None:
        try:
            while data and self._missing > 0 and not self._stream.eof:
                self._missing -= len(self._stream.decompress(data, min(_PIECE_BYTES, self._missing)))
                data = self._stream.unconsumed_tail
        except zlib.error:
            raise FileError(ErrorKind.DAMAGED, "damaged: the data of the PNG cannot be unpacked") from None
