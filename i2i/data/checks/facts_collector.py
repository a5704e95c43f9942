"""The facts about all files that one check of a data folder reads, each decoded at most once.

Built-in layouts use only the size and type of an image. So for a file whose facts are known from an earlier check they
get an array of that size and type with other pixels. The dataset of a plugin may use the pixels, and always gets them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from i2i.data.checks.facts import ImageFacts
from i2i.data.checks.facts_cache import FactsCache
from i2i.data.reading.cache import DecodedFile
from i2i.errors import DataError
from i2i.files import printable


class FactsCollector:
    """Collects the facts about every file that is read while a data folder is checked; several threads may read.

    Args:
        cache: facts of earlier checks.
        stand_ins: whether arrays with other pixels may be given for images whose facts are known.

    Attributes:
        facts: facts about all files that were read, by file.
    """

    def __init__(self, cache: FactsCache, *, stand_ins: bool) -> None:
        self.facts: dict[Path, ImageFacts] = {}
        self._cache, self._stand_ins = cache, stand_ins
        self._decoded: set[Path] = set()

    @property
    def decoded(self) -> int:
        """Number of files that had to be decoded."""
        return len(self._decoded)

    @property
    def failures(self) -> dict[Path, ImageFacts]:
        """The facts about the files that cannot be read."""
        return {path: facts for path, facts in self.facts.items() if facts.problem}

    def read(
        self, path: Path, decode: Callable[[Path, bool], DecodedFile], labels: bool = False, *, exact: bool = False
    ) -> DecodedFile:
        """Pixels ``(H, W, C)``, or a stand-in of that shape; decodes the file if its facts are not known.

        Args:
            path: the image file.
            decode: decodes it, as a label map or not.
            labels: whether it is a label map.
            exact: whether its own pixels are needed, and no others of its size and type.

        Raises:
            DataError: the file cannot be read as an image, or as a label map.
        """
        facts = (self.facts.get(path) or self._cache.get(path)) if self._stand_ins and not exact else None
        if facts is not None and facts.labels == labels:
            self.facts[path] = facts
            if facts.problem:
                raise DataError(facts.problem, kind=facts.kind, path=printable(path))
            stand_in = facts.stand_in()
            if stand_in is not None:
                return DecodedFile(stand_in, facts.has_alpha, facts.frames, labels)
        return self._read_anew(path, decode, labels)

    def fitting(self, limit_mb: int) -> list[tuple[Path, bool]]:
        """The readable files, in the order in which they were read, as many as fit decoded into `limit_mb` MiB.

        Each with whether it was read as a label map.
        """
        left, files = limit_mb * 2**20, []
        for path, facts in self.facts.items():
            size = 0 if facts.problem else math.prod(facts.shape) * np.dtype(facts.dtype).itemsize
            if 0 < size <= left:
                left -= size
                files.append((path, facts.labels))
        return files

    def save(self, *, complete: bool) -> None:
        """Keeps the facts for later checks; `complete` says whether all files of the folder were read."""
        self._cache.save(complete=complete)

    def _read_anew(self, path: Path, decode: Callable[[Path, bool], DecodedFile], labels: bool) -> DecodedFile:
        state = self._cache.state(path)  # before reading: a change in between is seen the next time
        try:
            decoded = decode(path, labels)
        except DataError as error:
            self._note(path, state, ImageFacts.of_failure(error, labels))
            raise
        self._note(path, state, ImageFacts.of_file(decoded))
        return decoded

    def _note(self, path: Path, state: list[int] | None, facts: ImageFacts) -> None:
        self.facts[path] = facts
        self._decoded.add(path)
        if facts.lasting:
            self._cache.put(path, state, facts)
