"""The object that datasets get as `read`: decodes image files, keeps them in memory and records what was read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from i2i.data.checks.facts_collector import FactsCollector
from i2i.data.reading.cache import CachedReader
from i2i.data.reading.cores import usable_cores
from i2i.errors import DataError
from i2i.images import PagesRule
from i2i.kinds import LabelColors, ValueKind


@dataclass(frozen=True)
class FileRead:
    """One reading of a file.

    Attributes:
        path: the file.
        pixels: the array that the dataset got; None if the file could not be read.
        keys: the keys of the sample that it was read for, where the dataset says so.
        problem: why it could not be read, as a line that begins with its name; empty if it could.
        has_alpha: whether the last channel is alpha.
        frames: frames or pages in the file.
        labels: whether it was read as a label map.
        format: name of the file's format; empty for a stand-in.
    """

    path: Path
    pixels: np.ndarray | None
    keys: tuple[str, ...] = ()
    problem: str = ""
    has_alpha: bool = False
    frames: int = 1
    labels: bool = False
    format: str = ""


class DatasetReader:
    """Reads the image files of a dataset; several threads may read at the same time.

    Args:
        cache_mb: memory for decoded pixels, in MiB.
        any_range: whether floats outside of [0, 1] are read, as ``data.source_range`` or ``target_range`` is set.
        pages: which pages of a file are read.
        colors: which colours of label maps stand for which classes; None: their numbers are taken.

    Attributes:
        pages: which pages of a file are read.
        colors: which colours of label maps stand for which classes.
        preloadable: files to decode in `preload`, and whether as label maps; they must fit into that memory together.
        kinds: what the images of the dataset's samples stand for, by key; those that are not there are pictures.
    """

    def __init__(
        self,
        cache_mb: int,
        *,
        any_range: bool = False,
        pages: PagesRule = "first",
        colors: LabelColors | None = None,
    ) -> None:
        self.pages: PagesRule = pages
        self.colors = colors
        self.preloadable: Sequence[tuple[Path, bool]] = ()
        self.kinds: Mapping[str, ValueKind] = {}
        self._decode = CachedReader(cache_mb, any_range=any_range, pages=pages, colors=colors)
        self._collector: FactsCollector | None = None
        self._recordings: dict[int, list[FileRead]] = {}  # by the number of the thread

    @property
    def manner(self) -> str:
        """How files are read, if it is not as usual; facts about files hold for one manner."""
        pages = "" if self.pages == "first" else f"?pages={self.pages}"
        return pages + (f"?colors={self.colors}" if self.colors else "")

    def __call__(self, path: Path, /, *keys: str) -> np.ndarray:
        """Reads a file as `i2i.Reader` says, as a label map if all the keys that it is read for are labels."""
        decoded, problem = None, ""
        of_labels = [self.kinds.get(key) == "labels" for key in keys]
        labels = bool(keys) and all(of_labels)
        part = self.colors is not None and any(of_labels)  # of a file, whose colours are looked at later
        try:
            collector = self._collector
            if collector is None:
                decoded = self._decode(path, labels)
            else:
                decoded = collector.read(path, self._decode, labels, exact=part and not labels)
        except DataError as error:
            problem = str(error)
            raise
        finally:
            if (recording := self._recordings.get(threading.get_ident())) is not None:
                of = (decoded.has_alpha, decoded.frames, decoded.labels, decoded.format) if decoded else ()
                recording.append(FileRead(path, decoded.pixels if decoded else None, keys, problem, *of))
        return decoded.pixels

    @contextmanager
    def recording(self) -> Iterator[list[FileRead]]:
        """Gives a list to which every file that this thread reads inside the context is added."""
        thread = threading.get_ident()
        self._recordings[thread] = []
        try:
            yield self._recordings[thread]
        finally:
            del self._recordings[thread]

    def format_of(self, image: np.ndarray) -> str | None:
        """Format of the file, read not as a label map by this thread inside `recording`, whose pixels an image has."""
        reads = self._recordings.get(threading.get_ident(), ())
        pictures = [(read.pixels, read.format) for read in reads if read.pixels is not None and not read.labels]
        return next((name for pixels, name in pictures if np.may_share_memory(image, pixels)), None)

    @contextmanager
    def collecting(self, collector: FactsCollector) -> Iterator[FactsCollector]:
        """Inside the context the facts about all files that are read, by any thread, are collected."""
        self._collector = collector
        try:
            yield collector
        finally:
            self._collector = None

    def preload(self) -> None:
        """Decodes the files in `preloadable`, so that processes forked afterwards share them."""
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(self._preload_one, self.preloadable))

    def _preload_one(self, file: tuple[Path, bool]) -> None:
        with contextlib.suppress(DataError):  # the file is named when its sample is read
            self._decode(*file)
