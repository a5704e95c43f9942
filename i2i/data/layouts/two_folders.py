"""Finds the two folders of a data set: that of the A images and that of the B images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from i2i.data.layouts.options import FoldersConfig
from i2i.data.layouts.splits import SPLIT_NAMES, SPLITS
from i2i.errors import DataError
from i2i.images import find_images

NAMES_A = ("A", "a", "source", "input", "inputs", "src", "LR", "lr")
"""Usual names of the folder of the A images; the B folder has the name at the same place of `NAMES_B`."""
NAMES_B = ("B", "b", "target", "output", "outputs", "tgt", "HR", "hr")
"""Usual names of the folder of the B images."""


@dataclass(frozen=True)
class TwoFolders:
    """The two folders of a split.

    Attributes:
        a: folder of the A images.
        b: folder of the B images.
        of_split: whether the split has folders of its own; if not, these are the folders of the training images.
    """

    a: Path
    b: Path
    of_split: bool


def two_folders(root: Path, split: str, config: FoldersConfig) -> TwoFolders:
    """The folders of the A and the B images.

    Args:
        root: the data folder.
        split: ``train`` or ``val``.
        config: names of the folders, if they are given.

    Raises:
        DataError: they are not found, or there are not just two.
    """
    names = config.names()
    if own := folder_pair(root, split, names):
        return TwoFolders(*own, of_split=True)
    if whole := folder_pair(root, "", names) or folder_pair(root, "train", names):
        return TwoFolders(*whole, of_split=False)
    for name in (config.source, config.target):
        if name and not (root / name).is_dir():
            raise DataError(f"{root / name}: no such folder (data.layout.source and .target name folders in data.root)")
    raise DataError(f"{root}: expected two folders of images; name them with data.layout.source and .target")


def folder_pair(root: Path, split: str, names: tuple[str, str] | None = None) -> tuple[Path, Path] | None:
    """The A and B folders of a split, or None.

    Args:
        root: the data folder.
        split: ``train`` or ``val``; empty means a folder without splits.
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
    """The two folders among these that have usual names, or else the only two with images."""
    by_name = {path.name: path for path in folders}
    for name_a, name_b in zip(NAMES_A, NAMES_B, strict=True):
        if name_a in by_name and name_b in by_name:
            return by_name[name_a], by_name[name_b]
    with_images = [path for path in folders if not path.name.startswith(".") and find_images(path)]
    return (with_images[0], with_images[1]) if len(with_images) == 2 else None


def _named(root: Path, split: str, a: str, b: str, *, suffix: bool = False) -> tuple[Path, Path] | None:
    """The folders ``split/a`` and ``split/b``, or ``a/split`` and ``b/split``; with `suffix` also ``splita``."""
    names = SPLITS.get(split, (split,))
    for name in names:
        options = [(root / f"{name}{a}", root / f"{name}{b}")] if suffix else []
        options += [(root / name / a, root / name / b), (root / a / name, root / b / name)]
        for folder_a, folder_b in options:
            if folder_a.is_dir() and folder_b.is_dir():
                return folder_a, folder_b
    return None
