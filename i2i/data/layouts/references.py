"""Folders of classes for methods that take the look of one image for another: each sample has two references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from i2i.api import Config, Dataset, Reader, Transform
from i2i.data.layouts.single import Classes
from i2i.errors import DataError


class References(Dataset):
    """A folder a class, as `Classes` reads it; ``reference`` and ``second_reference`` are images of ``target_label``.

    That class is drawn at random, all as likely, and the two images from all of it, those held out for validation
    included. Samples of rare classes are drawn as often as those of common ones.

    Args:
        config: no options.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.

    Raises:
        DataError: as of `Classes`.
    """

    gives = frozenset({"target", "label", "target_label", "reference", "second_reference"})
    paired = False

    def __init__(self, config: Config, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read = transform, read
        self.images = Classes(config, root=root, split=split, transform=dict, read=read)
        self.has_splits, self.labels = self.images.has_splits, self.images.labels
        paths: dict[int, list[Path]] = {}
        for path, label in self.images.samples:
            paths.setdefault(label, []).append(path)
        self.paths = paths

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether `Classes` may read the folder."""
        return Classes.detect(root)

    def __len__(self) -> int:
        return len(self.images)

    def key(self, index: int) -> str:
        """Path of the image in the data folder."""
        return self.images.key(index)

    def weights(self, index: int) -> float:
        """One over the number of images of the class."""
        return 1 / len(self.paths[self.images.samples[index][1]])

    def look(self, index: int) -> dict[str, Any]:
        """The image, which is its own reference."""
        path, label = self.images.samples[index]
        image = self.read(path, "target", "reference", "second_reference")
        sample = {"target": image, "label": label, "target_label": label}
        return self.transform(sample | {"reference": image, "second_reference": image})

    def __getitem__(self, index: int) -> dict[str, Any]:
        path, label = self.images.samples[index]
        wanted = sorted(self.paths)[int(np.random.randint(len(self.paths)))]
        sample = {"target": self.read(path, "target"), "label": label, "target_label": wanted}
        return self.transform(sample | {key: self._drawn(wanted, key) for key in ("reference", "second_reference")})

    def _drawn(self, label: int, key: str) -> np.ndarray:
        """An image of a class; a damaged one must not take the sample with it, and the next one serves."""
        paths = self.paths[label]
        first = int(np.random.randint(len(paths)))
        for offset in range(len(paths)):
            try:
                return self.read(paths[(first + offset) % len(paths)], key)
            except DataError:
                continue
        raise DataError(f"{paths[0].parent}: no image in it can be read")
