"""Searching folders for images, in natural order; a folder that cannot be read does not end the search."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from i2i.errors import ErrorKind
from i2i.files import natural_key, printable
from i2i.images.errors import kind_and_reason

NO_IMAGE = "a folder, not an image"
"""The problem of a folder whose name ends like that of an image; its content is searched nevertheless."""


MAX_ENDINGS = 20
"""Endings of files that are left out that a note names."""


class Found(NamedTuple):
    """Something in a searched folder: an image, or a folder with a problem.

    Attributes:
        folder: path of the folder that it lies in; begins with the folder that was asked for.
        name: within that folder.
        linked: whether it is a symbolic link.
        kind: None for images; NOT_AN_IMAGE for a folder that is named like an image; another one for a folder that
            cannot be searched.
        problem: one line on what is wrong; empty for images.
    """

    folder: str
    name: str
    linked: bool = False
    kind: ErrorKind | None = None
    problem: str = ""

    def as_folder(self) -> Found:
        """The same place, as a folder whose name ends like that of an image."""
        return self._replace(kind=ErrorKind.NOT_AN_IMAGE, problem=NO_IMAGE)


@dataclass
class Search:
    """The outcome of a search.

    Attributes:
        found: images and problems, folder by folder, numbers in names by value: ``2.png`` before ``10.png``.
        notes: lines about files with other endings, and about links to folders that were searched already.
        searched: device and inode of each folder that was looked into.
    """

    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    searched: set[tuple[int, int]] = field(default_factory=set)


class _Entry(NamedTuple):
    name: str
    linked: bool
    is_image: bool
    is_folder: bool


_Listings = dict[str, list[_Entry] | tuple[ErrorKind, str]]  # by folder; or kind and reason why it cannot be read


def search_folder(root: str | os.PathLike[str], endings: Collection[str]) -> Search:
    """Looks for files below `root` by their ending, in lower case and with its dot.

    Hidden files and folders are left out. Links to folders are followed; each folder is looked into once, by its own
    path before any link to it. What cannot be read becomes a problem in its place, and the rest goes on.
    """
    search, others = Search(), Counter[str]()
    listings: _Listings = {}
    start = os.fspath(root)
    folders, links = deque([start]), deque[str]()
    while folders or links:
        by_link = not folders
        folder = links.popleft() if by_link else folders.popleft()
        try:
            status = Path(folder).stat()
            if (status.st_dev, status.st_ino) in search.searched:
                search.notes.append(f"{printable(folder)}: leads to a folder that is searched already")
                continue
            search.searched.add((status.st_dev, status.st_ino))
            listings[folder] = entries = _listing(folder, endings, search.notes, others)
        except OSError as error:
            listings[folder] = kind_and_reason(error)
            continue
        for entry in entries:
            if entry.is_folder:
                (links if entry.linked else folders).append(_below(folder, entry.name))
    search.found = _in_order(start, listings)
    if others:
        search.notes.append(
            f"{printable(start)}: {others.total()} files with other endings left out ({_counted(others)})"
        )
    return search


def _counted(others: Counter[str]) -> str:
    """The endings and how many files have each, those beyond `MAX_ENDINGS` together."""
    common = others.most_common(MAX_ENDINGS)
    parts = [f"{printable(ending) or 'none'} {count}" for ending, count in common]
    if rest := len(others) - len(common):
        parts.append(f"{rest} further endings {others.total() - sum(count for _, count in common)}")
    return ", ".join(parts)


def _listing(folder: str, endings: Collection[str], notes: list[str], others: Counter[str]) -> list[_Entry]:
    entries = []
    with os.scandir(folder) as scan:
        for item in scan:
            if item.name.startswith("."):
                continue
            ending = os.path.splitext(item.name)[1].lower()  # noqa: PTH122 - a Path for each name would be slow
            is_image, linked = ending in endings, item.is_symlink()
            try:
                is_folder = item.is_dir()
            except OSError as error:  # a link that leads to itself
                is_folder = False  # reading it will tell, where it is named as an image
                if not is_image:
                    notes.append(f"{printable(item.path)}: {kind_and_reason(error)[1]}")
                    continue
            if is_image or is_folder:
                entries.append(_Entry(item.name, linked, is_image, is_folder))
            else:
                others[ending] += 1
    entries.sort(key=lambda entry: entry.name)  # "01" and "1" are equal by value
    entries.sort(key=lambda entry: natural_key(entry.name))
    return entries


def _in_order(start: str, listings: _Listings) -> list[Found]:
    """Goes through the listings depth first; with a stack, as folders may be nested deeper than Python can recurse."""
    found: list[Found] = []
    waiting = [(start, iter(_entries(start, Found(*os.path.split(start)), listings, found)))]
    while waiting:
        folder, entries = waiting[-1]
        entry = next(entries, None)
        if entry is None:
            waiting.pop()
            continue
        place = Found(folder, entry.name, entry.linked)
        if entry.is_folder:
            place = place.as_folder()
        if entry.is_image:
            found.append(place)
        if entry.is_folder:
            below = _below(folder, entry.name)
            waiting.append((below, iter(_entries(below, place, listings, found))))
    return found


def _entries(folder: str, place: Found, listings: _Listings, found: list[Found]) -> list[_Entry]:
    """What lies in a folder; one that could not be read is put among the found, with the reason."""
    listing = listings.get(folder, [])  # none for a link to a folder that is searched elsewhere
    if isinstance(listing, tuple):
        found.append(place._replace(kind=listing[0], problem=listing[1]))
        return []
    return listing


def _below(folder: str, name: str) -> str:
    return os.path.join(folder, name)  # noqa: PTH118 - "." stays in front, so that each path begins with its folder's
