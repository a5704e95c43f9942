"""Names of outputs: two for each input, settled before any file is read, and no two alike.

The first keeps the input's ending, for results that its format can hold; the second ends in ``.png``, or as
`OutputPixels.safe_ending` says. That both are reserved makes a name independent of what is in the files, so that a job
can be continued. Where two inputs want one name, the ending of one goes into its name: ``a.gif`` beside ``a.png``
becomes ``a_gif.png``. Who gets it depends on the names alone, not on the order of the inputs.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from i2i.images import READABLE
from i2i.translate.folders.planning.inputs import InputFile
from i2i.translate.folders.planning.outputs import OutputPixels

MAX_NAME_BYTES = 255
"""Bytes of a file name that the usual file systems hold."""


class NameCandidate(NamedTuple):
    """A name that an output could have, in parts.

    Attributes:
        stem: beginning, which may be shortened.
        mark: number of the frame or of the result, which is never shortened; empty without one.
        ending: ending with its dot.
    """

    stem: str
    mark: str
    ending: str

    def name(self, addition: str = "") -> str:
        """The whole name with an addition before its ending, no longer than a file system holds."""
        tail = self.mark + addition + self.ending
        return _shortened(self.stem, MAX_NAME_BYTES - len(os.fsencode(tail))) + tail


def name_candidates(file: InputFile, pixels: OutputPixels) -> tuple[NameCandidate | None, NameCandidate | None]:
    """The output's name with the input's own ending, and with the ending of a format that can hold every result.

    The first is None if files with that ending cannot be written, the second if it equals the first.
    """
    stem, ending = os.path.splitext(file.name)  # noqa: PTH122 - a Path for each name is slow
    if ending.lower() not in READABLE:
        stem, ending = file.name, ""
    marked = file.number if file.frame is None else file.frame
    mark = "" if marked is None else f"_{marked:04d}"
    safe = pixels.safe_ending
    kept = NameCandidate(stem, mark, ending) if pixels.held_by(f"any{ending}") else None
    return kept, None if kept is not None and ending.lower() == safe else NameCandidate(stem, mark, safe)


def reserve_names(
    files: Iterable[InputFile], pixels: OutputPixels, folder_of: Callable[[str], str], fold: Callable[[str], str]
) -> None:
    """Reserves names for the outputs of all files, and puts them into `InputFile.names`.

    Args:
        files: the inputs that are to be read.
        pixels: what the outputs' formats must be able to hold.
        folder_of: gives the real folder of a place relative to the output folder.
        fold: maps names that the file system takes for equal to the same text.
    """
    ordered = sorted(files, key=lambda file: (file.place, file.name, file.folder, file.frame or file.number or 0))
    register = _Register(folder_of, fold)
    for place in {file.place for file in ordered}:
        register.add_folder(Path(place))
    for of_frames in (False, True):
        some = [file for file in ordered if (file.frame is not None or file.number is not None) == of_frames]
        register.claim((file, name_candidates(file, pixels)[0]) for file in some)
    # Who could not keep the ending has the other name alone and comes before those to whom it is a second choice.
    unnamed = [file for file in ordered if not file.names]
    named = [file for file in ordered if file.names]
    for some in (unnamed, named):
        register.claim((file, name_candidates(file, pixels)[1]) for file in some)


class _Register:
    """The names that are taken, by folder; `folder_of` and `fold` are those of `reserve_names`."""

    def __init__(self, folder_of: Callable[[str], str], fold: Callable[[str], str]) -> None:
        self.folder_of, self.fold = folder_of, fold
        self.taken: defaultdict[str, set[str]] = defaultdict(set)
        self.next_numbers: dict[tuple[str, NameCandidate, str], int] = {}  # for thousands of equal names

    def add_folder(self, place: Path) -> None:
        """Marks the names of a folder of outputs, and of the folders above it, as taken: no file can have them."""
        for folder in (place, *place.parents):
            if folder.name:
                self.taken[self.folder_of(os.fspath(folder.parent))].add(self.fold(folder.name))

    def claim(self, claims: Iterable[tuple[InputFile, NameCandidate | None]]) -> None:
        """Gives each file its preferred name; if that is taken, the input's ending and a number are added to it."""
        wanted = [(file, candidate) for file, candidate in claims if candidate is not None]
        late = [(file, candidate) for file, candidate in wanted if not self._take(file, candidate.name())]
        for file, candidate in late:
            ending = os.path.splitext(file.name)[1].lower().lstrip(".") or "file"  # noqa: PTH122
            key = (file.place, candidate, ending)
            number = self.next_numbers.get(key, 1)
            while not self._take(file, candidate.name(f"_{ending}" if number == 1 else f"_{ending}_{number}")):
                number += 1
            self.next_numbers[key] = number + 1

    def _take(self, file: InputFile, name: str) -> bool:
        names, folded = self.taken[self.folder_of(file.place)], self.fold(name)
        if folded in names:
            return False
        names.add(folded)
        file.names = (*file.names, name)
        return True


def _shortened(text: str, max_bytes: int) -> str:
    """The beginning of a text that fits into that many bytes."""
    while len(os.fsencode(text)) > max_bytes:
        text = text[:-1]
    return text


def as_is(name: str) -> str:
    """A name as compared by a file system that distinguishes letter case."""
    return os.path.normcase(name)


def without_case(name: str) -> str:
    """A name as compared by a file system that ignores letter case, and most often the Unicode form of accents."""
    return unicodedata.normalize("NFC", name).casefold()
