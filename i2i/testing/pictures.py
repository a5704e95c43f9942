"""Small pictures for the checks, drawn by code: a map of coloured shapes, and the same shapes shaded."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

COLOURS = np.array([[220, 40, 40], [40, 170, 60], [50, 80, 210], [230, 190, 40]], np.uint8)
"""The colour of each kind of shape in a map, RGB."""

STYLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": lambda picture: picture,
    "dark": lambda picture: picture // 3,
    "negative": lambda picture: 255 - picture,
    "red": lambda picture: picture // np.array([1, 4, 4], np.uint8),
}
"""Name of a style -> a picture ``(H, W, 3)`` uint8 in that style."""

SHAPES = 6
"""Number of shapes in a picture."""


def draw_pair(number: int, *, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A map of shapes and the picture that belongs to it; dark for even numbers, bright for odd ones.

    Args:
        number: the same number gives the same picture.
        size: height and width in pixels.

    Returns:
        Two arrays ``(size, size, 3)`` uint8, RGB.
    """
    rng = np.random.default_rng(number)
    labels = np.full((size, size, 3), 235 if number % 2 else 40, np.uint8)
    for colour in COLOURS[rng.integers(0, len(COLOURS), SHAPES)].tolist():
        x, y, width, height = (rng.uniform(0.1, 0.9, 4) * size).astype(int).tolist()
        if rng.random() < 0.5:
            cv2.circle(labels, (x, y), max(2, width // 4), colour, cv2.FILLED)
        else:
            cv2.rectangle(labels, (x, y), (x + width // 3, y + height // 3), colour, cv2.FILLED)
    light = np.linspace(0.5, 1.0, size)[:, np.newaxis, np.newaxis]
    grain = rng.normal(0, 6, (size, size, 1))
    return labels, np.clip(labels * light + grain + 20, 0, 255).astype(np.uint8)
