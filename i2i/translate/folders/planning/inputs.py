"""Which files the arguments of a command mean: files themselves, folders searched through, and globs."""

from __future__ import annotations

import difflib
import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from i2i.errors import ErrorKind, UserError
from i2i.files import natural_order, printable, user_path
from i2i.images import READABLE
from i2i.images.search import Found, search_folder

PathLike = str | os.PathLike[str]


@dataclass(slots=True)
class InputFile:
    """An input file, and the place of its output.

    Attributes:
        folder: the folder that it lies in.
        name: its name within that folder.
        place: folder of its output, relative to the output folder.
        linked: whether it is a symbolic link.
        problem: why it cannot be read, if that is known already; else empty.
        missing: whether there is no such file.
        frame: number of the frame; None: the file as a whole.
        number: number of the result among several for one image; None: there is one.
        names: names reserved for its output, the preferred one first; empty until all inputs are known.
        skip: whether its output exists and is kept.
        key: `image_key`, where `place` is another folder than that; else empty.
    """

    folder: str
    name: str
    place: str
    linked: bool = False
    problem: str = ""
    missing: bool = False
    frame: int | None = None
    number: int | None = None
    names: tuple[str, ...] = ()
    skip: bool = False
    key: str = ""

    @property
    def path(self) -> Path:
        """Path of the file."""
        return Path(self.folder, self.name)

    @property
    def image_key(self) -> str:
        """Path of the file in the folder that was searched, without ending and with forward slashes."""
        return self.key or Path(self.place, self.name).with_suffix("").as_posix()


@dataclass
class InputFiles:
    """All input files of a call.

    Attributes:
        files: each file once, in the order of the arguments.
        notes: lines about files with other endings, and about links to folders that were searched already.
        searched: device and inode of each folder that was looked into.
    """

    files: list[InputFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    searched: set[tuple[int, int]] = field(default_factory=set)

    def entries(self) -> dict[str, set[str]]:
        """The names of the input files by real folder; for links also those of their targets."""
        entries: defaultdict[str, set[str]] = defaultdict(set)
        real = cache(real_path)
        for file in self.files:
            entries[real(file.folder)].add(os.path.normcase(file.name))
            if file.linked:
                folder, name = os.path.split(real_path(file.path))
                entries[folder].add(name)
        return dict(entries)


def find_inputs(items: Sequence[PathLike], out: Path) -> InputFiles:
    """Finds the inputs that `items` mean; matches of a glob inside the folder `out` are earlier outputs, and left out.

    Raises:
        UserError: no image is found, or an item is no path.
    """
    inputs, known, real = InputFiles(), defaultdict[str, set[str]](set), cache(real_path)
    for item in items:
        for file in _item_files(item, out, inputs):
            names, name = known[real(file.folder)], os.path.normcase(file.name)
            if name not in names:
                names.add(name)
                inputs.files.append(file)
    if all(file.problem for file in inputs.files):
        raise _nothing_found(items, inputs)
    return inputs


def _nothing_found(items: Sequence[PathLike], inputs: InputFiles) -> UserError:
    """The error for inputs among which there is no image: the reason for the first, or what was left out."""
    first = next(iter(inputs.files), None)
    if first is not None and len(items) == 1 and first.missing:
        return UserError(first.problem, kind=ErrorKind.MISSING, path=printable(first.path))
    reasons = [f"{printable(file.path)}: {file.problem}" for file in inputs.files][:1] or inputs.notes[:1]
    places = " ".join(printable(item) for item in items) or "nothing"
    return UserError(f"no images found in {places}" + "".join(f" ({reason})" for reason in reasons))


def real_path(path: PathLike) -> str:
    """The path without links, spelt in one way where the system ignores letter case."""
    return os.path.normcase(os.path.realpath(path))


def is_within(path: str, folder: str) -> bool:
    """Whether a real path is a real folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _item_files(item: PathLike, out: Path, inputs: InputFiles) -> Iterator[InputFile]:
    path = user_path(item, "an input")
    if path.is_dir():
        yield from _folder_files(path, path, inputs)
    elif os.path.lexists(path):
        yield InputFile(os.fspath(path.parent), path.name, "", path.is_symlink())
    elif glob.has_magic(os.fspath(item)):
        yield from _glob_files(path, out, inputs)
    else:
        problem = f"no such file or folder{_near(path)}"
        yield InputFile(os.fspath(path.parent), path.name, "", problem=problem, missing=True)


def _near(path: Path) -> str:
    """The name beside a missing file that is most like its own, as a question; empty if none is like it."""
    try:
        names = [printable(name) for name in os.listdir(path.parent)]  # noqa: PTH208 - names alone
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f"; did you mean {near[0]}?" if near else ""


def _glob_files(pattern: Path, out: Path, inputs: InputFiles) -> Iterator[InputFile]:
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
            yield _input_file(found.as_folder() if is_folder else found, place)
        if is_folder:
            yield from _folder_files(match, fixed, inputs)


def _fixed_part(parts: tuple[str, ...]) -> list[str]:
    """The folders of a glob before the first wildcard."""
    fixed: list[str] = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return fixed


def _folder_files(root: Path, base: Path, inputs: InputFiles) -> Iterator[InputFile]:
    """The images below `root`, placed as they lie below `base`."""
    search = search_folder(root, READABLE)
    inputs.notes += search.notes
    inputs.searched |= search.searched

    @cache
    def place(folder: str) -> str:
        return os.fspath(Path(folder).relative_to(base))

    for found in search.found:
        inside = found.folder != os.path.dirname(root) or found.name != root.name  # noqa: PTH120
        yield _input_file(found, place(found.folder) if inside else "")


def _input_file(found: Found, place: str) -> InputFile:
    return InputFile(found.folder, found.name, "" if place == "." else place, found.linked, found.problem)
