"""Paints the parts of a drawn facade: the pixels that a part covers, and a shader for every class.

A shader takes a patch and returns colours in 0..255 that broadcast to ``(h, w, 3)``. Light comes from the upper left:
edges there are bright, recesses are dark there. Lengths are fractions of the picture's side, so that frames and courses
keep their proportions at every size; the masonry's are multiples of 1/256, which averages to whole pixels at 64, 128
and 256.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from i2i_samples.colours import Array, mix, rgb
from i2i_samples.layout import Part

_SLAB = 0.018
"""Thickness of a balcony's floor as a fraction of the picture's side."""


@dataclass(frozen=True)
class Patch:
    """The pixels of one part, for the shaders; arrays broadcast to ``(h, w)``.

    Attributes:
        rows: rows of the canvas that the part covers.
        columns: columns of the canvas that the part covers.
        u: place within the part, 0 at its left edge, 1 at the right.
        v: place within the part, 0 at the top, 1 at the bottom.
        x: place in the picture, as a fraction of its side, 0 at the left edge.
        y: place in the picture, as a fraction of its side, 0 at the top.
        width: width of the part, as a fraction of the picture's side.
        height: height of the part, as a fraction of the picture's side.
        mask: ``(h, w)`` bool, the pixels that the part's shape covers.
    """

    rows: slice
    columns: slice
    u: Array
    v: Array
    x: Array
    y: Array
    width: float
    height: float
    mask: Array

    def inset(self, left: float, top: float, right: float, bottom: float) -> Array:
        """Mask of what remains inside margins of these widths, in fractions of the picture's side."""
        across = (self.u * self.width >= left) & ((1 - self.u) * self.width >= right)
        return across & (self.v * self.height >= top) & ((1 - self.v) * self.height >= bottom)


def cover(part: Part, size: int, scale: int) -> Patch | None:
    """Finds the pixels of a part on a canvas of `size` times `scale` pixels a side.

    The edges fall on whole pixels of `size`, so that label map and picture agree whatever the scale.

    Returns:
        The patch, or None when nothing of the part is on the canvas.
    """
    x0, y0, x1, y1 = (int(np.floor(edge * size + 0.5)) * scale for edge in part.box)
    side = size * scale
    rows, columns = slice(max(y0, 0), min(y1, side)), slice(max(x0, 0), min(x1, side))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    x, y = (np.arange(columns.start, columns.stop) + 0.5)[None], (np.arange(rows.start, rows.stop) + 0.5)[:, None]
    u, v = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
    mask = _SHAPES[part.shape](u, v)
    return Patch(rows, columns, u, v, x / side, y / side, (x1 - x0) / side, (y1 - y0) / side, mask)


def _disc(u: Array, v: Array, x: float, y: float, across: float, down: float) -> Array:
    return ((u - x) / across) ** 2 + ((v - y) / down) ** 2 <= 1


_SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "box": lambda u, v: (u >= 0) & (v >= 0),
    "arch": lambda u, v: (v >= 0.3) & (u >= 0) | _disc(u, v, 0.5, 0.3, 0.5, 0.3),
    "gable": lambda u, v: abs(u - 0.5) * 2 <= v,
    "hip": lambda u, v: abs(u - 0.5) * 2 <= 0.6 + 0.4 * v,
    "mansard": lambda u, v: abs(u - 0.5) * 2 <= 0.88 + 0.12 * v,
    "bush": lambda u, v: (
        _disc(u, v, 0.25, 0.6, 0.25, 0.5) | _disc(u, v, 0.55, 0.5, 0.3, 0.5) | _disc(u, v, 0.8, 0.6, 0.2, 0.45)
    ),
    "tree": lambda u, v: (
        _disc(u, v, 0.5, 0.28, 0.42, 0.28)
        | _disc(u, v, 0.32, 0.48, 0.32, 0.2)
        | _disc(u, v, 0.68, 0.5, 0.32, 0.2)
        | (abs(u - 0.5) <= 0.06) & (v >= 0.5)
    ),
}
"""Masks of the shapes, from places within the part (`Patch.u` and `Patch.v`)."""


def _stripes(place: Array, period: float, share: float) -> Array:
    """Mask of the last `share` of each period."""
    cycles = place / period
    return cycles - np.floor(cycles) >= 1 - share


def _courses(patch: Patch, width: float, height: float, joint: float) -> Array:
    """Joints of masonry whose every other course is shifted by half a block."""
    shift = np.floor(patch.y / height) % 2 * 0.5 * width
    return _stripes(patch.y, height, joint / height) | _stripes(patch.x + shift, width, joint / width)


def _sky(patch: Patch) -> Array:
    return mix(rgb(104, 158, 214), rgb(224, 234, 238), np.minimum(patch.y * 2.2, 1))


def _background(patch: Patch) -> Array:
    panes = _stripes(patch.x, 1 / 16, 0.5) & _stripes(patch.y, 1 / 12, 0.5)
    wall = mix(rgb(176, 178, 184), rgb(160, 158, 158), patch.v)
    edge = patch.v * patch.height < 0.012
    return mix(mix(wall, rgb(138, 148, 164), panes & ~edge), rgb(146, 142, 142), edge)


def _pavement(patch: Patch) -> Array:
    flags = mix(rgb(166, 160, 152), rgb(140, 134, 128), _stripes(patch.x, 1 / 16, 1 / 16) & (patch.v < 0.5))
    road = mix(flags, rgb(92, 92, 98), patch.v > 0.56)
    return mix(road, rgb(196, 190, 180), (patch.v > 0.48) & (patch.v <= 0.56))


def _plaster(patch: Patch) -> Array:
    return mix(rgb(240, 220, 178), rgb(222, 198, 154), patch.v)


def _painted(patch: Patch) -> Array:
    return mix(rgb(150, 184, 182), rgb(126, 160, 160), patch.v)


def _brick(patch: Patch) -> Array:
    tint = mix(rgb(182, 98, 72), rgb(160, 80, 60), patch.v)
    return mix(tint, rgb(198, 158, 132), _courses(patch, 1 / 32, 1 / 64, 1 / 256) * 0.6)


def _stone(patch: Patch) -> Array:
    block = mix(rgb(204, 198, 186), rgb(186, 178, 164), patch.v)
    return mix(block, rgb(150, 142, 130), _courses(patch, 1 / 8, 1 / 32, 1 / 256) * 0.7)


def _roof(patch: Patch) -> Array:
    slate = mix(rgb(104, 116, 136), rgb(78, 88, 108), patch.v)
    return mix(slate, rgb(54, 60, 76), _courses(patch, 1 / 32, 1 / 64, 1 / 256) * 0.5)


def _tiles(patch: Patch) -> Array:
    tile = mix(rgb(204, 108, 68), rgb(176, 84, 52), patch.v)
    return mix(tile, rgb(120, 54, 38), (_stripes(patch.y, 1 / 64, 0.25) | _stripes(patch.x, 1 / 64, 0.2)) * 0.5)


def _glass(patch: Patch) -> Array:
    """Sky mirrored above, a dark room below, and a bright slanting reflection."""
    glass = mix(rgb(150, 186, 214), rgb(52, 70, 94), np.minimum(patch.v * 1.25, 1))
    slant = patch.u + patch.v * 0.7
    return mix(glass, rgb(214, 230, 240), ((slant > 0.55) & (slant < 0.8)) * 0.35)


def _window(patch: Patch) -> Array:
    reveal = mix(_glass(patch), rgb(20, 26, 40), ~patch.inset(0.016, 0.02, 0, 0) * 0.45)
    middle = abs(patch.u - 0.5) * patch.width < 0.0032
    transom = abs(patch.v - 0.34) * patch.height < 0.0032
    bars = ~patch.inset(0.008, 0.008, 0.008, 0.008) | middle | transom
    rim = max(1, round(0.008 / patch.height * len(patch.mask)))
    bars[rim:] |= ~patch.mask[:-rim]  # follows an arched top
    frame = mix(rgb(246, 242, 234), rgb(206, 202, 196), patch.v * patch.height < 0.004)
    return mix(reveal, frame, bars)


def _blind(patch: Patch) -> Array:
    slats = mix(rgb(232, 218, 186), rgb(188, 170, 134), _stripes(patch.y, 1 / 64, 0.35))
    return mix(slats, rgb(120, 106, 84), ~patch.inset(0.006, 0.008, 0, 0) * 0.6)


def _door(patch: Patch) -> Array:
    wood = mix(rgb(128, 70, 44), rgb(104, 54, 34), patch.v)
    leaf = abs(abs(patch.u - 0.5) - 0.25)
    panel = (leaf < 0.16) & (((patch.v > 0.32) & (patch.v < 0.58)) | ((patch.v > 0.64) & (patch.v < 0.93)))
    wood = mix(wood, rgb(84, 42, 28), panel)
    wood = mix(wood, rgb(148, 86, 54), panel & (leaf < 0.11) & (abs(abs(patch.v - 0.625) - 0.16) < 0.11))
    wood = mix(wood, rgb(60, 30, 20), abs(patch.u - 0.5) * patch.width < 0.002)
    light = (patch.v < 0.24) & patch.inset(0.008, 0.008, 0.008, 0)
    wood = mix(wood, rgb(244, 214, 150), light)
    knob = _disc(patch.u, patch.v, 0.58, 0.62, 0.004 / patch.width, 0.004 / patch.height)
    return mix(mix(wood, rgb(232, 196, 96), knob), rgb(20, 14, 12), ~patch.inset(0.006, 0.008, 0, 0) * 0.5)


def _shop(patch: Patch) -> Array:
    inside = mix(rgb(250, 216, 150), rgb(170, 110, 66), patch.v)
    slant = patch.u + patch.v * 0.4
    inside = mix(inside, rgb(236, 240, 240), ((slant > 0.5) & (slant < 0.68)) * 0.3)
    pane = patch.inset(0.01, 0.012, 0.01, 0.04) & ~(abs(abs(patch.u - 0.5) - 0.17) * patch.width < 0.003)
    return mix(mix(rgb(52, 74, 66), rgb(34, 50, 46), patch.v), inside, pane)


def _awning(patch: Patch) -> Array:
    cloth = mix(rgb(248, 240, 226), rgb(206, 58, 52), _stripes(patch.x, 1 / 32, 0.5))
    return (
        cloth * mix(rgb(1.04, 1.04, 1.04), rgb(0.86, 0.86, 0.86), patch.v) * np.where(patch.v > 0.8, 0.82, 1)[..., None]
    )


def _ledge(patch: Patch) -> Array:
    """Stone profile of cornices and sills: lit from above, dark underneath."""
    profile = mix(rgb(248, 242, 228), rgb(204, 194, 176), patch.v)
    return mix(profile, rgb(150, 138, 120), (patch.v > 0.72) * 0.7)


def _molding(patch: Patch) -> Array:
    stone = mix(rgb(240, 232, 214), rgb(222, 212, 192), patch.u + 0 * patch.v)
    return mix(stone, rgb(176, 164, 144), ~patch.inset(0, 0, 0.004, 0) * 0.8)


def _pillar(patch: Patch) -> Array:
    shaft = mix(rgb(242, 234, 216), rgb(184, 172, 152), patch.u + 0 * patch.v)
    return mix(shaft, rgb(168, 156, 138), _stripes(patch.y, 1 / 16, 1 / 16))


def _balcony(patch: Patch) -> Array:
    iron = mix(rgb(52, 54, 62), rgb(44, 46, 54), patch.v)
    slab = (1 - patch.v) * patch.height < _SLAB
    edge = (1 - patch.v) * patch.height < 0.005
    return mix(mix(iron, rgb(226, 216, 198), slab), rgb(156, 146, 130), edge)


def _between_bars(patch: Patch) -> Array:
    return ~_stripes(patch.x, 1 / 64, 0.4) & patch.inset(0, 0.009, 0, _SLAB)


def _greenery(patch: Patch) -> Array:
    leaves = mix(rgb(134, 172, 82), rgb(46, 92, 50), np.minimum((patch.u * 0.5 + patch.v), 1.2) / 1.2)
    trunk = (patch.v > 0.7) & (patch.height > 0.25)
    blossom = (patch.height < 0.035) & _stripes(patch.x + np.floor(patch.y * 128) / 96, 1 / 48, 0.4) & (patch.v < 0.75)
    return mix(mix(leaves, rgb(96, 70, 52), trunk), rgb(226, 84, 96), blossom * 0.8)


SHADERS: dict[str, Callable[[Patch], Array]] = {
    "sky": _sky,
    "background": _background,
    "pavement": _pavement,
    "plaster": _plaster,
    "painted": _painted,
    "brick": _brick,
    "stone": _stone,
    "roof": _roof,
    "tiles": _tiles,
    "window": _window,
    "blind": _blind,
    "door": _door,
    "shop": _shop,
    "awning": _awning,
    "cornice": _ledge,
    "sill": _ledge,
    "molding": _molding,
    "pillar": _pillar,
    "balcony": _balcony,
    "greenery": _greenery,
}
"""The shader of every class."""

OPENINGS: dict[str, Callable[[Patch], Array]] = {"balcony": _between_bars}
"""Masks ``(h, w)`` of the pixels through which one sees what is behind."""

STAINS = {
    "sky": 3,
    "pavement": 4,
    "plaster": 5,
    "painted": 5,
    "brick": 12,
    "stone": 6,
    "roof": 7,
    "tiles": 10,
    "greenery": 26,
}
"""How strongly smooth noise in -1..1 changes the colours of the classes that are not even."""
