"""Facades whose walls may have any colour: sample sets in which one input has several right outputs.

The label map says where the wall is and of what it is built, and nothing of its colour.
"""

from __future__ import annotations

import numpy as np

from i2i_samples.colours import Array
from i2i_samples.datasets import DrawnDataset, Sample, drawn_once, shrunk
from i2i_samples.facades import PALETTE, draw_facade
from i2i_samples.options import DrawnConfig
from i2i_samples.styles import STYLES, restyle

WALLS = ("plaster", "painted", "brick", "stone")
"""Classes of the label map whose colour is random."""

TINTED_STYLES = STYLES[:3]
"""By day, by night and in snow; a blueprint shows no colour."""

_DETAIL = 128
"""Pixels a side at which smaller pictures are painted and then averaged down."""


def tint(labels: np.ndarray, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paints the walls of a facade by day in a colour of any hue; light and shade on them stay.

    Args:
        labels: label map ``(H, W, 3)`` uint8 in the colours of `PALETTE`.
        picture: the facade by day, of the same shape and type.
        rng: draws the colour.

    Returns:
        The picture ``(H, W, 3)`` uint8; all that is no wall is as it was.
    """
    colour = _colour(float(rng.random()), 0.45 + 0.4 * float(rng.random()))
    wall = np.zeros(labels.shape[:2], bool)
    for name in WALLS:
        wall |= (labels == PALETTE[name]).all(2)
    grey = picture.astype(np.float32).mean(2)
    light = grey / max(1.0, float(grey[wall].mean())) if wall.any() else grey
    painted = np.clip(light[..., None] * colour * 200 + 0.5, 0, 255).astype(np.uint8)
    return np.where(wall[..., None], painted, picture)


class Tints(DrawnDataset):
    """Label map (A) and the facade in a random colour (B)."""

    gives = frozenset({"source", "target"})

    @staticmethod
    def draw(config: DrawnConfig, index: int) -> Sample:
        """Draws a label map and its facade."""
        labels, picture = draw_facade(index, size=config.size, seed=config.seed)
        return {"source": labels, "target": tint(labels, picture, _dice(config, index, 3))}


class TintedStyles(DrawnDataset):
    """Facades in random colours by day, by night and in snow in turn, each with two references of another style.

    The wanted style and its two references are drawn anew whenever a sample is asked for.
    """

    gives = frozenset({"target", "label", "target_label", "reference", "second_reference"})
    labels = TINTED_STYLES
    paired = False

    def __getitem__(self, index: int) -> Sample:
        own = drawn_once(self.draw, self.config, self.indices[index])
        wanted = int(np.random.randint(len(self.labels)))
        sample = {**own, "target_label": wanted}
        return self.transform(sample | {key: self._drawn(wanted) for key in ("reference", "second_reference")})

    def look(self, index: int) -> Sample:
        """The facade, which is its own reference."""
        own = drawn_once(self.draw, self.config, self.indices[index])
        image, label = own["target"], own["label"]
        return self.transform({**own, "target_label": label, "reference": image, "second_reference": image})

    def _drawn(self, label: int) -> np.ndarray:
        """A facade in that style."""
        styles, first = len(self.labels), self.indices[0]
        turns = -(-len(self.indices) // styles)
        index = first + (label - first) % styles + styles * int(np.random.randint(turns))
        picture: np.ndarray = drawn_once(self.draw, self.config, index)["target"]
        return picture

    @staticmethod
    def draw(config: DrawnConfig, index: int) -> Sample:
        """Draws a facade in the style whose turn it is."""
        label = index % len(TINTED_STYLES)
        scale = max(1, _DETAIL // config.size)
        labels, picture = draw_facade(index, size=config.size * scale, seed=config.seed)
        picture = tint(labels, picture, _dice(config, index, 3))
        return {
            "target": shrunk(restyle(labels, picture, TINTED_STYLES[label], _dice(config, index, 2)), scale),
            "label": label,
        }


def _dice(config: DrawnConfig, index: int, stream: int) -> np.random.Generator:
    """Random numbers of a sample; the streams of `draw_facade` are 0 and 1, that of styles is 2."""
    return np.random.Generator(np.random.PCG64([config.seed, index % 2**64, stream]))


def _colour(hue: float, saturation: float) -> Array:
    """Red, green and blue, ``(3,)`` float32, of the brightest colour of a hue and a saturation, all in 0..1."""
    distance = np.abs((hue * 6 + np.array([0, 4, 2], np.float32)) % 6 - 3) - 1
    return np.asarray(1 - saturation * (1 - np.clip(distance, 0, 1)), np.float32)
