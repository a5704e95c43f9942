"""Paired samples: side by side in one file, or in two folders under the same names.

A is the left half or the first folder, B the right half or the second; ``data.direction`` says which is the source.
A folder's split is looked for under the usual names; without any, a share of the pairs is held out, chosen by a hash of
the name so that adding images moves no other image between the splits.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from i2i.api import Config
from i2i.data.layouts.common import SPLIT_NAMES, Reader, Transform, folder_pair, split_folder
from i2i.errors import DataError
from i2i.images.reading import find_images, image_info


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

    gives: ClassVar = frozenset({"source", "target"})

    def __init__(self, config: Config, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read = transform, read
        folder = split_folder(root, split)
        files = find_images(folder or root)
        self.has_splits = folder is not None
        self.paths = [
            path for path in files if not any(part in SPLIT_NAMES for part in path.relative_to(folder or root).parts)
        ]
        self.problems: list[str] = []

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether most images are about twice as wide as high, and lie in no folders but the splits'.

        A few of them are looked at, evenly spread; those that cannot be read have no say.
        """
        folder = split_folder(root, "train") or root
        if any(path.is_dir() and path.name not in SPLIT_NAMES for path in folder.iterdir()):
            return False
        files = find_images(folder)
        spread = files[:: max(1, len(files) // 16)]
        wide = [verdict for path in spread if (verdict := _is_wide(path)) is not None]
        return sum(wide) * 2 > len(wide)

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

    def names(self) -> tuple[str, str] | None:
        """Both names, if both are given."""
        return (self.source, self.target) if self.source and self.target else None


class TwoFolders:
    """Two folders with the same file names; the endings may differ, and small images may be called ``x4`` at the end.

    Known arrangements: ``A/x.png B/x.png``, ``train/A/x.png``, ``A/train/x.png`` and ``trainA/x.png``, with any two
    folder names in place of A and B; LR and HR are A and B.

    Args:
        config: see `FoldersConfig`.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.
        scale: how many times larger one image of a pair is than the other.

    Raises:
        DataError: the two folders are not found, or are not just two.
    """

    gives: ClassVar = frozenset({"source", "target"})

    def __init__(
        self, config: FoldersConfig, *, root: Path, split: str, transform: Transform, read: Reader, scale: int = 1
    ) -> None:
        self.transform, self.read, self.scale = transform, read, scale
        names = config.names()
        found = folder_pair(root, split, names)
        self.has_splits = found is not None
        whole = found or folder_pair(root, "", names) or folder_pair(root, "train", names)
        folder_a, folder_b = whole or no_folders(root, config)
        images_a, images_b = _by_stem(folder_a, scale), _by_stem(folder_b, scale)
        self.pairs = [(images_a[name], images_b[name]) for name in sorted(images_a.keys() & images_b.keys())]
        doubled = [path for folder in (folder_a, folder_b) for path in _doubled(folder, scale)]
        alone = [images_a[name] for name in sorted(images_a.keys() - images_b.keys())]
        alone += [images_b[name] for name in sorted(images_b.keys() - images_a.keys())]
        self.problems = [f"{path}: another file has its name with another ending" for path in doubled]
        self.problems += [
            f"{path}: no partner in {folder_b if path.is_relative_to(folder_a) else folder_a}" for path in alone
        ]

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether there are two folders that share most of their file names."""
        found = folder_pair(root, "train") or folder_pair(root, "")
        if found is None:
            return False
        names_a, names_b = ({re.sub(r"x[2-8]$", "", stem) for stem in _by_stem(folder)} for folder in found)
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
        small, large = sorted((a.shape[:2], b.shape[:2]))
        if small != tuple(side // self.scale for side in large):  # a rest of the division is cut off later
            sizes = f"{a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}"
            what = "the pair has unequal sizes" if self.scale == 1 else f"the sizes do not differ {self.scale} times"
            raise DataError(f"{path_a}: {what}, {sizes} ({path_b})")
        return self.transform({"source": a, "target": b})


def _is_wide(path: Path) -> bool | None:
    """Whether an image could be a side-by-side pair; None if it cannot be read."""
    try:
        info = image_info(path)
    except DataError:
        return None
    return 1.8 * info.height <= info.width <= 3 * info.height and info.width % 2 == 0


def no_folders(root: Path, config: FoldersConfig) -> tuple[Path, Path]:
    """Says what is missing.

    Raises:
        DataError: always.
    """
    for name in (config.source, config.target):
        if name and not (root / name).is_dir():
            raise DataError(f"{root / name}: no such folder (data.layout.source and .target name folders in data.root)")
    raise DataError(f"{root}: expected two folders of images; name them with data.layout.source and .target")


def _doubled(folder: Path, scale: int) -> list[Path]:
    """Files whose place `_by_stem` gives to another one."""
    return sorted(set(find_images(folder)) - set(_by_stem(folder, scale).values()))


def _by_stem(folder: Path, scale: int = 1) -> dict[str, Path]:
    """Images by name without ending; ``x4`` at its end, as the small images of a scale are often called, goes too."""
    ending = f"x{scale}" if scale > 1 else ""
    return {str(path.relative_to(folder).with_suffix("")).removesuffix(ending): path for path in find_images(folder)}
