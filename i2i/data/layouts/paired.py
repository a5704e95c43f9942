"""Paired samples: side by side in one file, or in two folders under the same names.

A is the left half or the first folder, B the right half or the second; ``data.direction`` says which is the source.
A folder's split is looked for under the usual names; without any, a share of the pairs is held out, chosen by a hash of
the name so that adding images moves no other image between the splits.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from i2i.api import Config, Dataset, Reader, Transform
from i2i.data.layouts.options import PairedFoldersConfig
from i2i.data.layouts.splits import SPLIT_NAMES, split_folder, split_images, training_folder
from i2i.data.layouts.two_folders import folder_pair, two_folders
from i2i.errors import DataError, ErrorKind
from i2i.images import find_images, image_info

_PROBED = 16
"""Images whose sizes are read to detect a folder of side-by-side pairs."""


class SideBySide(Dataset):
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

    gives = frozenset({"source", "target"})

    def __init__(self, config: Config, *, root: Path, split: str, transform: Transform, read: Reader) -> None:
        self.transform, self.read, self.root, self.split = transform, read, root, split
        self.has_splits = split_folder(root, split) is not None

    @cached_property
    def paths(self) -> list[Path]:
        """The files; a split without a folder of its own is not even listed where nobody asks."""
        return split_images(self.root, self.split)

    @staticmethod
    def detect(root: Path) -> bool:
        """Whether most images are about twice as wide as high, and lie in no folders but the splits'.

        The headers of some 16 images, evenly spread, are read; images that cannot be read are ignored.
        """
        folder = training_folder(root)
        if any(path.is_dir() and path.name not in SPLIT_NAMES for path in folder.iterdir()):
            return False
        files = find_images(folder)
        spread = files[:: max(1, len(files) // _PROBED)]
        wide = [verdict for path in spread if (verdict := _is_wide(path)) is not None]
        return sum(wide) * 2 > len(wide)

    def __len__(self) -> int:
        return len(self.paths)

    def key(self, index: int) -> str:
        """Name of the file."""
        return self.paths[index].name

    def sample_files(self, index: int) -> list[Path]:
        """The file of the pair."""
        return [self.paths[index]]

    def __getitem__(self, index: int) -> dict[str, Any]:
        path = self.paths[index]
        image = self.read(path, "source", "target")
        width = image.shape[1]
        if width % 2:
            reason = f"a side-by-side pair needs an even width, this is {width} pixels wide: cut one column off"
            raise DataError(reason, kind=ErrorKind.UNEQUAL_SIZES, path=str(path))
        return self.transform({"source": image[:, : width // 2], "target": image[:, width // 2 :]})


class PairedFolders(Dataset):
    """Two folders with the same file names; the endings may differ, and small images may be called ``x4`` at the end.

    Known arrangements: ``A/x.png B/x.png``, ``train/A/x.png``, ``A/train/x.png`` and ``trainA/x.png``, with any two
    folder names in place of A and B; LR and HR are A and B.

    Args:
        config: names of the two folders, and of further ones.
        root: the data folder.
        split: ``train`` or ``val``.
        transform: called with each sample.
        read: reads an image file.
        scale: how many times larger one image of a pair is than the other.

    Raises:
        DataError: the two folders are not found, or are not just two.
    """

    gives = frozenset({"source", "target"})

    def __init__(
        self, config: PairedFoldersConfig, *, root: Path, split: str, transform: Transform, read: Reader, scale: int = 1
    ) -> None:
        self.transform, self.read, self.scale = transform, read, scale
        found = two_folders(root, split, config)
        self.has_splits = found.of_split
        images_a, images_b = _by_stem(found.a, scale), _by_stem(found.b, scale)
        self.pairs = [(images_a[name], images_b[name]) for name in sorted(images_a.keys() & images_b.keys())]
        self.problems = [*_same_names(found.a, images_a), *_same_names(found.b, images_b)]
        for images, others, folder in ((images_a, images_b, found.b), (images_b, images_a, found.a)):
            self.problems += [
                DataError(f"no partner in {folder}", kind=ErrorKind.NO_PARTNER, path=str(images[name]))
                for name in sorted(images.keys() - others.keys())
            ]
        self.more: dict[str, dict[Path, Path]] = {}  # by key the further file of each A image
        for key, name in config.more.items():
            folder = _beside(found.a, root, name)
            others, names = _by_stem(folder), {path: stem for stem, path in images_a.items()}
            self.more[key] = {a: others[names[a]] for a, _ in self.pairs if names[a] in others}
            lacking = [a for a, _ in self.pairs if a not in self.more[key]]
            reason = f"no partner in {folder}"
            self.problems += [DataError(reason, kind=ErrorKind.NO_PARTNER, path=str(a)) for a in lacking]
            self.pairs = [pair for pair in self.pairs if pair[0] not in lacking]

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
        """Name of the first file without its ending."""
        return self.pairs[index][0].stem

    def sample_files(self, index: int) -> list[Path]:
        """The two files of the pair, and the further ones."""
        a, b = self.pairs[index]
        return [a, b, *(files[a] for files in self.more.values())]

    def __getitem__(self, index: int) -> dict[str, Any]:
        path_a, path_b = self.pairs[index]
        a, b = self.read(path_a, "source"), self.read(path_b, "target")
        small, large = sorted((a.shape[:2], b.shape[:2]))
        if small != tuple(side // self.scale for side in large):  # a rest of the division is cut off later
            sizes = f"{a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}"
            what = "the pair has unequal sizes" if self.scale == 1 else f"the sizes do not differ {self.scale} times"
            raise DataError(f"{what}, {sizes} ({path_b})", kind=ErrorKind.UNEQUAL_SIZES, path=str(path_a))
        sample = {"source": a, "target": b}
        for key, files in self.more.items():
            sample[key] = self.read(files[path_a], key)
            if sample[key].shape[:2] != a.shape[:2]:
                reason = f"{files[path_a].name} of the key {key} has another size"
                raise DataError(reason, kind=ErrorKind.UNEQUAL_SIZES, path=str(path_a))
        return self.transform(sample)


def _beside(a: Path, root: Path, name: str) -> Path:
    """The folder of that name beside the folder of the A images, or with the same split's folder in it.

    Raises:
        DataError: there is none.
    """
    options = [a.parent / name, root / name / a.name]
    for folder in options:
        if folder.is_dir():
            return folder
    raise DataError(f"{options[0]}: no such folder (data.layout.more names folders beside {a})")


def _is_wide(path: Path) -> bool | None:
    """Whether an image could be a side-by-side pair; None if it cannot be read."""
    try:
        info = image_info(path)
    except DataError:
        return None
    return 1.8 * info.height <= info.width <= 3 * info.height  # of an odd width, too: reading it tells what is wrong


def _by_stem(folder: Path, scale: int = 1) -> dict[str, Path]:
    """Images by name without ending; ``x4`` at its end, as the small images of a scale are often called, goes too."""
    ending = f"x{scale}" if scale > 1 else ""
    return {str(path.relative_to(folder).with_suffix("")).removesuffix(ending): path for path in find_images(folder)}


def _same_names(folder: Path, by_stem: dict[str, Path]) -> list[DataError]:
    """The files that `_by_stem` leaves out, for another one has their name with another ending."""
    reason = "another file has its name with another ending"
    left_out = sorted(set(find_images(folder)) - set(by_stem.values()))
    return [DataError(reason, kind=ErrorKind.SAME_NAME, path=str(path)) for path in left_out]
