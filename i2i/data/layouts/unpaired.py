"""Unpaired samples: two folders of images that have nothing to do with each other.

The folders are found as for pairs; the usual names are ``trainA trainB testA testB``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from i2i.api import Dataset, Reader, Transform
from i2i.data.layouts.options import FoldersConfig
from i2i.data.layouts.two_folders import folder_pair, two_folders
from i2i.errors import DataError
from i2i.images import find_images


class Unpaired(Dataset):
    """Images of A in order, each with an image of B drawn at random; an epoch is as long as the larger folder.

    The images of the smaller folder come again until all of the larger one have come. Where there are split folders,
    validation samples have the images of B in order, too. Without split folders a share of A is held out for
    validation, and nothing of B: each image of B is drawn at random from all, as in training.

    Args:
        config: names of the two folders.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.

    Raises:
        DataError: the two folders are not found, or one is empty.
    """

    gives = frozenset({"source", "target"})
    paired = False

    def __init__(self, config: FoldersConfig, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read, self.in_order = transform, read, split != "train"
        self.problems: list[DataError] = []
        found = two_folders(root, split, config)
        self.has_splits = found.of_split
        self.paths_a, self.paths_b = find_images(found.a), find_images(found.b)
        for folder, paths in ((found.a, self.paths_a), (found.b, self.paths_b)):
            if not paths:
                raise DataError(f"{folder}: no images in it")

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether there are two folders of images."""
        return (folder_pair(root, "train") or folder_pair(root, "")) is not None

    def __len__(self) -> int:
        return max(len(self.paths_a), len(self.paths_b))

    def key(self, index: int) -> str:
        """Name of the image of A."""
        return self.paths_a[index % len(self.paths_a)].name

    def look(self, index: int) -> dict[str, Any]:
        """The images of A and B with that number; a damaged one of B is missing, and among the `problems`."""
        path_b = self.paths_b[index % len(self.paths_b)]
        sample = {"source": self.read(self.paths_a[index % len(self.paths_a)], "source")}
        try:
            return sample | {"target": self.read(path_b, "target")}
        except DataError as error:  # a copy of it, for its traceback would keep the pixels in memory
            self.problems.append(DataError(error.reason, kind=error.kind, path=error.path))
            return sample

    def __getitem__(self, index: int) -> dict[str, Any]:
        a = self.read(self.paths_a[index % len(self.paths_a)], "source")
        count = len(self.paths_b)
        first = index if self.in_order else np.random.randint(count)
        for offset in range(count):  # a damaged image of B must not take one of A with it
            try:
                b = self.read(self.paths_b[(first + offset) % count], "target")
            except DataError:
                continue
            return self.transform({"source": a, "target": b})
        raise DataError(f"{self.paths_b[0].parent}: no image in it can be read")
