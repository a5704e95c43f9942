"""Names of outputs: two for each input, settled before any file is read, and no two alike.

The first keeps the input's ending, for results that its format can hold; the second ends in ``.png``. That both are
reserved makes a name independent of what is in the files, so that a job can be continued. Where two inputs want one
name, the ending of one goes into its name: ``a.gif`` beside ``a.png`` becomes ``a_gif.png``. Who gets it depends on the
names alone, not on the order of the inputs.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from i2i.images import READABLE, can_hold
from i2i.translate.folders.sources import Source

LONGEST = 255
"""Bytes of a file name that the usual file systems hold."""


class Wish(NamedTuple):
    """A name in parts: what may be shortened, what may not, and the ending with its dot."""

    stem: str
    mark: str
    ending: str

    def name(self, addition: str = "") -> str:
        """The whole, no longer than a file system holds."""
        tail = self.mark + addition + self.ending
        return _shortened(self.stem, LONGEST - len(os.fsencode(tail))) + tail


def wishes(source: Source, channels: int) -> tuple[Wish | None, Wish | None]:
    """The name with the input's own ending, None where it cannot be written, and another with one that always can.

    The second is None where the first is that already.
    """
    stem, ending = os.path.splitext(source.name)  # noqa: PTH122 - a Path for each name is slow
    if ending.lower() not in READABLE:
        stem, ending = source.name, ""
    mark = "" if source.frame is None else f"_{source.frame:04d}"
    safe = ".png" if can_hold("any.png", channels, np.uint8) else ".npy"
    kept = Wish(stem, mark, ending) if can_hold(f"any{ending}", channels, np.uint8) else None
    return kept, None if kept is not None and ending.lower() == safe else Wish(stem, mark, safe)


def reserve(
    sources: Iterable[Source], channels: int, folder_of: Callable[[str], str], fold: Callable[[str], str]
) -> None:
    """Fills in `Source.names`.

    Args:
        sources: those that are to be read.
        channels: of the outputs.
        folder_of: the folder, without links, that a place below the output folder means.
        fold: makes names equal that the file system takes for one.
    """
    ordered = sorted(sources, key=lambda source: (source.place, source.name, source.folder, source.frame or 0))
    register = _Register(folder_of, fold)
    for place in {source.place for source in ordered}:
        register.add_folder(Path(place))
    for of_frames in (False, True):
        some = [source for source in ordered if (source.frame is not None) == of_frames]
        register.claim((source, wishes(source, channels)[0]) for source in some)
    unnamed = [source for source in ordered if not source.names]
    register.claim((source, wishes(source, channels)[1]) for source in unnamed)
    without = {id(source) for source in unnamed}
    register.claim((source, wishes(source, channels)[1]) for source in ordered if id(source) not in without)


class _Register:
    """The names that are taken, by folder."""

    def __init__(self, folder_of: Callable[[str], str], fold: Callable[[str], str]) -> None:
        self.folder_of, self.fold = folder_of, fold
        self.taken: defaultdict[str, set[str]] = defaultdict(set)
        self.numbers: dict[tuple[str, Wish, str], int] = {}  # the next one to try, for thousands of equal names

    def add_folder(self, place: Path) -> None:
        """A file cannot have the name of a folder beside it."""
        for folder in (place, *place.parents):
            if folder.name:
                self.taken[self.folder_of(os.fspath(folder.parent))].add(self.fold(folder.name))

    def claim(self, claims: Iterable[tuple[Source, Wish | None]]) -> None:
        """Gives each source the name that it wishes, and another to those that come too late."""
        late = [(source, wish) for source, wish in claims if wish is not None and not self._take(source, wish.name())]
        for source, wish in late:
            ending = os.path.splitext(source.name)[1].lower().lstrip(".") or "file"  # noqa: PTH122
            key = (source.place, wish, ending)
            number = self.numbers.get(key, 1)
            while not self._take(source, wish.name(f"_{ending}" if number == 1 else f"_{ending}_{number}")):
                number += 1
            self.numbers[key] = number + 1

    def _take(self, source: Source, name: str) -> bool:
        names, folded = self.taken[self.folder_of(source.place)], self.fold(name)
        if folded in names:
            return False
        names.add(folded)
        source.names = (*source.names, name)
        return True


def _shortened(text: str, most: int) -> str:
    """As many characters from its beginning as fit into that many bytes."""
    while len(os.fsencode(text)) > most:
        text = text[:-1]
    return text


def as_is(name: str) -> str:
    """A name on a file system that tells names apart as they are written."""
    return os.path.normcase(name)


def without_case(name: str) -> str:
    """A name on a file system for which letter case, and most often the form of accents, make no difference."""
    return unicodedata.normalize("NFC", name).casefold()
