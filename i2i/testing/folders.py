"""Small folders of drawn pictures, one in each layout that the built-in datasets read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from i2i.images import write_image
from i2i.testing.pictures import STYLES, draw_pair

SPLITS = {"train": range(8), "val": range(100, 103)}
"""Numbers of the pictures in each split."""

SIDE = 72
"""Height and width of an image, in pixels."""


def paired(root: Path) -> Path:
    """Side-by-side files, the map left and the picture right, in ``train`` and ``val``."""
    for split, numbers in SPLITS.items():
        for number in numbers:
            _write(root / split / f"{number:03d}.png", np.hstack(draw_pair(number, size=SIDE)))
    return root


def two_folders(root: Path) -> Path:
    """The same pairs as two folders with the same file names, ``A`` and ``B``, in ``train`` and ``val``."""
    for split, numbers in SPLITS.items():
        for number in numbers:
            for side, pixels in zip("AB", draw_pair(number, size=SIDE), strict=True):
                _write(root / split / side / f"{number:03d}.png", pixels)
    return root


def unpaired(root: Path) -> Path:
    """Folders ``trainA``, ``trainB``, ``valA`` and ``valB``: pictures, and other pictures in a dark style."""
    for split, numbers in SPLITS.items():
        for number in numbers:
            _write(root / f"{split}A" / f"{number:03d}.png", draw_pair(number, size=SIDE)[1])
            _write(root / f"{split}B" / f"dark-{number:03d}.png", _styled(number + 1000, "dark"))
    return root


def labelled(root: Path) -> Path:
    """A folder for each style of pictures in ``train`` and ``val``: the styles are the classes."""
    for split, numbers in SPLITS.items():
        for number in numbers:
            for style in STYLES:
                _write(root / split / style / f"{number:03d}.png", _styled(number, style))
    return root


def high_resolution(root: Path) -> Path:
    """Pictures in ``train`` and ``val``, twice as large as those of the other folders."""
    for split, numbers in SPLITS.items():
        for number in numbers:
            _write(root / split / f"{number:03d}.png", draw_pair(number, size=2 * SIDE)[1])
    return root


LAYOUTS = {
    "paired": paired,
    "two-folders": two_folders,
    "unpaired": unpaired,
    "labelled": labelled,
    "hr": high_resolution,
}
"""Name of a folder -> the function that fills it."""


def _styled(number: int, style: str) -> np.ndarray:
    return STYLES[style](draw_pair(number, size=SIDE)[1])


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, pixels)
