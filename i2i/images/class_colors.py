"""Label maps whose colours stand for classes."""

from __future__ import annotations

import numpy as np

from i2i.errors import ErrorKind, FileError
from i2i.images.pixels import label_map, to_channels
from i2i.kinds import LabelColors


def numbers_of_colors(pixels: np.ndarray, colors: LabelColors, advice: str = "", *, format: str = "") -> np.ndarray:
    """The numbers of the classes that the colours of a label map stand for.

    Args:
        pixels: ``(H, W, C)``, grey, RGB or RGBA, whose alpha is left out; whole numbers from 0 to 255.
        colors: the colours of the classes.
        advice: what to do about a colour that stands for none, for the message.
        format: name of the file's format, as `i2i.images.Picture` has it, for the message.

    Returns:
        Array ``(H, W, 1)`` uint8.

    Raises:
        FileError: a colour stands for no class, and other colours do not count as one, or the values are no colours.
    """
    place = np.zeros(1 << 24, np.uint16)  # by colour the class's number + 1; only what is written or read takes memory
    for number, red, green, blue in colors.classes:
        place[red << 16 | green << 8 | blue] = number + 1
    values = to_channels(label_map(pixels), 3).astype(np.int32)
    packed = values[..., 0] << 16 | values[..., 1] << 8 | values[..., 2]
    found = place[packed]
    if (other := found == 0).any():
        if colors.nearest:
            return _nearest(packed, colors)
        if colors.other is None:
            raise FileError(ErrorKind.OUT_OF_RANGE, _unknown(packed, other, format) + advice)
        found[other] = colors.other + 1
    return (found - 1).astype(np.uint8)[..., np.newaxis]


def _nearest(packed: np.ndarray, colors: LabelColors) -> np.ndarray:
    """For each colour the number of the class with the nearest one; of two that are as near, the first in the table."""
    rows, (found, place) = np.array(colors.classes, np.int32), np.unique(packed, return_inverse=True)
    apart = np.sum([np.square((found >> 16 - 8 * at & 255) - rows[:, [1 + at]]) for at in range(3)], 0)
    return rows[apart.argmin(0), 0].astype(np.uint8)[place.reshape(packed.shape)][..., np.newaxis]


def _unknown(packed: np.ndarray, other: np.ndarray, format: str) -> str:
    row, column = np.argwhere(other)[0]
    first, count = int(packed[row, column]), len(np.unique(packed[other]))
    more = f", and so do {count - 1} others" if count > 1 else ""
    if more and format in ("JPEG", "MPO"):  # MPO is several JPEGs
        more += ": JPEG changes colours, PNG does not"
    colour = f"{first >> 16}, {first >> 8 & 255}, {first & 255}"
    return f"the colour {colour} in row {row}, column {column} stands for no class{more}"
