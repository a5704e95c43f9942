"""Paired samples: side by side in one file, or in two folders under the same names.

A is the left half or the first folder, B the right half or the second; ``data.direction`` says which is the source.
A folder's split is looked for under the usual names; without any, a share of the pairs is held out, chosen by a hash of
the name so that adding images moves no other image between the splits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from i2i.api import Config
from i2i.data.images import find_images, image_info
from i2i.errors import DataError

SPLITS = {
    "train": ("train", "training", "Train"),
    "val": ("val", "valid", "validation", "test", "Val", "Test"),
}
NAMES_A = ("A", "a", "source", "input", "inputs", "src")
NAMES_B = ("B", "b", "target", "output", "outputs", "tgt")
Reader = Callable[[Path], np.ndarray]
Transform = Callable[[dict[str, Any]], dict[str, Any]]


class SideBySide:
    """One file a pair, A on the left and B on the right.

    Args:
        config: no options.
        root: folder with ``train`` and ``val`` (or ``test``) folders, or with the files themselves.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.

    Raises:
        DataError: the folder does not exist.
    """

    def __init__(self, config: Config, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read = transform, read
        folder = _split_folder(root, split)
        files = find_images(folder or root)
        self.has_splits = folder is not None
        self.paths = [
            path for path in files if not any(part in _SPLIT_NAMES for part in path.relative_to(folder or root).parts)
        ]
        self.problems: list[str] = []

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether most of the first images are about twice as wide as high, and lie in no folders but the splits'."""
        folder = _split_folder(root, "train") or root
        if any(path.is_dir() and path.name not in _SPLIT_NAMES for path in folder.iterdir()):
            return False
        files = find_images(folder)[:8]
        wide = [_is_wide(path) for path in files]
        return bool(files) and sum(wide) * 2 > len(files)

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        """The name that decides which split a pair without a split folder is in."""
        return self.paths[index].name

    def files(self, index: int) -> list[Path]:
        """The file behind a sample."""
        return [self.paths[index]]

    def __getitem__(self, index: int) -> dict[str, Any]:
        image = self.read(self.paths[index])
        width = image.shape[1]
        if width % 2:
            raise DataError(
                f"{self.paths[index]}: a side-by-side pair needs an even width, this is {width} pixels wide"
            )
        return self.transform({"source": image[:, : width // 2], "target": image[:, width // 2 :]})


class FoldersConfig(Config):
    """Names of the two folders, when they are not found by themselves."""

    source: str | None = None
    """Folder of the A images, relative to data.root; null: the first of the two by name."""
    target: str | None = None
    """Folder of the B images; null: the second."""


class TwoFolders:
    """Two folders with the same file names; the endings may differ.

    Known arrangements: ``A/x.png B/x.png``, ``train/A/x.png``, ``A/train/x.png`` and ``trainA/x.png``, with any two
    folder names in place of A and B.

    Args:
        config: see `FoldersConfig`.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.

    Raises:
        DataError: the two folders are not found, or are not just two.
    """

    def __init__(self, config: FoldersConfig, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read = transform, read
        found = _folder_pair(root, split, config)
        self.has_splits = found is not None
        whole = found or _folder_pair(root, "", config) or _folder_pair(root, "train", config)
        folder_a, folder_b = whole or _no_folders(root, config)
        images_a, images_b = _by_stem(folder_a), _by_stem(folder_b)
        names = sorted(images_a.keys() & images_b.keys())
        self.pairs = [(images_a[name], images_b[name]) for name in names]
        doubled = [path for folder in (folder_a, folder_b) for path in _doubled(folder)]
        alone = [images_a[name] for name in sorted(images_a.keys() - images_b.keys())]
        alone += [images_b[name] for name in sorted(images_b.keys() - images_a.keys())]
        self.problems = [f"{path}: another file has its name with another ending" for path in doubled]
        self.problems += [
            f"{path}: no partner in {folder_b if path.is_relative_to(folder_a) else folder_a}" for path in alone
        ]

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether there are two folders that share most of their file names."""
        found = _folder_pair(root, "train", FoldersConfig()) or _folder_pair(root, "", FoldersConfig())
        if found is None:
            return False
        names_a, names_b = (set(_by_stem(folder)) for folder in found)
        return len(names_a & names_b) * 2 > min(len(names_a), len(names_b))

    def __len__(self) -> int:
        return len(self.pairs)

    def key(self, index: int) -> str:
        """The name that decides which split a pair without a split folder is in."""
        return self.pairs[index][0].stem

    def files(self, index: int) -> list[Path]:
        """The two files behind a sample."""
        return list(self.pairs[index])

    def __getitem__(self, index: int) -> dict[str, Any]:
        path_a, path_b = self.pairs[index]
        a, b = self.read(path_a), self.read(path_b)
        if a.shape[:2] != b.shape[:2]:
            sizes = f"{a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}"
            raise DataError(f"{path_a}: the pair has unequal sizes, {sizes} ({path_b})")
        return self.transform({"source": a, "target": b})


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


_SPLIT_NAMES = frozenset(name for names in SPLITS.values() for name in names)


def _is_wide(path: Path) -> bool:
    try:
        info = image_info(path)
    except DataError:
        return False
    return 1.8 * info.height <= info.width <= 3 * info.height and info.width % 2 == 0


def _split_folder(root: Path, split: str) -> Path | None:
    return next((root / name for name in SPLITS.get(split, ()) if (root / name).is_dir()), None)


def _folder_pair(root: Path, split: str, config: FoldersConfig) -> tuple[Path, Path] | None:
    """The A and B folders of a split; an empty `split` means a folder without splits."""
    if config.source and config.target:
        return _named(root, split, config.source, config.target)
    for name in SPLITS.get(split, ("",)):
        if (pair := _named(root, name, "A", "B", suffix=True)) is not None:
            return pair
        inside = root / name
        if name and not inside.is_dir():
            continue
        folders = sorted(path for path in inside.iterdir() if path.is_dir() and path.name not in _SPLIT_NAMES)
        if pair := _two_of(folders):
            return pair
    outer = _two_of(sorted(path for path in root.iterdir() if path.is_dir() and path.name not in _SPLIT_NAMES))
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


def _no_folders(root: Path, config: FoldersConfig) -> tuple[Path, Path]:
    for name in (config.source, config.target):
        if name and not (root / name).is_dir():
            raise DataError(f"{root / name}: no such folder (data.layout.source and .target name folders in data.root)")
    raise DataError(
        f"{root}: expected two folders with the same file names; name them with data.layout.source and .target"
    )


def _doubled(folder: Path) -> list[Path]:
    """Files whose place `_by_stem` gives to another one."""
    return sorted(set(find_images(folder)) - set(_by_stem(folder).values()))


def _by_stem(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder).with_suffix("")): path for path in find_images(folder)}
