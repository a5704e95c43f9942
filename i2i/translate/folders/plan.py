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

from numpy.typing import DTypeLike

from i2i.errors import UserError
from i2i.files import printable
from i2i.images import MAX_PIXELS, WRITABLE, can_hold, count_frames
from i2i.translate.folders.inputs import InputFile, InputFiles, PathLike, find_inputs, real_path
from i2i.translate.folders.names import as_is, name_candidates, reserve_names, without_case
from i2i.translate.folders.outputs import inside, make_writable, output_folder, outputs_exist

ExistingRule = Literal["refuse", "overwrite", "skip"]
"""What becomes of an input whose output exists: nothing is begun at all, it is replaced, or the input is left out."""
FrameChoice = Literal["first", "all"]
"""Which frames or pages of a file are translated."""


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One input image, and where its translation goes.

    Attributes:
        input: the file.
        outputs: the names reserved for it, at least one: with its own ending, if that can be written, then as PNG.
            Of an image to skip, the one that is there comes first; those of a refused one are not reserved.
        frame: number of the frame from 0; None: the file as a whole, of which the first frame is read.
        skip: whether an output is there already and stays.
        refused: why it is known to fail, without the file's name; empty where it is to be read.
    """

    input: Path
    outputs: tuple[Path, ...]
    frame: int | None = None
    skip: bool = False
    refused: str = ""

    def output_for(self, channels: int, dtype: DTypeLike, format: str, size: tuple[int, int] | None = None) -> Path:
        """The first of the outputs that can hold a result and, where it is not the last, is true to the input's format.

        Args:
            channels: number of channels of the result.
            dtype: type of the input's pixels.
            format: the input's format, as `Picture.format` names it.
            size: height and width of the result, if some formats may be too small for it.
        """
        for output in self.outputs[:-1]:
            is_true = WRITABLE[output.suffix.lower()] == format
            if is_true and can_hold(output, channels, dtype, size):
                return output
        return self.outputs[-1]


class _PlannedImages(Sequence[PlannedImage]):
    """Planned images that are made as they are asked for: paths take much more memory than names."""

    def __init__(self, files: list[InputFile], out: Path) -> None:
        self._files, self._out = files, out

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> PlannedImage: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedImage]: ...
    def __getitem__(self, index: int | slice) -> PlannedImage | Sequence[PlannedImage]:
        if isinstance(index, slice):
            return _PlannedImages(self._files[index], self._out)
        file = self._files[index]
        outputs = tuple(self._out / file.place / name for name in file.names)
        return PlannedImage(file.path, outputs, file.frame, file.skip, file.problem)


@dataclass(frozen=True)
class FolderPlan:
    """What is to be done.

    Attributes:
        images: in the order of the inputs.
        notes: one line each on what was left out of the inputs with good reason.
    """

    images: Sequence[PlannedImage]
    notes: list[str] = field(default_factory=list)


def plan_folder(
    inputs: Sequence[PathLike],
    out: PathLike,
    channels: int,
    *,
    existing: ExistingRule = "refuse",
    frames: FrameChoice = "first",
    max_pixels: int = MAX_PIXELS,
) -> FolderPlan:
    """Finds the inputs, names the outputs and makes sure that they can be written.

    Args:
        inputs: files, folders (searched through, their structure is kept) and globs.
        out: folder of the outputs, outside of the input folders; made if it is not there.
        channels: number of channels of the outputs.
        existing: what becomes of inputs whose output exists.
        frames: whether each frame or page of a file is translated, or the first alone.
        max_pixels: as for `count_frames`; the frames of a larger image are not counted, and reading it will fail.

    Returns:
        The plan; nothing has been read or written but headers, and a file to try the output folder.

    Raises:
        UserError: no input is found, outputs exist and that is not allowed, an output would fall on an input or into
            an input folder, or the output folder cannot be written.
    """
    folder = output_folder(out)
    found = find_inputs(inputs, folder)
    _refuse_folders_within_inputs(found, folder)
    fold = without_case if make_writable(folder) else as_is
    if frames == "all":
        found.files = [frame for file in found.files for frame in _frames(file, max_pixels)]
    folder_of = cache(lambda place: fold(real_path(folder / place)))
    _refuse_links_leading_out(found, folder)
    reserve_names((file for file in found.files if not file.problem), channels, folder_of, fold)
    for file in found.files:
        candidates = (candidate for candidate in name_candidates(file, channels) if candidate is not None)
        file.names = file.names or tuple(candidate.name() for candidate in candidates)
    _refuse_inputs_as_outputs(found, folder, fold)
    images = _PlannedImages(found.files, folder)
    there = _mark_existing(found, folder, fold, skip=existing == "skip")
    if there and existing == "refuse":
        first = next(output for output in images[there[0]].outputs if os.path.lexists(output))
        raise outputs_exist(first, len(there), len(images), "--overwrite or --skip-existing")
    return FolderPlan(images, found.notes)


def existing_rule(*, overwrite: bool, skip_existing: bool) -> ExistingRule:
    """The rule that the two options of commands mean.

    Raises:
        UserError: both are given.
    """
    if overwrite and skip_existing:
        raise UserError("--overwrite and --skip-existing exclude each other")
    return "overwrite" if overwrite else "skip" if skip_existing else "refuse"


def _frames(file: InputFile, max_pixels: int) -> Iterator[InputFile]:
    """The frames of a file, or the file itself where there is but one, or where its header tells nothing."""
    count = 1
    if not file.problem:
        with suppress(UserError):  # reading it will tell
            count = count_frames(file.path, max_pixels=max_pixels)
    if count == 1:
        yield file
    else:
        yield from (InputFile(file.folder, file.name, file.place, file.linked, frame=n) for n in range(count))


def _refuse_folders_within_inputs(inputs: InputFiles, folder: Path) -> None:
    """No output folder may be, or lie in, a folder that was searched; told by what folders are, not by their names."""
    if not inputs.searched:
        return

    @cache
    def is_input(path: str) -> bool:
        return _identity(path) in inputs.searched

    for place in {"", *(file.place for file in inputs.files)}:
        real = Path(os.path.realpath(folder / place))
        if any(is_input(os.fspath(path)) for path in (real, *real.parents)):
            reason = "lies in an input folder; choose another output folder"
            raise UserError(reason, path=printable(folder / place))


def _refuse_links_leading_out(inputs: InputFiles, folder: Path) -> None:
    within = cache(lambda place: inside(folder, folder / place / "any"))
    for file in inputs.files:
        if not file.problem and not within(file.place):
            file.problem = f"{printable(folder / file.place)} leads out of the output folder"


def _refuse_inputs_as_outputs(inputs: InputFiles, folder: Path, fold: Callable[[str], str]) -> None:
    read = defaultdict[tuple[int, int] | None, set[str]](set)
    for place, names in inputs.entries().items():  # by what the folder is: it may be mounted in two places
        read[_identity(place)] |= {fold(name) for name in names}
    identity = cache(lambda place: _identity(folder / place))
    for file in inputs.files:
        for name in file.names:
            if not file.problem and identity(file.place) and fold(name) in read.get(identity(file.place), ()):
                reason = "is an input and would be written over; choose another output folder"
                raise UserError(reason, path=printable(folder / file.place / name))


def _identity(folder: PathLike) -> tuple[int, int] | None:
    """Device and inode of a folder; None if it is not there yet."""
    try:
        status = Path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _mark_existing(inputs: InputFiles, folder: Path, fold: Callable[[str], str], *, skip: bool) -> list[int]:
    """The numbers of the inputs with an output that is there; to be skipped, it comes first among their names."""

    @cache
    def there(place: str) -> frozenset[str]:
        try:
            with os.scandir(folder / place) as entries:  # a folder is no output: writing will say that it is in the way
                return frozenset(fold(entry.name) for entry in entries if not entry.is_dir(follow_symlinks=False))
        except OSError:  # not there yet
            return frozenset()

    existing = []
    for number, file in enumerate(inputs.files):
        if not file.problem and any(fold(name) in there(file.place) for name in file.names):
            if skip:
                file.names = tuple(sorted(file.names, key=lambda name: fold(name) not in there(file.place)))
                file.skip = True
            existing.append(number)
    return existing
