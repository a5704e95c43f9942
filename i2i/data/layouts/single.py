"""Samples of one image: a folder a class, or one folder of pictures. The image is the target, what is to be made."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from i2i.api import Config, Dataset, Reader, Transform
from i2i.data.layouts.paired import SideBySide
from i2i.data.layouts.splits import SPLIT_NAMES, split_folder, split_images, training_folder
from i2i.errors import DataError
from i2i.images import find_images


class Classes(Dataset):
    """One folder a class: ``zebra/1.jpg``, or with splits ``train/zebra/1.jpg``; the folder's name is the label.

    Args:
        config: no options.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.

    Attributes:
        labels: names of the classes in alphabetical order; those of the training split.

    Raises:
        DataError: there are no class folders with images, or the split has a class that training has not.
    """

    gives = frozenset({"target", "label"})

    def __init__(self, config: Config, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read, self.root = transform, read, root
        folder = split_folder(root, split)
        self.has_splits = folder is not None
        self.labels = tuple(path.name for path in _class_folders(training_folder(root)))
        if not self.labels:
            raise DataError(f"{root}: expected one folder of images a class, such as {root / 'zebra' / '1.jpg'}")
        classes = _class_folders(folder or training_folder(root))
        if unknown := [path for path in classes if path.name not in self.labels]:
            raise DataError(f"{unknown[0]}: no such class in the training images; they have {', '.join(self.labels)}")
        self.samples = [(path, self.labels.index(one.name)) for one in classes for path in find_images(one)]

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether there are two or more folders of images, and no images beside them."""
        folder = training_folder(root)
        names = [path.name for path in _class_folders(folder)]
        of_pairs = all(name[:-1] in SPLIT_NAMES for name in names)  # trainA, trainB
        return len(names) > 1 and not of_pairs and not _images_directly_in(folder)

    def __len__(self) -> int:
        return len(self.samples)

    def key(self, index: int) -> str:
        """Path of the image in the data folder."""
        return str(self.samples[index][0].relative_to(self.root))

    def __getitem__(self, index: int) -> dict[str, Any]:
        path, label = self.samples[index]
        return self.transform({"target": self.read(path, "target"), "label": label})


class Images(Dataset):
    """One folder of pictures, with ``train`` and ``val`` inside or not.

    Args:
        config: no options.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.
    """

    gives = frozenset({"target"})

    def __init__(self, config: Config, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read, self.root, self.split = transform, read, root, split
        self.has_splits = split_folder(root, split) is not None

    @cached_property
    def paths(self) -> list[Path]:
        """The images; a split without a folder of its own is not even listed where nobody asks."""
        return split_images(self.root, self.split)

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether images lie directly in the folder, or in its training split, and are not side-by-side pairs."""
        return _images_directly_in(training_folder(root)) and not SideBySide.detect(root)

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        """Path of the image in the data folder."""
        return str(self.paths[index].relative_to(self.root))

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.transform({"target": self.read(self.paths[index], "target")})


def _class_folders(folder: Path) -> list[Path]:
    inside = sorted(path for path in folder.iterdir() if path.is_dir())
    return [p for p in inside if p.name not in SPLIT_NAMES and not p.name.startswith(".") and find_images(p)]


def _images_directly_in(folder: Path) -> bool:
    return any(path.parent == folder for path in find_images(folder))
