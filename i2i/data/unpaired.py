"""Unpaired samples: two folders of images that have nothing to do with each other.

The folders are found as for pairs; the usual names are ``trainA trainB testA testB``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from i2i.data.images import find_images
from i2i.data.layouts import Reader, Transform, folder_pair
from i2i.data.paired import FoldersConfig, TwoFolders, no_folders
from i2i.errors import DataError


class Unpaired:
    """Images of A in order, each with an image of B drawn at random; an epoch is as long as the larger folder.

    Args:
        config: names of the two folders.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.

    Raises:
        DataError: the two folders are not found, or one is empty.
    """

    gives: ClassVar = frozenset({"source", "target"})
    paired = False

    def __init__(self, config: FoldersConfig, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read = transform, read
        names = config.names()
        found = folder_pair(root, split, names)
        self.has_splits = found is not None
        whole = found or folder_pair(root, "", names) or folder_pair(root, "train", names) or no_folders(root, config)
        self.paths_a, self.paths_b = (find_images(folder) for folder in whole)
        for folder, paths in zip(whole, (self.paths_a, self.paths_b), strict=True):
            if not paths:
                raise DataError(f"{folder}: no images in it")

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether there are two folders of images, and most of their names differ."""
        found = folder_pair(root, "train") or folder_pair(root, "")
        return found is not None and not TwoFolders.detect(root)

    def __len__(self) -> int:
        return max(len(self.paths_a), len(self.paths_b))

    def key(self, index: int) -> str:
        """The name that decides which split an image of A without a split folder is in."""
        return self.paths_a[index % len(self.paths_a)].name

    def __getitem__(self, index: int) -> dict[str, Any]:
        path_a = self.paths_a[index % len(self.paths_a)]
        path_b = self.paths_b[np.random.randint(len(self.paths_b))]
        return self.transform({"source": self.read(path_a), "target": self.read(path_b)})
