"""The drawn facades in other styles: by night, in snow, and as a blueprint.

A style is painted over the picture by day, guided by the classes of the label map. As in `i2i_samples.facades`,
everything is elementary arithmetic, uniform random numbers and OpenCV's integer functions, so that the result is the
same on every platform. How many random numbers are drawn does not depend on the picture's size: the same windows are
lit, and the same flakes fall, at 64 and at 256 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from i2i_samples.colours import Array, mix, rgb
from i2i_samples.facades import PALETTE, class_numbers

STYLES = ("day", "night", "snow", "blueprint")
"""Names of the styles; their places are the class labels of the sample set."""

_CELLS = 32
"""Cells a side of the table of random numbers in which a window finds its own, by where its centre is."""


def restyle(labels: np.ndarray, picture: np.ndarray, style: str, rng: np.random.Generator) -> np.ndarray:
    """Paints a facade by day in another style.

    Args:
        labels: label map ``(H, W, 3)`` uint8 in the colours of `PALETTE`.
        picture: the facade by day, of the same shape and type.
        style: one of `STYLES`; ``day`` is the picture itself.
        rng: which windows are lit, where stars and flakes are; ``day`` draws nothing from it.

    Returns:
        The picture in that style, ``(H, W, 3)`` uint8.

    Raises:
        ValueError: there is no such style, or the two images differ in shape.
    """
    if style not in STYLES:
        raise ValueError(f"unknown style '{style}': choose from {', '.join(STYLES)}")
    if labels.shape != picture.shape:
        raise ValueError(f"label map {labels.shape} and picture {picture.shape} must have the same shape")
    if style == "day":
        return picture
    painted = _PAINTERS[style](_Scene(class_numbers(labels)[..., 0], picture.astype(np.float32)), rng)
    return np.clip(painted + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Scene:
    """A facade as the painters of the styles get it.

    Attributes:
        classes: place of every pixel's colour in `PALETTE`, ``(H, W)``.
        picture: the facade by day, ``(H, W, 3)`` float32 in 0..255.
    """

    classes: Array
    picture: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.classes.shape[0], self.classes.shape[1]

    def of(self, *names: str) -> Array:
        """Mask ``(H, W)`` of the pixels of these classes."""
        return np.array([name in names for name in PALETTE])[self.classes]

    @property
    def fineness(self) -> float:
        """How opaque one pixel of a line or a star is, so that small pictures do not fill up with them."""
        return min(1.0, 0.15 + self.shape[0] / 150)

    def pixels(self, share: float) -> int:
        """A length given as a share of the height, in whole pixels, at least 1."""
        return max(1, int(share * self.shape[0] + 0.5))


def _night(scene: _Scene, rng: np.random.Generator) -> Array:
    """Moonlight on everything, and lamps behind a share of the panes that light their surroundings."""
    luck, stars = rng.random((_CELLS, _CELLS)), rng.random((2 * _CELLS, 2 * _CELLS))
    share = 0.45 + 0.3 * float(rng.random())
    moon = 0.12 + 0.76 * float(rng.random()), 0.06 + 0.06 * float(rng.random())
    day, sky = scene.picture, scene.of("sky")
    dark = _toned(day, colour=0.7, gain=(0.21, 0.26, 0.41), lift=(6, 9, 20))
    dark = np.where(sky[..., None], _night_sky(scene, stars, moon), dark)
    lit, hue = _lamps(scene, luck, share)
    panes = _panes(scene) * lit
    lamp = mix(rgb(255, 176, 78), rgb(255, 224, 152), hue)
    near, far = (_blurred(panes, scene.pixels(reach)) for reach in (0.012, 0.05))
    spill = (0.55 * near + 0.9 * far) * np.where(sky, 0.25, 1)
    glowing = dark + spill[..., None] * rgb(255, 176, 88) * (0.25 + 0.75 * day / 255)
    inside = lamp * (0.72 + 0.28 * _grey(day) / 255)[..., None]
    return mix(glowing, inside, panes)


def _night_sky(scene: _Scene, stars: Array, moon: tuple[float, float]) -> Array:
    """Dark blue, paler over the roofs, with stars and a moon at (x, y) with a halo."""
    height, width = scene.shape
    y, x = (np.arange(height) + 0.5)[:, None] / height, (np.arange(width) + 0.5)[None] / width
    sky = mix(rgb(8, 13, 42), rgb(74, 84, 132), np.minimum(y * 2.2, 0.8) + 0 * x)
    points = np.zeros((height, width), np.float32)
    rows, columns = np.nonzero(stars < 0.035)
    points[rows * height // len(stars), columns * width // len(stars)] = 0.35 + 16 * stars[rows, columns]
    distance = ((x - moon[0]) ** 2 + (y - moon[1]) ** 2) / 0.001156  # the moon's radius of 0.034, squared
    twinkle = np.minimum(points, 1) * np.clip(1.6 - y * 3, 0, 1) * scene.fineness
    sky = mix(sky, rgb(214, 222, 240), twinkle)
    sky = mix(sky, rgb(150, 164, 206), 0.35 / (1 + distance))
    return mix(sky, rgb(244, 240, 220), np.clip((1.1 - distance) * 5, 0, 1))


def _lamps(scene: _Scene, luck: Array, share: float) -> tuple[Array, Array]:
    """For every pixel of a window, shop or door: whether there is light behind it, and the lamp's hue in 0..1."""
    height, width = scene.shape
    lit, hue = np.zeros(scene.shape, bool), np.zeros(scene.shape, np.float32)
    for names, likelier in ((("window", "blind"), 1.0), (("shop",), 1.4), (("door",), 1.5)):
        mask = scene.of(*names)
        _, numbers, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
        left, top, wide, high = boxes.T[:4]
        own = luck[(2 * top + high) * _CELLS // (2 * height + 1), (2 * left + wide) * _CELLS // (2 * width + 1)]
        lit |= mask & (own < share * likelier)[numbers]
        hue = np.where(mask, (own * 7 - np.floor(own * 7))[numbers], hue)
    return lit, hue


def _panes(scene: _Scene) -> Array:
    """How much of each pixel lets light through, 0..1: found by its colour, so that bars and frames stay dark."""
    red, blue = scene.picture[..., 0], scene.picture[..., 2]
    glass = np.where(scene.of("window"), (blue - red + 8) / 36, 0)  # bluish, in white frames
    glass = np.where(scene.of("shop"), (red - blue) / 60, glass)  # warm, in green frames
    glass = np.where(scene.of("blind"), 0.6, glass)
    glass = np.where(scene.of("door"), (red - 170) / 60, glass)  # the light above the leaves
    return np.clip(glass, 0, 1)


def _snow(scene: _Scene, rng: np.random.Generator) -> Array:
    """Grey light, snow on all that lies open to the sky, and flakes in the air."""
    drifts, clouds = _smooth(rng, scene.shape, 24) - 0.5, 0.4 * _smooth(rng, scene.shape, 7) - 0.2
    flakes = [_flakes(rng, scene.shape, cells) for cells in (150, 100, 64)]  # from far to near
    height = scene.shape[0]
    y = (np.arange(height) + 0.5)[:, None] / height
    dull = _toned(scene.picture, colour=0.62, gain=(0.80, 0.83, 0.88), lift=(26, 29, 34))
    grey_sky = mix(rgb(134, 146, 164), rgb(198, 204, 212), np.clip(y * 1.3 + clouds, 0, 1))
    scenery = np.where(scene.of("sky")[..., None], grey_sky, dull)
    shade = (_grey(scene.picture) / 255)[..., None]
    white = rgb(206, 214, 228) + shade * rgb(46, 40, 27)
    scenery = mix(scenery, white, _snow_cover(scene, drifts))
    for layer in flakes:
        scenery = mix(scenery, rgb(250, 251, 255), layer)
    return scenery


def _snow_cover(scene: _Scene, drifts: Array) -> Array:
    """How much of each pixel snow hides, 0..1: flat and sloping things, and a rim on top of what stands out."""
    cover = np.where(scene.of("roof", "tiles"), 0.92 + 0.3 * drifts, 0)
    cover = np.where(scene.of("pavement"), 0.9 + 0.2 * drifts, cover)
    cover = np.where(scene.of("sill", "cornice"), 0.95, cover)
    cover = np.where(scene.of("background"), 0.15, cover)
    for names, depth in ((("greenery",), 0.03), (("balcony", "awning"), 0.016), (("sill", "cornice"), -0.009)):
        mask, rows = scene.of(*names), scene.pixels(abs(depth))
        rim = _below(mask, -rows) & ~mask if depth < 0 else mask & ~_below(mask, rows)
        cover = np.where(rim, np.maximum(cover, 0.9 + 0.3 * drifts), cover)
    clumps = scene.of("greenery") & (drifts > 0.05)
    return np.clip(np.where(clumps, np.maximum(cover, 0.6), cover), 0, 1)


def _blueprint(scene: _Scene, rng: np.random.Generator) -> Array:
    """White lines on blue paper: outlines of the classes, the picture's own edges faintly, and a grid."""
    height, width = scene.shape
    paper = mix(rgb(22, 58, 132), rgb(34, 76, 158), _smooth(rng, scene.shape, 6))
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    for cells, strength in ((32, 0.07), (8, 0.13)):
        lines = (rows * cells % height < cells) | (columns * cells % width < cells)
        paper = mix(paper, rgb(190, 214, 250), lines * strength * scene.fineness)
    grey = _grey(scene.picture)
    edges = abs(grey - _below(grey, 1)) + abs(grey - _beside(grey, 1))
    detail = np.clip((edges - 18) / 90, 0, 1) * 0.5
    outline = (scene.classes != _below(scene.classes, 1)) | (scene.classes != _beside(scene.classes, 1))
    if (thickness := scene.pixels(1 / 220)) > 1:
        outline = cv2.dilate(outline.astype(np.uint8), np.ones((thickness, thickness), np.uint8)) > 0
    return mix(paper, rgb(238, 245, 255), np.maximum(detail, outline * 0.92) * scene.fineness)


_PAINTERS: dict[str, Callable[[_Scene, np.random.Generator], Array]] = {
    "night": _night,
    "snow": _snow,
    "blueprint": _blueprint,
}


def _grey(picture: Array) -> Array:
    """Brightness ``(H, W)`` of an RGB picture, in its own unit."""
    return 0.299 * picture[..., 0] + 0.587 * picture[..., 1] + 0.114 * picture[..., 2]


def _toned(picture: Array, *, colour: float, gain: tuple[float, ...], lift: tuple[float, ...]) -> Array:
    """The picture with a share of its colourfulness, times `gain` plus `lift` for each channel."""
    grey = _grey(picture)[..., None]
    return (grey + (picture - grey) * colour) * rgb(*gain) + rgb(*lift)


def _smooth(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Array:
    """Smooth noise ``(H, W)`` in 0..1 with that many cells a side."""
    return _stretched((rng.random((cells, cells)) * 256).astype(np.uint8), shape)


def _flakes(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Array:
    """Opacity ``(H, W)`` in 0..1 of soft spots about one cell wide, in a few of that many cells a side."""
    spots = (rng.random((cells, cells)) < 0.02).astype(np.uint8) * 255
    return np.clip(_stretched(spots, shape) * 1.8 - 0.6, 0, 1)


def _stretched(coarse: Array, shape: tuple[int, int]) -> Array:
    """Bytes interpolated to ``(H, W)``, as numbers in 0..1."""
    fine = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR_EXACT)
    return fine.astype(np.float32) / np.float32(255)


def _blurred(values: Array, radius: int) -> Array:
    """Values in 0..1 ``(H, W)`` spread by three box filters of that radius, in whole numbers."""
    image, area = (values * 255).astype(np.uint8), (2 * radius + 1) ** 2
    for _ in range(3):
        total = cv2.boxFilter(image, cv2.CV_32S, (2 * radius + 1, 2 * radius + 1), normalize=False)
        image = ((total + area // 2) // area).astype(np.uint8)
    return image.astype(np.float32) / np.float32(255)


def _below(image: Array, rows: int) -> Array:
    """The image moved down by that many rows (up when negative), its edge repeated."""
    return image[np.clip(np.arange(len(image)) - rows, 0, len(image) - 1)]


def _beside(image: Array, columns: int) -> Array:
    """The image moved to the right by that many columns, its edge repeated."""
    return image[:, np.clip(np.arange(image.shape[1]) - columns, 0, image.shape[1] - 1)]
