"""Which files the arguments of a command mean: files themselves, folders searched through, and globs."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from i2i.errors import UserError
from i2i.files import natural_order, printable
from i2i.images import READABLE
from i2i.images.search import Found, search_folder

PathLike = str | os.PathLike[str]


@dataclass(slots=True)
class Source:
    """An input file, and the place of its output.

    Attributes:
        folder: that it lies in.
        name: within that folder.
        place: folder of its output, relative to the output folder.
        linked: whether it is a symbolic link.
        problem: why it is known to be no image; empty where it is to be read.
        frame: number of the frame; None: the file as a whole.
        names: of its output, the one to be preferred first; settled after all inputs are known.
        skip: whether its output is there already and stays.
    """

    folder: str
    name: str
    place: str
    linked: bool = False
    problem: str = ""
    frame: int | None = None
    names: tuple[str, ...] = ()
    skip: bool = False

    @property
    def path(self) -> Path:
        """Of the file."""
        return Path(self.folder, self.name)


@dataclass
class Sources:
    """All inputs.

    Attributes:
        files: each once, in the order of the arguments.
        notes: one line each on what was left out with good reason.
        searched: device and inode of each folder that was looked into.
    """

    files: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    searched: set[tuple[int, int]] = field(default_factory=set)

    def entries(self) -> dict[str, set[str]]:
        """The names that are read, by real folder; of links those of their targets, too."""
        entries: defaultdict[str, set[str]] = defaultdict(set)
        real = cache(real_path)
        for source in self.files:
            entries[real(source.folder)].add(os.path.normcase(source.name))
            if source.linked:
                folder, name = os.path.split(real_path(source.path))
                entries[folder].add(name)
        return dict(entries)


def find_sources(items: Sequence[PathLike], out: Path) -> Sources:
    """Finds the inputs that `items` mean; of a glob's matches those in the folder `out` are earlier outputs, no inputs.

    Raises:
        UserError: there is nothing at all.
    """
    sources, known, real = Sources(), defaultdict[str, set[str]](set), cache(real_path)
    for item in items:
        for source in _of_item(item, out, sources):
            names, name = known[real(source.folder)], os.path.normcase(source.name)
            if name not in names:
                names.add(name)
                sources.files.append(source)
    if not any(not source.problem and os.path.lexists(source.path) for source in sources.files):
        problem = next(
            (f"{printable(source.path)}: {source.problem}" for source in sources.files if source.problem), ""
        )
        places = " ".join(printable(item) for item in items) or "nothing"
        raise UserError(f"no images found in {places}" + (f" ({problem})" if problem else ""))
    return sources


def real_path(path: PathLike) -> str:
    """The path without links, in one spelling."""
    return os.path.normcase(os.path.realpath(path))


def is_within(path: str, folder: str) -> bool:
    """Whether a real path is a real folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _of_item(item: PathLike, out: Path, sources: Sources) -> Iterator[Source]:
    if not os.fspath(item):
        raise UserError("an input has an empty name")
    path = Path(item)
    if path.is_dir():
        yield from _in_folder(path, path, sources)
    elif not os.path.lexists(path) and glob.has_magic(os.fspath(item)):
        yield from _of_glob(path, out, sources)
    else:
        yield Source(os.fspath(path.parent), path.name, "", path.is_symlink())


def _of_glob(pattern: Path, out: Path, sources: Sources) -> Iterator[Source]:
    fixed = Path(*_fixed_part(pattern.parts))
    around, below = real_path(fixed), real_path(out)
    earlier = below if below != around and is_within(below, around) else None
    matches = (Path(match) for match in glob.glob(os.fspath(pattern), recursive=True))  # noqa: PTH207 - may be absolute
    for match in sorted(matches, key=natural_order):
        place = os.fspath(match.relative_to(fixed).parent)
        found, is_folder = Found(os.fspath(match.parent), match.name, match.is_symlink()), match.is_dir()
        if earlier is not None and is_within(real_path(match if is_folder else match.parent), earlier):
            continue
        if match.suffix.lower() in READABLE and match.name:
            yield _source(found.as_folder() if is_folder else found, place)
        if is_folder:
            yield from _in_folder(match, fixed, sources)


def _fixed_part(parts: tuple[str, ...]) -> list[str]:
    """The folders of a glob before the first wildcard."""
    fixed: list[str] = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return fixed


def _in_folder(root: Path, base: Path, sources: Sources) -> Iterator[Source]:
    """The images below `root`, placed as they lie below `base`."""
    search = search_folder(root, READABLE)
    sources.notes += search.notes
    sources.searched |= search.searched

    @cache
    def place(folder: str) -> str:
        return os.fspath(Path(folder).relative_to(base))

    for found in search.found:
        inside = found.folder != os.path.dirname(root) or found.name != root.name  # noqa: PTH120
        yield _source(found, place(found.folder) if inside else "")


def _source(found: Found, place: str) -> Source:
    return Source(found.folder, found.name, "" if place == "." else place, found.linked, found.problem)
