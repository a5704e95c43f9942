"""How data folders are organised: names of splits and sides, and what is held out where there is no split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from i2i.images.reading import find_images

SPLITS = {
    "train": ("train", "training", "Train"),
    "val": ("val", "valid", "validation", "test", "Val", "Test"),
}
SPLIT_NAMES = frozenset(name for names in SPLITS.values() for name in names)
NAMES_A = ("A", "a", "source", "input", "inputs", "src", "LR", "lr")
NAMES_B = ("B", "b", "target", "output", "outputs", "tgt", "HR", "hr")
Reader = Callable[[Path], np.ndarray]
Transform = Callable[[dict[str, Any]], dict[str, Any]]


def held_out(keys: Sequence[str], fraction: float) -> set[int]:
    """Indices of the samples held out for validation: those whose key's hash is below `fraction` of its range.

    Of two or more samples at least one and never all, when the fraction is not 0.
    """
    if fraction == 0 or len(keys) < 2:
        return set()
    hashes = [int.from_bytes(hashlib.sha256(key.encode(errors="surrogateescape")).digest()) / 2**256 for key in keys]
    chosen = {index for index, value in enumerate(hashes) if value < fraction}
    if not chosen:
        return {hashes.index(min(hashes))}
    return chosen - {hashes.index(max(hashes))} if len(chosen) == len(keys) else chosen


def split_folder(root: Path, split: str) -> Path | None:
    """The folder of a split inside the data folder, or None."""
    return next((root / name for name in SPLITS.get(split, ()) if (root / name).is_dir()), None)


def folder_pair(root: Path, split: str, names: tuple[str, str] | None = None) -> tuple[Path, Path] | None:
    """The A and B folders of a split; an empty `split` means a folder without splits.

    Args:
        root: the data folder.
        split: ``train``, ``val`` or empty.
        names: what the two folders are called, if it is known.
    """
    if names:
        return _named(root, split, *names)
    for name in SPLITS.get(split, ("",)):
        if (pair := _named(root, name, "A", "B", suffix=True)) is not None:
            return pair
        inside = root / name
        if name and not inside.is_dir():
            continue
        folders = sorted(path for path in inside.iterdir() if path.is_dir() and path.name not in SPLIT_NAMES)
        if pair := _two_of(folders):
            return pair
    outer = _two_of(sorted(path for path in root.iterdir() if path.is_dir() and path.name not in SPLIT_NAMES))
    return _named(root, split, outer[0].name, outer[1].name) if split and outer else None


def _two_of(folders: list[Path]) -> tuple[Path, Path] | None:
    by_name = {path.name: path for path in folders}
    for name_a, name_b in zip(NAMES_A, NAMES_B, strict=True):
        if name_a in by_name and name_b in by_name:
            return by_name[name_a], by_name[name_b]
    with_images = [path for path in folders if not path.name.startswith(".") and find_images(path)]
    return (with_images[0], with_images[1]) if len(with_images) == 2 else None


def _named(root: Path, split: str, a: str, b: str, *, suffix: bool = False) -> tuple[Path, Path] | None:
    names = SPLITS.get(split, (split,))
    for name in names:
        options = [(root / f"{name}{a}", root / f"{name}{b}")] if suffix else []
        options += [(root / name / a, root / name / b), (root / a / name, root / b / name)]
        for folder_a, folder_b in options:
            if folder_a.is_dir() and folder_b.is_dir():
                return folder_a, folder_b
    return None
