"""What is known about an image file once it has been decoded, and a reader that need not decode it again.

Layouts look at nothing but the size and type of an image, so a file whose facts are known is shown to them as an array
of that size and type which holds no pixels of its own. Only our own layouts are dealt with so: another dataset may look
at the pixels.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from i2i.data.checks.facts_cache import Store
from i2i.data.layouts.common import Reader
from i2i.errors import DataError
from i2i.files import printable

Colour = tuple[float, ...]
_NARROW = 4  # pixels; halves of narrower images cannot be told to be constant or not in one row


@dataclass(frozen=True)
class Facts:
    """What decoding a file has told.

    Attributes:
        problem: why it cannot be used; all else says nothing then.
        shape: (height, width, channels).
        dtype: ``uint8``, ``uint16`` or ``float32``.
        left: the colour of all pixels of the left half, if they have one; the left half is the source of a side-by-side
            pair.
        right: the same of the right half.
        digest: of shape, type and pixels; equal for the same picture in two lossless formats.
        lasting: whether reading it again would tell the same; not so if the disk or the memory failed.
    """

    problem: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    dtype: str = ""
    left: Colour | None = None
    right: Colour | None = None
    digest: str = ""
    lasting: bool = True

    @classmethod
    def of(cls, pixels: np.ndarray) -> Facts:
        """The facts of an image ``(H, W, C)``."""
        middle = pixels.shape[1] // 2
        left, right = colour_of(pixels[:, :middle]), colour_of(pixels[:, middle:])
        shape = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
        return cls("", shape, str(pixels.dtype), left, right, digest_of(pixels))

    @classmethod
    def of_failure(cls, path: Path, error: DataError) -> Facts:
        """The facts of a file that cannot be read."""
        cause = error.__cause__
        passing = isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno is not None)
        return cls(problem=str(error).removeprefix(f"{printable(path)}: "), lasting=not passing)

    @classmethod
    def kept(cls, values: dict[str, Any] | None) -> Facts | None:
        """Facts from the store; None for what is no longer, or was never, ours."""
        try:
            return None if values is None else cls(**values)
        except TypeError:
            return None

    def stand_in(self) -> np.ndarray | None:
        """An array like the image, constant where a half of the image is; None for one that is too narrow for that."""
        _, width, channels = self.shape
        if width < _NARROW:
            return None
        row = np.zeros((1, width, channels), self.dtype)
        row[:, 1::2] = 1
        if self.left is not None:
            row[:, : width // 2] = self.left
        if self.right is not None:
            row[:, width // 2 :] = self.right
        return np.broadcast_to(row, self.shape)


def colour_of(pixels: np.ndarray) -> Colour | None:
    """The colour of all pixels ``(H, W, C)`` if there is but one."""
    if not pixels.size or (pixels[0] != pixels[0, 0]).any() or (pixels != pixels[0, 0]).any():
        return None
    return tuple(pixels[0, 0].tolist())


def digest_of(pixels: np.ndarray) -> str:
    """A digest of shape, type and values of an array."""
    digest = hashlib.blake2b(f"{pixels.shape}{pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data.cast("B"))
    return digest.hexdigest()


@dataclass
class Record:
    """The files that one sample was made of, in the order in which they were read, as they were given out."""

    files: list[tuple[Path, np.ndarray | None]] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """Their names."""
        return [path for path, _ in self.files]

    def path_of(self, value: np.ndarray) -> Path | None:
        """The file that holds a sample's image, or a part of it."""
        for path, pixels in self.files:
            if pixels is not None and np.may_share_memory(value, pixels):
                return path
        return self.files[0][0] if self.files else None


class FactsReader:
    """Reads images for the check: each file once, and none whose facts are known from an earlier check.

    Args:
        read: what decodes.
        store: facts of earlier checks.
        stand_ins: whether known images may be shown without their pixels.

    Attributes:
        facts: of all files that were asked for.
        decoded: how many of them had to be decoded.
    """

    def __init__(self, read: Reader, store: Store, *, stand_ins: bool) -> None:
        self.facts: dict[Path, Facts] = {}
        self.decoded = 0
        self._read, self._store, self._stand_ins = read, store, stand_ins
        self._thread = threading.local()

    def fitting(self, limit_mb: int) -> list[Path]:
        """Good files, the first ones that were asked for, whose pixels fit into that many MiB together."""
        room, files = limit_mb * 2**20, []
        for path, facts in self.facts.items():
            size = 0 if facts.problem else math.prod(facts.shape) * np.dtype(facts.dtype).itemsize
            if 0 < size <= room:
                room -= size
                files.append(path)
        return files

    @contextmanager
    def recording(self) -> Iterator[Record]:
        """Inside, the record grows with every file that this thread reads."""
        self._thread.record = Record()
        try:
            yield self._thread.record
        finally:
            self._thread.record = Record()

    def save(self, *, whole: bool) -> None:
        """Keeps the facts for later checks; `whole` says whether all files of the folder were asked for."""
        self._store.save(whole=whole)

    def __call__(self, path: Path) -> np.ndarray:
        """Pixels ``(H, W, C)``, or an array like them.

        Raises:
            DataError: the file cannot be read as an image.
        """
        pixels = None
        try:
            pixels = self._known(path)
            if pixels is None:
                pixels = self._decoded(path)
            return pixels
        finally:
            record: Record = getattr(self._thread, "record", None) or Record()
            record.files.append((path, pixels))

    def _known(self, path: Path) -> np.ndarray | None:
        if not self._stand_ins:
            return None
        facts = self.facts.get(path)
        if facts is None:
            facts = Facts.kept(self._store.get(path))
        if facts is None:
            return None
        self.facts[path] = facts
        if facts.problem:
            raise DataError(f"{printable(path)}: {facts.problem}")
        return facts.stand_in()

    def _decoded(self, path: Path) -> np.ndarray:
        state = self._store.state(path)  # before reading: a change in between is seen the next time
        try:
            pixels = self._read(path)
        except DataError as error:
            self._note(path, state, Facts.of_failure(path, error))
            raise
        self._note(path, state, Facts.of(pixels))
        return pixels

    def _note(self, path: Path, state: list[int] | None, facts: Facts) -> None:
        self.facts[path] = facts
        self.decoded += 1
        if facts.lasting:
            self._store.put(path, state, facts)
