"""Colours that are easy to tell apart, for label maps without colours of their own."""

from __future__ import annotations

from collections.abc import Sequence

Colour = tuple[int, int, int]


def default_palette(first: Sequence[Colour] = ()) -> list[Colour]:
    """A colour for each value from 0 to 255, as the data set PASCAL VOC has them.

    The bits of the value are dealt out to red, green and blue in turn, and the lowest ones count most.

    Args:
        first: colours to begin with.
    """
    return [*first, *(_colour(value) for value in range(len(first), 256))]


def _colour(value: int) -> Colour:
    parts = [sum(((value >> (3 * place + channel)) & 1) << (7 - place) for place in range(3)) for channel in range(3)]
    return parts[0], parts[1], parts[2]
