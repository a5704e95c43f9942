"""Features of images, kept in the user's cache folder from one evaluation to the next."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from i2i.files import printable
from i2i.runtime.remembered import own_folder

T = TypeVar("T")
Rows = Mapping[str, torch.Tensor]
"""What a collector's `embed` gives for one image: by name a tensor ``(1, D)``."""

MAX_BYTES = 4 << 30
"""Bytes of all files together above which those used longest ago are removed."""

_TABLE = "CREATE TABLE IF NOT EXISTS features (image TEXT PRIMARY KEY, rows BLOB NOT NULL, crc INTEGER NOT NULL)"
_AT_ONCE = 500
"""Digests in one query; SQLite takes 32,766 at most, older ones 999."""


class FeatureCache:
    """Features by the digest of an image, in one SQLite file for each way of taking features.

    A cache that cannot be read or written is as good as an empty one: nothing is raised, and `problem` says why.

    Args:
        enabled: False keeps nothing and knows nothing.

    Attributes:
        problem: one line about what does not work; empty while all does.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self.problem = ""
        self._folder = own_folder("features") if enabled else None
        if enabled and self._folder is None:
            self.problem = "features are not kept: there is no cache folder that only this user can write to"
        if self._folder is not None:
            _remove_oldest(self._folder)

    def known(self, embedding: str) -> set[str]:
        """Digests of the images whose features are kept.

        Args:
            embedding: names how the features are taken.
        """

        def read(database: sqlite3.Connection) -> set[str]:
            return {image for (image,) in database.execute("SELECT image FROM features")}

        return self._using(embedding, read) or set()

    def get(self, embedding: str, images: Sequence[str]) -> dict[str, Rows]:
        """The features of those of these images, given by their digests, that are kept and undamaged."""

        def read(database: sqlite3.Connection) -> dict[str, Rows]:
            found: dict[str, Rows] = {}
            for start in range(0, len(images), _AT_ONCE):
                part = images[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(part))
                query = f"SELECT image, rows, crc FROM features WHERE image IN ({marks})"  # noqa: S608 - marks alone
                for image, rows, crc in database.execute(query, part):
                    if _checksum(embedding, image, rows) == crc:
                        found[image] = load(rows)
            return found

        return (self._using(embedding, read) if images else None) or {}

    def put(self, embedding: str, features: Mapping[str, Rows]) -> None:
        """Keeps features of images, by their digests."""

        def write(database: sqlite3.Connection) -> None:
            blobs = {
                image: save({name: row.contiguous() for name, row in rows.items()}) for image, rows in features.items()
            }
            entries = [(image, blob, _checksum(embedding, image, blob)) for image, blob in blobs.items()]
            database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", entries)

        if features:
            self._using(embedding, write)

    def _using(self, embedding: str, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Does something in the open file and keeps it; None after an error, which becomes the cache's `problem`."""
        if self._folder is None or self.problem:
            return None
        file = self._folder / f"{embedding}.sqlite"
        try:
            with closing(sqlite3.connect(file)) as database, database:
                database.execute(_TABLE)
                return work(database)
        except (sqlite3.Error, SafetensorError, TypeError, OSError) as error:
            self.problem = f"features are not kept: {error}; remove the file if this goes on: {printable(file)}"
            return None


def _checksum(embedding: str, image: str, rows: bytes) -> int:
    """Of features together with what they are said to be, so that another file's do not pass."""
    return zlib.crc32(rows, zlib.crc32(f"{embedding} {image}".encode()))


def _remove_oldest(folder: Path) -> None:
    with suppress(OSError):
        files = sorted(folder.glob("*.sqlite"), key=lambda file: file.stat().st_mtime, reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > MAX_BYTES:
                file.unlink(missing_ok=True)
