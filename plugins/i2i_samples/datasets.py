"""The sample sets drawn by code: for paired, unpaired and labelled training, and for super-resolution.

Sample number n of a split depends on the set's options and on n alone. Training and validation drawings have indices
far apart, and what is random about a picture's style has a stream of its own, so that no option of one set changes
another.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

import i2i
from i2i_samples.facades import class_numbers, draw_facade, draw_instances
from i2i_samples.options import (
    VALIDATION_START,
    DrawnConfig,
    FacadesConfig,
)
from i2i_samples.styles import STYLES, restyle

Sample = dict[str, Any]

_DETAIL = 128
"""Pixels a side at which smaller pictures in a style are painted and then averaged down, or lines would fill them."""

_BLOCK = 16
"""Facades whose quarters are dealt out in turn, so that neighbouring samples show different facades."""


class DrawnDataset(i2i.Dataset):
    """One split of a sample set; a sample is drawn when it is first asked for, and kept.

    Args:
        config: how many samples, and how large.
        root: not used; its default says that no folder is needed.
        split: ``train`` or ``val``.
        transform: called with each sample.
    """

    def __init__(self, config: DrawnConfig, *, root: Path | None = None, split: str, transform: i2i.Transform) -> None:
        self.config, self.transform = config, transform
        first, count = (0, config.count) if split == "train" else (VALIDATION_START, config.val_count)
        self.indices = range(first, first + count)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.transform(dict(drawn_once(self.draw, self.config, self.indices[index])))

    @staticmethod
    @abstractmethod
    def draw(config: DrawnConfig, index: int) -> Sample:
        """Draws the sample of that index; pictures are ``(size, size, 3)`` uint8."""


Draw = Callable[[DrawnConfig, int], Sample]
"""Draws the sample of an index with a set's options."""


def drawn_once(draw: Draw, config: DrawnConfig, index: int) -> Sample:
    """The sample of an index, drawn if that has not been done yet; its arrays cannot be written to."""
    drawn = _drawn_samples(draw, config)
    if index not in drawn:
        sample = draw(config, index)
        for value in sample.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        drawn[index] = sample
    return drawn[index]


@lru_cache(maxsize=4)
def _drawn_samples(draw: Draw, config: DrawnConfig) -> dict[int, Sample]:
    """What has been drawn so far, by index: a set that is opened twice in a process is drawn once."""
    return {}


class Facades(DrawnDataset):
    """Label map (A) and rendered facade (B), and with `FacadesConfig.instances` which part each pixel belongs to."""

    gives = frozenset({"source", "target"})

    def __init__(
        self, config: FacadesConfig, *, root: Path | None = None, split: str, transform: i2i.Transform
    ) -> None:
        super().__init__(config, root=root, split=split, transform=transform)
        kinds = {"source": config.numbers, "instance": config.instances}
        self.kinds = {key: "labels" for key, is_there in kinds.items() if is_there}

    @staticmethod
    def draw(config: DrawnConfig, index: int) -> Sample:
        """Draws a label map and its facade."""
        assert isinstance(config, FacadesConfig)
        labels, picture = draw_facade(index, size=config.size, seed=config.seed)
        sample = {"source": class_numbers(labels) if config.numbers else labels, "target": picture}
        return sample | (
            {"instance": draw_instances(index, size=config.size, seed=config.seed)} if config.instances else {}
        )


class DayNight(DrawnDataset):
    """Facades by day (A) and other facades by night (B): no facade is in both."""

    gives = frozenset({"source", "target"})
    paired = False

    @staticmethod
    def draw(config: DrawnConfig, index: int) -> Sample:
        """Draws a facade by day, and by night one of those counted backwards from -1, where no day comes."""
        return {"source": _styled(config, index, "day"), "target": _styled(config, -1 - index, "night")}


class Styles(DrawnDataset):
    """Facades by day, by night, in snow and as blueprints in turn, each with its style as label."""

    gives = frozenset({"target", "label"})
    labels = STYLES

    @staticmethod
    def draw(config: DrawnConfig, index: int) -> Sample:
        """Draws a facade in the style whose turn it is."""
        label = index % len(STYLES)
        return {"target": _styled(config, index, STYLES[label]), "label": label}


class Pictures(DrawnDataset):
    """Quarters of facades drawn twice as large, in which bricks, glazing bars and railings can be made out."""

    gives = frozenset({"target"})

    @staticmethod
    def draw(config: DrawnConfig, index: int) -> Sample:
        """Takes a quarter of a large facade.

        A block of facades is gone through four times; from one sample to the next the quarter changes, too.
        """
        block, place = divmod(index, 4 * _BLOCK)
        turn, number = divmod(place, _BLOCK)
        picture = drawn_once(_large_facade, config, block * _BLOCK + number)["target"]
        row, column = divmod((turn + number) % 4, 2)
        size = config.size
        return {"target": picture[row * size : (row + 1) * size, column * size : (column + 1) * size]}


def _large_facade(config: DrawnConfig, index: int) -> Sample:
    """A facade of twice the set's size."""
    return {"target": draw_facade(index, size=2 * config.size, seed=config.seed)[1]}


def _styled(config: DrawnConfig, index: int, style: str) -> np.ndarray:
    """One facade in a style, ``(size, size, 3)`` uint8."""
    scale = max(1, _DETAIL // config.size)
    labels, picture = draw_facade(index, size=config.size * scale, seed=config.seed)
    rng = np.random.Generator(np.random.PCG64([config.seed, index % 2**64, 2]))  # draw_facade's end in 0 and 1
    return shrunk(restyle(labels, picture, style, rng), scale)


def shrunk(picture: np.ndarray, scale: int) -> np.ndarray:
    """A picture ``(H, W, 3)`` uint8 at a whole fraction of its size, each pixel the rounded mean of a square."""
    fine = picture.astype(np.uint32)
    total = sum(fine[row::scale, column::scale] for row in range(scale) for column in range(scale))
    return np.asarray((total + scale * scale // 2) // (scale * scale)).astype(np.uint8)
