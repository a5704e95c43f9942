"""The splits of a data folder: the names of their folders, and choosing held-out samples if there are none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from i2i.images import find_images

SPLITS = {
    "train": ("train", "training", "Train"),
    "val": ("val", "valid", "validation", "test", "Val", "Test"),
}
"""Names that the folder of a split may have."""

SPLIT_NAMES = frozenset(name for names in SPLITS.values() for name in names)
"""Names of the folders of all splits."""


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


def training_folder(root: Path) -> Path:
    """The folder of the training images: that of the split, or else the data folder itself."""
    return split_folder(root, "train") or root


def split_images(root: Path, split: str) -> list[Path]:
    """The images of a split: of its folder, or where it has none the training images without those of other splits.

    Args:
        root: the data folder.
        split: ``train`` or ``val``.
    """
    folder = split_folder(root, split) or training_folder(root)
    images = find_images(folder)
    if folder == root and any((root / name).exists() for name in SPLIT_NAMES):
        images = [path for path in images if path.relative_to(root).parts[0] not in SPLIT_NAMES]
    return images
