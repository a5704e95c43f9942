"""The segments of a JPEG (ITU-T T.81, annex B): whether all scans are there, and not too many.

libjpeg does not tell: it fills up missing data as long as it finds an end marker.
"""

from __future__ import annotations

import math
import re

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.limits import refuse_implausible

_MAX_SCANS = 100
_MAX_SCANNED_PIXELS = 3_000_000_000  # pixels times scans: some 10 seconds of decoding
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_PROGRESSIVE, _LOSSLESS = 0xC2, 0xC3
_ALL_BITS = 16  # more than any coefficient has
_BLOCKS = (0xC0, 0xC1, _PROGRESSIVE)  # Huffman coded, in blocks of 8 x 8


class Segments:
    """The segments of the first picture in a file.

    Args:
        data: the whole file.

    Attributes:
        end: position of the end marker.

    Raises:
        FileError: the end or whole scans are missing, or there are more than 100 scans.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.end = 0
        self._frame_marker = self._scans = 0
        self._width = self._height = self._interval = 0
        self._components: dict[int, tuple[int, int]] = {}  # sampling factors across and down
        self._missing: dict[int, bytearray] = {}  # lowest bits of each coefficient that have not come, by component
        self._restarts = (0, 0)
        self._walk()
        if any(map(any, self._missing.values())) or not self._scans:
            raise _missing_scans()
        if self._restarts[0] < self._restarts[1]:
            raise FileError(ErrorKind.CUT_OFF, "cut off: restart intervals of the JPEG are missing")

    @property
    def is_huffman_coded(self) -> bool:
        """Whether a decoder reads all data up to the end marker; arithmetic coding may end before."""
        return self._frame_marker in (*_BLOCKS, _LOSSLESS)

    def refuse_bomb(self) -> None:
        """Raises FileError where the header promises more than the data can hold, a bit a block, or costs too much."""
        pixels = self._width * self._height
        if self._frame_marker in _BLOCKS:
            blocks = sum(math.prod(self._blocks(component)) for component in self._components)
            refuse_implausible(pixels, pixels * 8 * self.end / max(1, blocks))
        if pixels * self._scans > _MAX_SCANNED_PIXELS:
            raise FileError(ErrorKind.TOO_LARGE, f"a JPEG of {self._scans} scans is not read at this size")

    def _walk(self) -> None:
        data, at = self._data, 2
        while True:
            marker = _MARKER.search(data, at)
            if marker is None:
                raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the JPEG is missing")
            code, at = data[marker.end() - 1], marker.end()
            if code == 0xD9:
                self.end = marker.start()
                return
            if code in (0xD8, 0x01):
                continue
            length = int.from_bytes(data[at : at + 2])
            body, at = data[at + 2 : at + length], at + length
            if length < 2 or at > len(data):
                raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the JPEG is missing")
            if code in _FRAMES:
                self._read_frame(code, body)
            elif code == 0xDD:
                self._interval = int.from_bytes(body[:2])
            elif code == 0xDA:
                at = self._read_scan(body, at)

    def _read_frame(self, code: int, body: bytes) -> None:
        if len(body) < 6 or len(body) < 6 + 3 * body[5] or self._frame_marker:
            raise FileError(ErrorKind.DAMAGED, "damaged: the frame header of the JPEG")
        self._frame_marker, self._height, self._width = code, int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
        self._components = {body[at]: (body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * body[5], 3)}
        if any(0 in factors for factors in self._components.values()):
            raise FileError(ErrorKind.DAMAGED, "damaged: the frame header of the JPEG")
        self._missing = {component: bytearray([_ALL_BITS]) * 64 for component in self._components}

    def _read_scan(self, body: bytes, at: int) -> int:
        """Notes which coefficients a scan holds; returns the position where its data end."""
        count = body[0] if body else 0
        if len(body) < 4 + 2 * count:
            raise FileError(ErrorKind.DAMAGED, "damaged: a scan header of the JPEG")
        self._scans += 1
        if self._scans > _MAX_SCANS:
            raise FileError(ErrorKind.TOO_LARGE, f"a JPEG of more than {_MAX_SCANS} scans is not read")
        components = [component for component in body[1 : 1 + 2 * count : 2] if component in self._components]
        first, last, bits = body[1 + 2 * count], body[2 + 2 * count], body[3 + 2 * count]
        high, low = bits >> 4, bits & 15
        if self._frame_marker != _PROGRESSIVE:
            first, last, high, low = 0, 63, 0, 0
        for component in components:
            bits_missing = self._missing[component][first : last + 1]
            if high and max(bits_missing, default=0) > high:  # refines what has never come
                raise _missing_scans()
            self._missing[component][first : last + 1] = bytes(min(bit, low) for bit in bits_missing)
        following = _MARKER.search(self._data, at)
        end = following.start() if following else len(self._data)
        if self._interval and components:
            units = math.prod(self._blocks(components[0]) if len(components) == 1 else self._units())
            found = len(_RESTART.findall(self._data, at, end))
            self._restarts = (found, math.ceil(units / self._interval) - 1)
        return end

    def _units(self) -> tuple[int, int]:
        """Groups of blocks across and down, where the scan holds several components."""
        across, down = (max(factors[axis] for factors in self._components.values()) for axis in (0, 1))
        return math.ceil(self._width / (8 * across)), math.ceil(self._height / (8 * down))

    def _blocks(self, component: int) -> tuple[int, int]:
        """Blocks of one component across and down."""
        across, down = (max(factors[axis] for factors in self._components.values()) for axis in (0, 1))
        wide, high = self._components[component]
        return (
            math.ceil(math.ceil(self._width * wide / across) / 8),
            math.ceil(math.ceil(self._height * high / down) / 8),
        )


def _missing_scans() -> FileError:
    return FileError(ErrorKind.CUT_OFF, "cut off: scans of the JPEG are missing")
