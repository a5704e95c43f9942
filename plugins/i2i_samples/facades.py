"""Built-in paired samples: facade label maps and the pictures that belong to them, drawn by code.

The label maps are in the manner of the CMP facade database (Tylecek and Sara 2013). The picture is painted from the
same list of parts, each class by its own small shader. What the eye should be able to infer from the labels (material,
frames, shadows, railings) depends on them alone, so that a translation from label map to picture can be learned; only
tints of bricks, stains, clumps of leaves and grain are random.

Everything is computed by elementary arithmetic, uniform random numbers and OpenCV's bit-exact resampling: the result is
the same on every platform, which sines, powers, normal deviates and floating-point filters do not promise.
"""

from __future__ import annotations

import cv2
import numpy as np

from i2i_samples.colours import Array
from i2i_samples.layout import Dice, Part, layout
from i2i_samples.paint import OPENINGS, SHADERS, STAINS, Patch, cover

PALETTE: dict[str, tuple[int, int, int]] = {
    "sky": (0, 0, 85),
    "background": (0, 0, 170),
    "pavement": (85, 85, 170),
    "plaster": (0, 0, 255),
    "painted": (0, 170, 128),
    "brick": (170, 0, 255),
    "stone": (0, 85, 170),
    "roof": (170, 0, 85),
    "tiles": (255, 0, 85),
    "window": (0, 85, 255),
    "blind": (255, 255, 0),
    "door": (0, 170, 255),
    "shop": (170, 0, 0),
    "awning": (255, 0, 0),
    "cornice": (0, 255, 255),
    "sill": (85, 255, 170),
    "molding": (255, 85, 0),
    "pillar": (255, 170, 0),
    "balcony": (170, 255, 85),
    "greenery": (0, 85, 0),
}
"""Colour of every class in the label maps, RGB in 0..255; the label maps hold no other colours."""

_RELIEF = {"cornice": 0.016, "sill": 0.008, "molding": 0.004, "pillar": 0.006, "balcony": 0.016, "awning": 0.022}
"""How far the classes that cast a shadow stand out from the wall, as a fraction of the picture's side."""

_OPEN_AIR = ("sky", "background")
"""Classes too far behind the facade to catch its shadows."""


def draw_facade(index: int, *, size: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draws one pair: a label map and the facade that it describes.

    The layout is the same at every `size`; only rounding to pixels differs.

    Args:
        index: which facade; any integer.
        size: side of both images in pixels, at least 16.
        seed: which series of facades; any integer.

    Returns:
        Label map and facade, both ``(size, size, 3)`` uint8 RGB; the label map has the colours of `PALETTE` only.

    Raises:
        ValueError: `size` is below 16.
    """
    if size < 16:
        raise ValueError(f"size must be at least 16 pixels, not {size}")
    entropy = [seed % 2**64, index % 2**64]
    parts = layout(Dice(np.random.Generator(np.random.PCG64([*entropy, 0]))))
    noise = np.random.Generator(np.random.PCG64([*entropy, 1]))
    return _label_map(parts, size), _render(parts, size, noise)


def class_numbers(labels: np.ndarray) -> np.ndarray:
    """The place in `PALETTE` of each pixel's colour.

    Args:
        labels: label map ``(H, W, 3)`` uint8 in the colours of `PALETTE`.

    Returns:
        Array ``(H, W, 1)`` uint8, from 0 to 19.

    Raises:
        ValueError: there is a colour that the palette lacks.
    """
    known = np.array([red << 16 | green << 8 | blue for red, green, blue in PALETTE.values()])
    values = labels.astype(np.int32)
    packed = values[..., 0] << 16 | values[..., 1] << 8 | values[..., 2]
    order = np.argsort(known)
    places = order[np.minimum(np.searchsorted(known[order], packed), len(known) - 1)]
    if not np.array_equal(known[places], packed):
        raise ValueError("the label map has a colour that is not in the palette")
    return places.astype(np.uint8)[..., None]


def draw_instances(index: int, *, size: int = 256, seed: int = 0) -> np.ndarray:
    """Which part of the facade each pixel of `draw_facade` with the same arguments belongs to.

    Returns:
        Array ``(size, size, 1)`` uint8: the number of the part, counted from the back, the rest after dividing by 256.
    """
    parts = layout(Dice(np.random.Generator(np.random.PCG64([seed % 2**64, index % 2**64, 0]))))
    numbers = np.zeros((size, size, 1), np.uint8)
    for number, part in enumerate(parts):
        if patch := cover(part, size, 1):
            numbers[patch.rows, patch.columns][patch.mask] = number % 256
    return numbers


def _label_map(parts: list[Part], size: int) -> Array:
    labels = np.zeros((size, size, 3), np.uint8)
    for part in parts:
        if patch := cover(part, size, 1):
            labels[patch.rows, patch.columns][patch.mask] = PALETTE[part.label]
    return labels


def _render(parts: list[Part], size: int, rng: np.random.Generator) -> Array:
    """Paints the parts in order on a finer canvas and averages that down, which smooths every edge."""
    scale = max(2 if size < 1024 else 1, -(-256 // size))
    side = size * scale
    canvas, solid = np.zeros((side, side, 3), np.float32), np.zeros((side, side), bool)
    stains = _stains(rng, side)
    for part in parts:
        patch = cover(part, size, scale)
        if patch is None:
            continue
        if part.label in _RELIEF:
            _cast_shadow(canvas, solid, patch, _RELIEF[part.label])
        view = canvas[patch.rows, patch.columns]
        opaque = patch.mask
        if part.label in OPENINGS:
            opening = patch.mask & OPENINGS[part.label](patch)
            view[opening] *= np.float32(0.86)  # in the shade of the bars
            opaque = opaque & ~opening
        colour = SHADERS[part.label](patch) + STAINS.get(part.label, 0) * stains[patch.rows, patch.columns]
        np.copyto(view, colour, where=opaque[..., None], casting="same_kind")
        solid[patch.rows, patch.columns] |= patch.mask & (part.label not in _OPEN_AIR)
    fine = np.clip(canvas + 0.5, 0, 255).astype(np.uint32)
    total = sum(fine[row::scale, column::scale] for row in range(scale) for column in range(scale))
    grain = (rng.random((size, size, 1)) * 9).astype(np.int64) - 4
    return np.clip((total + scale * scale // 2) // (scale * scale) + grain, 0, 255).astype(np.uint8)


def _stains(rng: np.random.Generator, side: int) -> Array:
    """Smooth noise ``(side, side, 1)`` in -1..1 at two scales: soot on plaster, tints of bricks, clumps of leaves."""
    total = np.zeros((side, side), np.float32)
    for cells, weight in ((12, 0.5), (64, 0.5)):
        coarse = (rng.random((cells, cells)) * 256).astype(np.uint8)
        fine = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR_EXACT)
        total += np.float32(weight) * (fine.astype(np.float32) - 127.5) / np.float32(127.5)
    return total[..., None]


def _cast_shadow(canvas: Array, solid: Array, patch: Patch, relief: float) -> None:
    """Darkens what lies to the lower right of a part, in three steps that soften the shadow's edge."""
    for step in (0.6, 1.0, 1.4):
        shift = max(1, int(relief * step * len(canvas) + 0.5))
        rows = slice(patch.rows.start + shift, patch.rows.stop + shift)
        columns = slice(patch.columns.start + shift // 2, patch.columns.stop + shift // 2)
        view = canvas[rows, columns]
        height, width = view.shape[:2]
        mask = patch.mask[:height, :width] & solid[rows, columns]
        view[mask] *= np.float32(0.8)
