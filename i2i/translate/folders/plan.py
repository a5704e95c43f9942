"""Which file becomes which: settled for all inputs before any work, so that nothing is lost by a clash of names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import DTypeLike

from i2i.errors import UserError
from i2i.files import clear_left_overs, printable, temporary_path
from i2i.images import MAX_PIXELS, READABLE, WRITABLE, can_hold, count_frames
from i2i.images.errors import reason
from i2i.translate.folders.names import as_is, reserve, wishes, without_case
from i2i.translate.folders.sources import PathLike, Source, Sources, find_sources, is_within, real_path


@dataclass(frozen=True, slots=True)
class Task:
    """One input and where its translation goes.

    Attributes:
        input: the file.
        outputs: the names reserved for it, at least one: with its own ending, if that can be written, then as PNG.
            Of a task to skip, the one that is there comes first; those of a refused one are not reserved.
        frame: number of the frame from 0; None: the file as a whole, of which the first frame is read.
        skip: whether an output is there already and stays.
        refused: why it is known to fail, without the name; else empty.
    """

    input: Path
    outputs: tuple[Path, ...]
    frame: int | None = None
    skip: bool = False
    refused: str = ""

    def output_for(self, channels: int, dtype: DTypeLike, format: str, size: tuple[int, int] | None = None) -> Path:
        """The first of the outputs that can hold a result and, where it is not the last, is true to the input's format.

        Args:
            channels: of the result.
            dtype: of the input.
            format: of the input, as `Picture.format` names it.
            size: height and width of the result, if some formats may be too small for it.
        """
        for output in self.outputs[:-1]:
            is_true = WRITABLE[output.suffix.lower()] == format
            if is_true and can_hold(output, channels, dtype, size):
                return output
        return self.outputs[-1]


class _Tasks(Sequence[Task]):
    """Tasks that are made as they are asked for: paths take much more memory than names."""

    def __init__(self, sources: list[Source], out: Path) -> None:
        self._sources, self._out = sources, out

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        if isinstance(index, slice):
            return _Tasks(self._sources[index], self._out)
        source = self._sources[index]
        outputs = tuple(self._out / source.place / name for name in source.names)
        return Task(source.path, outputs, source.frame, source.skip, source.problem)


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        tasks: in the order of the inputs.
        notes: one line each on what was left out of the inputs with good reason.
    """

    tasks: Sequence[Task]
    notes: list[str] = field(default_factory=list)


def plan(
    inputs: Sequence[PathLike],
    out: PathLike,
    channels: int,
    *,
    overwrite: bool,
    skip_existing: bool,
    frames: Literal["first", "all"] = "first",
    max_pixels: int = MAX_PIXELS,
) -> Plan:
    """Finds the inputs, names the outputs and makes sure that they can be written.

    Args:
        inputs: files, folders (searched through, their structure is kept) and globs.
        out: folder of the outputs, outside of the input folders; made if it is not there.
        channels: of the outputs.
        overwrite: outputs that exist are replaced.
        skip_existing: inputs with an output that exists are left out.
        frames: whether each frame or page of a file becomes a task, or the first alone.
        max_pixels: as for `count_frames`; the frames of a larger image are not counted, and reading it will fail.

    Raises:
        UserError: no input is found, outputs exist and neither flag is given, an output would fall on an input or into
            an input folder, or the output folder cannot be written.
    """
    if overwrite and skip_existing:
        raise UserError("--overwrite and --skip-existing exclude each other")
    folder = output_folder(out)
    sources = find_sources(inputs, folder)
    _refuse_folders_within_inputs(sources, folder)
    fold = without_case if make_writable(folder) else as_is
    if frames == "all":
        sources.files = [frame for source in sources.files for frame in _frames(source, max_pixels)]
    folder_of = cache(lambda place: fold(real_path(folder / place)))
    _refuse_links_leading_out(sources, folder)
    reserve((source for source in sources.files if not source.problem), channels, folder_of, fold)
    for source in sources.files:
        source.names = source.names or tuple(wish.name() for wish in wishes(source, channels) if wish is not None)
    _refuse_inputs_as_outputs(sources, folder, fold)
    tasks = _Tasks(sources.files, folder)
    existing = _mark_existing(sources, folder, fold, skip=skip_existing)
    if existing and not overwrite and not skip_existing:
        first = next(output for output in tasks[existing[0]].outputs if os.path.lexists(output))
        raise _exist(first, len(existing), len(tasks), "--overwrite or --skip-existing")
    return Plan(tasks, sources.notes)


def output_folder(out: PathLike) -> Path:
    """The path of a folder for results.

    Raises:
        UserError: it has no name, or that of an image.
    """
    if not os.fspath(out):
        raise UserError("the output folder has an empty name")
    folder = Path(out)
    if folder.suffix.lower() in READABLE and not folder.is_dir():
        raise UserError(f"{printable(folder)}: the output is a folder, and this is the name of an image")
    return folder


def existing_outputs(outputs: Sequence[Path], *, wanted: str | None) -> list[Path]:
    """The outputs that are there already.

    Args:
        outputs: all that are to be written.
        wanted: the options that would allow it; None: it is allowed.

    Raises:
        UserError: there are some and it is not allowed.
    """
    existing = [output for output in outputs if os.path.lexists(output)]
    if existing and wanted is not None:
        raise _exist(existing[0], len(existing), len(outputs), wanted)
    return existing


def with_format(place: Path, channels: int, dtype: np.dtype) -> Path:
    """The name of an output: as it is if its format can hold the result, else with the ending of one that can."""
    if can_hold(place, channels, dtype):
        return place
    ending = ".png" if can_hold("any.png", channels, dtype) else ".npy"
    return place.with_suffix(ending) if place.suffix.lower() in READABLE else place.with_name(place.name + ending)


def make_writable(folder: Path) -> bool:
    """Makes the folder and tries to make a file in it: permission bits alone do not tell.

    Returns:
        Whether it takes names for equal that differ in upper and lower case only.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_left_overs(folder)
        with temporary_path(folder / "probe") as probe:
            probe.touch(exist_ok=False)
            ignores_case = os.path.lexists(folder / probe.name.upper())
    except OSError as error:
        raise UserError(f"{printable(folder)}: cannot be written: {reason(error)}") from error
    return ignores_case


def inside(out: PathLike, path: PathLike) -> bool:
    """Whether a file written to `path` would lie in the folder `out`, wherever links on the way lead."""
    return is_within(real_path(Path(path).parent), real_path(out))


def _exist(first: Path, count: int, total: int, wanted: str) -> UserError:
    return UserError(f"{printable(first)}: exists already, {count} of {total} outputs do; add {wanted}")


def _frames(source: Source, max_pixels: int) -> Iterator[Source]:
    """The frames of a file, or the file itself where there is but one, or where its header tells nothing."""
    count = 1
    if not source.problem:
        with suppress(UserError):  # reading it will tell
            count = count_frames(source.path, max_pixels=max_pixels)
    if count == 1:
        yield source
    else:
        yield from (Source(source.folder, source.name, source.place, source.linked, frame=n) for n in range(count))


def _refuse_folders_within_inputs(sources: Sources, folder: Path) -> None:
    """No output folder may be, or lie in, a folder that was searched; told by what folders are, not by their names."""
    if not sources.searched:
        return

    @cache
    def is_input(path: str) -> bool:
        return _identity(path) in sources.searched

    for place in {"", *(source.place for source in sources.files)}:
        real = Path(os.path.realpath(folder / place))
        if any(is_input(os.fspath(path)) for path in (real, *real.parents)):
            raise UserError(f"{printable(folder / place)}: lies in an input folder; choose another output folder")


def _refuse_links_leading_out(sources: Sources, folder: Path) -> None:
    within = cache(lambda place: inside(folder, folder / place / "any"))
    for source in sources.files:
        if not source.problem and not within(source.place):
            source.problem = f"{printable(folder / source.place)} leads out of the output folder"


def _refuse_inputs_as_outputs(sources: Sources, folder: Path, fold: Callable[[str], str]) -> None:
    read = defaultdict[tuple[int, int] | None, set[str]](set)
    for place, names in sources.entries().items():  # by what the folder is: it may be mounted in two places
        read[_identity(place)] |= {fold(name) for name in names}
    identity = cache(lambda place: _identity(folder / place))
    for source in sources.files:
        for name in source.names:
            if not source.problem and identity(source.place) and fold(name) in read.get(identity(source.place), ()):
                output = folder / source.place / name
                raise UserError(
                    f"{printable(output)}: is an input and would be written over; choose another output folder"
                )


def _identity(folder: PathLike) -> tuple[int, int] | None:
    """Device and inode of a folder; None if it is not there yet."""
    try:
        status = Path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _mark_existing(sources: Sources, folder: Path, fold: Callable[[str], str], *, skip: bool) -> list[int]:
    """The numbers of the inputs with an output that is there; to be skipped, it comes first among their names."""

    @cache
    def there(place: str) -> frozenset[str]:
        try:
            with os.scandir(folder / place) as entries:  # a folder is no output: writing will say that it is in the way
                return frozenset(fold(entry.name) for entry in entries if not entry.is_dir(follow_symlinks=False))
        except OSError:  # not there yet
            return frozenset()

    existing = []
    for number, source in enumerate(sources.files):
        if not source.problem and any(fold(name) in there(source.place) for name in source.names):
            if skip:
                source.names = tuple(sorted(source.names, key=lambda name: fold(name) not in there(source.place)))
                source.skip = True
            existing.append(number)
    return existing
