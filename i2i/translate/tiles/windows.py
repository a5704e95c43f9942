"""Cutting an image into overlapping windows, each with a core; the cores cover the image without overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[slice, slice]
"""Rows and columns of a window."""


@dataclass(frozen=True)
class Span:
    """A window along one axis, and its core, the part that goes into the result; in pixels of the input.

    Attributes:
        start: first pixel of the window.
        stop: pixel after the last one of the window.
        first: first pixel of the core.
        last: pixel after the last one of the core.
        length: pixels of the whole axis.
    """

    start: int
    stop: int
    first: int
    last: int
    length: int

    @property
    def window(self) -> slice:
        """The window, to cut it out of the whole image."""
        return slice(self.start, self.stop)

    def kept(self, scale: int) -> tuple[slice, slice]:
        """The core's place in the output of the whole image, and in the output of the window."""
        in_whole = slice(self.first * scale, self.last * scale)
        return in_whole, slice((self.first - self.start) * scale, (self.last - self.start) * scale)

    def core(self, multiple: int) -> tuple[int, int, int]:
        """Start and stop of the core within the window, and the window's length, all after padding by the graph.

        The graph pads only the window at the end of the image; there the padding belongs to the core.
        """
        padded = round_up(self.stop - self.start, multiple)
        stop = padded if self.last == self.length else self.last - self.start
        return self.first - self.start, stop, padded


def spans(length: int, side: int, overlap: int, multiple: int) -> list[Span]:
    """Cuts one axis.

    Windows start and cores end at multiples, so that the network's strides fall on the same pixels as in the whole
    image, and all but those that end with the image have lengths that need no padding.

    Args:
        length: pixels of the axis.
        side: largest length of a core, a multiple of `multiple`.
        overlap: smallest number of pixels of the window on each side of the core, unless the image ends there.
        multiple: the graph pads height and width to multiples of this.
    """
    around = round_up(overlap, multiple)
    if length <= side:
        return [Span(0, length, 0, length, length)]
    core = round_up(-(-length // -(-length // side)), multiple)  # of about equal length
    size = core + 2 * around
    found = []
    for first in range(0, length, core):
        last = min(first + core, length)
        start, stop = max(0, first - around), min(length, last + around)
        if stop == length:  # as long as the others, as mirror padding needs pixels
            start = min(start, max(0, round_up(length - size, multiple)))
        found.append(Span(start, stop, first, last, length))
    return found


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


def sample_boxes(height: int, width: int, side: int, count: int, multiple: int) -> list[Box]:
    """About `count` windows of equal size, `side` at most, spread evenly over an image and starting at multiples."""
    tall, wide = min(side, height), min(side, width)
    rows = max(1, min(-(-height // tall), round((count * height * wide / (width * tall)) ** 0.5)))
    columns = max(1, min(-(-width // wide), count // rows))
    return [
        (slice(top, top + tall), slice(left, left + wide))
        for top in _starts(height - tall, rows, multiple)
        for left in _starts(width - wide, columns, multiple)
    ]


def _starts(last: int, count: int, multiple: int) -> Sequence[int]:
    return [int(place) // multiple * multiple for place in np.linspace(0, last, count)]
