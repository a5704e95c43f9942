"""The sample sets drawn by code, as datasets without a folder: for paired, unpaired, labelled and finer pictures.

Sample number n of a split is a function of the set's options and n alone. Training and validation drawings have indices
far apart, and what is random about a picture's style has a stream of its own, so that no option of one set changes
another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from i2i import Config
from i2i_samples.facades import draw_facade
from i2i_samples.styles import STYLES, restyle

Sample = dict[str, Any]
Transform = Callable[[Sample], Sample]

VALIDATION_START = 1_000_000
"""Index of the first validation sample, far from any training sample."""

_DETAIL = 128
"""Smaller pictures in a style are painted at about this size and averaged down, or their lines would fill them."""

_BLOCK = 16
"""Facades whose quarters are dealt out in turn, so that neighbouring samples show different facades."""

Count = Annotated[int, Field(ge=1, le=VALIDATION_START, description="Training samples.")]
ValidationCount = Annotated[int, Field(ge=1, le=VALIDATION_START, description="Validation samples.")]
Size = Annotated[int, Field(ge=16, description="Height and width of a picture, in pixels.")]
Seed = Annotated[int, Field(ge=0, description="Another seed draws other facades.")]


class FacadesConfig(Config):
    """How many facades are drawn, and how large."""

    count: Count = 160
    val_count: ValidationCount = 24
    size: Size = 128
    seed: Seed = 0


class DayNightConfig(Config):
    """How many facades are drawn by day, and as many others by night, and how large."""

    count: Count = 160
    val_count: ValidationCount = 24
    size: Size = 64
    seed: Seed = 0


class StylesConfig(Config):
    """How many facades are drawn, a quarter of them in each style, and how large."""

    count: Count = 400
    val_count: ValidationCount = 40
    size: Size = 32
    seed: Seed = 0


class PicturesConfig(Config):
    """How many pictures are drawn, and how large."""

    count: Count = 160
    val_count: ValidationCount = 24
    size: Size = 128
    seed: Seed = 0


class Facades:
    """Label map (A) and rendered facade (B).

    Args:
        config: see `FacadesConfig`.
        root: not used.
        split: ``train`` or ``val``.
        transform: called with each sample.
    """

    gives: ClassVar = frozenset({"source", "target"})
    has_splits = True

    def __init__(self, config: FacadesConfig, *, root: Path | None = None, split: str, transform: Transform) -> None:
        self.transform, self.drawings = transform, _Drawings(_facade, config, split)

    def __len__(self) -> int:
        return len(self.drawings)

    def __getitem__(self, index: int) -> Sample:
        return self.transform(self.drawings[index])


class DayNight:
    """Facades by day (A) and other facades by night (B): no facade is in both.

    Args:
        config: see `DayNightConfig`.
        root: not used.
        split: ``train`` or ``val``.
        transform: called with each sample.
    """

    gives: ClassVar = frozenset({"source", "target"})
    has_splits = True
    paired = False

    def __init__(self, config: DayNightConfig, *, root: Path | None = None, split: str, transform: Transform) -> None:
        self.transform, self.drawings = transform, _Drawings(_day_and_night, config, split)

    def __len__(self) -> int:
        return len(self.drawings)

    def __getitem__(self, index: int) -> Sample:
        return self.transform(self.drawings[index])


class Styles:
    """Facades by day, by night, in snow and as blueprints in turn, each with its style as label.

    Args:
        config: see `StylesConfig`.
        root: not used.
        split: ``train`` or ``val``.
        transform: called with each sample.
    """

    gives: ClassVar = frozenset({"target", "label"})
    has_splits = True
    labels = STYLES

    def __init__(self, config: StylesConfig, *, root: Path | None = None, split: str, transform: Transform) -> None:
        self.transform, self.drawings = transform, _Drawings(_labelled, config, split)

    def __len__(self) -> int:
        return len(self.drawings)

    def __getitem__(self, index: int) -> Sample:
        return self.transform(self.drawings[index])


class Pictures:
    """Quarters of facades drawn twice as large: bricks, glazing bars and railings are told apart.

    Args:
        config: see `PicturesConfig`.
        root: not used.
        split: ``train`` or ``val``.
        transform: called with each sample.
    """

    gives: ClassVar = frozenset({"target"})
    has_splits = True

    def __init__(self, config: PicturesConfig, *, root: Path | None = None, split: str, transform: Transform) -> None:
        self.transform, self.drawings = transform, _Drawings(_quarter, config, split)

    def __len__(self) -> int:
        return len(self.drawings)

    def __getitem__(self, index: int) -> Sample:
        return self.transform(self.drawings[index])


_Options = FacadesConfig | DayNightConfig | StylesConfig | PicturesConfig
_Draw = Callable[[_Options, int], Sample]
"""Draws the sample of that index with the options."""


class _Drawings:
    """The samples of one split, drawn when first asked for and kept; their arrays cannot be written to.

    Args:
        draw: draws a sample.
        options: for `draw`.
        split: ``train`` or ``val``.
    """

    def __init__(self, draw: _Draw, options: _Options, split: str) -> None:
        self.draw, self.options = draw, options
        first, count = (0, options.count) if split == "train" else (VALIDATION_START, options.val_count)
        self.indices = range(first, first + count)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return dict(_kept(self.draw, self.options, self.indices[index]))


@lru_cache(maxsize=4)
def _store(draw: _Draw, options: _Options) -> dict[int, Sample]:
    """What has been drawn of a set. A run opens its set to check it and again to train on it, and draws it once."""
    return {}


def _kept(draw: _Draw, options: _Options, index: int) -> Sample:
    store = _store(draw, options)
    if index not in store:
        sample = draw(options, index)
        for value in sample.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        store[index] = sample
    return store[index]


def _facade(options: _Options, index: int) -> Sample:
    labels, picture = draw_facade(index, size=options.size, seed=options.seed)
    return {"source": labels, "target": picture}


def _day_and_night(options: _Options, index: int) -> Sample:
    """The facades by night are counted backwards from -1, where no day comes."""
    return {"source": _styled(options, index, "day"), "target": _styled(options, -1 - index, "night")}


def _labelled(options: _Options, index: int) -> Sample:
    label = index % len(STYLES)
    return {"target": _styled(options, index, STYLES[label]), "label": label}


def _styled(options: _Options, index: int, style: str) -> np.ndarray:
    """One facade in a style, ``(size, size, 3)`` uint8."""
    scale = max(1, _DETAIL // options.size)
    labels, picture = draw_facade(index, size=options.size * scale, seed=options.seed)
    rng = np.random.Generator(np.random.PCG64([options.seed, index % 2**64, 2]))  # draw_facade's end in 0 and 1
    fine = restyle(labels, picture, style, rng).astype(np.uint32)
    total = sum(fine[row::scale, column::scale] for row in range(scale) for column in range(scale))
    return np.asarray((total + scale * scale // 2) // (scale * scale)).astype(np.uint8)


def _quarter(options: _Options, index: int) -> Sample:
    """A block of facades is gone through four times; from one sample to the next the quarter changes, too."""
    block, place = divmod(index, 4 * _BLOCK)
    turn, number = divmod(place, _BLOCK)
    picture = _kept(_large, options, block * _BLOCK + number)["target"]
    row, column = divmod((turn + number) % 4, 2)
    size = options.size
    return {"target": picture[row * size : (row + 1) * size, column * size : (column + 1) * size]}


def _large(options: _Options, index: int) -> Sample:
    return {"target": draw_facade(index, size=2 * options.size, seed=options.seed)[1]}
