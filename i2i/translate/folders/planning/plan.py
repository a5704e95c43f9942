"""Plans which input becomes which output, for all inputs before any work, so that no two outputs get one name."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, overload

from numpy.typing import DTypeLike

from i2i.errors import UserError
from i2i.files import printable
from i2i.images import MAX_PIXELS, WRITABLE, can_hold, count_frames
from i2i.translate.folders.planning.inputs import InputFile, InputFiles, PathLike, find_inputs, real_path
from i2i.translate.folders.planning.names import as_is, name_candidates, reserve_names, without_case
from i2i.translate.folders.planning.outputs import OutputPixels, inside, make_writable, output_place, outputs_exist

ExistingRule = Literal["refuse", "overwrite", "skip"]
"""What to do if outputs exist: refuse to begin, overwrite them, or skip their inputs."""
FrameChoice = Literal["first", "all"]
"""Which frames or pages of a file are translated."""
TABLE = "results.csv"
"""Name of the table of the numbers that a model gives."""


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One input image, and where its translation goes.

    Attributes:
        input: the file.
        outputs: paths reserved for its output, at least one: with the input's ending, if that can be written, then as
            PNG, TIFF or npy, whichever can hold every result. For an image to skip, the existing one comes first; those
            of a refused image are not reserved.
        key: path of the input in the folder that was searched, without ending and with forward slashes.
        frame: number of the frame from 0; None: the file as a whole, of which the first frame is read.
        number: number of the result among several for one image, from 0.
        further: paths reserved for the files of each further output, as in `outputs`.
        skip: whether an output exists and is kept.
        refused: why the image cannot be translated, if that is known already, without the file's name; else empty.
    """

    input: Path
    outputs: tuple[Path, ...]
    key: str = ""
    frame: int | None = None
    number: int = 0
    further: tuple[tuple[Path, ...], ...] = ()
    skip: bool = False
    refused: str = ""

    def output_for(
        self, channels: int, dtype: DTypeLike, format: str, size: tuple[int, int] | None = None, *, file: int = 0
    ) -> Path:
        """The path to write: the one in the input's format if that can hold the result, else the last one.

        Args:
            channels: number of channels of the result.
            dtype: type of the input's pixels.
            format: the input's format, as `Picture.format` names it.
            size: height and width of the result in pixels, which some formats limit; None: not checked.
            file: number of the file among those of the image, one for each output that becomes a file.
        """
        places = (self.outputs, *self.further)[file]
        for output in places[:-1]:
            keeps_format = WRITABLE[output.suffix.lower()] == format
            if keeps_format and can_hold(output, channels, dtype, size):
                return output
        return places[-1]


class _PlannedImages(Sequence[PlannedImage]):
    """A sequence that builds each `PlannedImage` on access, as paths take much more memory than names."""

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
        more: dict[str, Any] = {"number": file.number or 0, "skip": file.skip, "refused": file.problem}
        return PlannedImage(file.path, outputs, file.image_key, file.frame, **more)


class JoinedImages(Sequence[PlannedImage]):
    """The images of several plans for the same inputs, one for each output that becomes a file.

    Args:
        plans: the images of each plan, in one order.
    """

    def __init__(self, plans: Sequence[Sequence[PlannedImage]]) -> None:
        self._plans = plans

    def __len__(self) -> int:
        return len(self._plans[0])

    @overload
    def __getitem__(self, index: int) -> PlannedImage: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PlannedImage]: ...
    def __getitem__(self, index: int | slice) -> PlannedImage | Sequence[PlannedImage]:
        if isinstance(index, slice):
            return JoinedImages([images[index] for images in self._plans])
        first, *others = [images[index] for images in self._plans]
        skip = first.skip and all(other.skip for other in others)
        return replace(first, further=tuple(other.outputs for other in others), skip=skip)


@dataclass(frozen=True)
class FolderPlan:
    """The images to translate.

    Attributes:
        folder: the folder of all outputs.
        images: the planned images, in the order of the inputs.
        notes: lines about files with other endings, and about links to folders that were searched already.
    """

    folder: Path
    images: Sequence[PlannedImage]
    notes: list[str] = field(default_factory=list)


def plan_folder(
    inputs: Sequence[PathLike],
    out: PathLike,
    pixels: OutputPixels | None,
    *,
    existing: ExistingRule = "refuse",
    frames: FrameChoice | int = "first",
    max_pixels: int = MAX_PIXELS,
) -> FolderPlan:
    """Finds the inputs, names the outputs and makes sure that they can be written.

    Args:
        inputs: files, folders (searched through, their structure is kept) and globs.
        out: folder of the outputs, outside of the input folders; made if it is not there. For a single file, also the
            name of an image file to write.
        pixels: what the outputs' formats must be able to hold; None: the outputs are rows of one table.
        existing: what to do if outputs exist.
        frames: whether each frame or page of a file is translated, or only the first; a number: so many results of it.
        max_pixels: width times height up to which the frames of an image are counted; reading a larger one fails.

    Returns:
        The plan. Only headers have been read, and only a test file has been written, to the output folder.

    Raises:
        UserError: no input is found, outputs exist and that is not allowed, an output would fall on an input or into
            an input folder, or the output folder cannot be written.
    """
    folder, name = output_place(out)
    found = find_inputs(inputs, folder)
    _refuse_folders_within_inputs(found, folder)
    fold = without_case if make_writable(folder) else as_is
    if frames == "all":
        found.files = [frame for file in found.files for frame in _frames(file, max_pixels)]
    elif isinstance(frames, int) and frames > 1:
        found.files = [replace(file, number=number) for file in found.files for number in range(frames)]
    folder_of = cache(lambda place: fold(real_path(folder / place)))
    _refuse_links_leading_out(found, folder)
    if pixels is None:
        _reserve_table(found, name, folder)
    elif name:
        only = _one_file(found, folder / name)
        only.place, only.names = "", (name,)
    pixels = pixels or OutputPixels(1)
    reserve_names((file for file in found.files if not file.problem and not file.names), pixels, folder_of, fold)
    for file in found.files:
        candidates = (candidate for candidate in name_candidates(file, pixels) if candidate is not None)
        file.names = file.names or tuple(candidate.name() for candidate in candidates)
    _refuse_inputs_as_outputs(found, folder, fold)
    images = _PlannedImages(found.files, folder)
    done = _mark_existing(found, folder, fold, skip=existing == "skip")
    if done and existing == "refuse":
        first = next(output for output in images[done[0]].outputs if os.path.lexists(output))
        raise outputs_exist(first, len(done), len(images), "--overwrite or --skip-existing")
    return FolderPlan(folder, images, found.notes)


def existing_rule(*, overwrite: bool, skip_existing: bool) -> ExistingRule:
    """The rule that the options ``--overwrite`` and ``--skip-existing`` mean.

    Raises:
        UserError: both are given.
    """
    if overwrite and skip_existing:
        raise UserError("--overwrite and --skip-existing exclude each other")
    return "overwrite" if overwrite else "skip" if skip_existing else "refuse"


def _one_file(inputs: InputFiles, output: Path) -> InputFile:
    """The only input, for an output that is a file."""
    if inputs.searched or len(inputs.files) != 1:
        count = len({file.path for file in inputs.files})
        what = "a folder" if inputs.searched else f"{count} files" if count > 1 else "several frames"
        raise UserError(f"is a single image, and the input is {what}; give a folder after -o", path=printable(output))
    return inputs.files[0]


def _reserve_table(inputs: InputFiles, name: str, folder: Path) -> None:
    """Makes the table the output of all inputs."""
    if name:
        reason = "is the name of an image, and the model gives numbers: give a folder after -o"
        raise UserError(reason, path=printable(folder / name))
    for file in inputs.files:
        file.key = file.image_key
        file.place, file.names = "", (TABLE,)


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
    """Refuses outputs in a folder that was searched for inputs; compares inodes, as a folder may have several paths."""
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
    """Device and inode of a folder; None if it does not exist."""
    try:
        status = Path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _mark_existing(inputs: InputFiles, folder: Path, fold: Callable[[str], str], *, skip: bool) -> list[int]:
    """The numbers of the inputs whose output exists; with `skip` they are marked, and the existing name comes first."""

    @cache
    def existing_names(place: str) -> frozenset[str]:
        try:
            with os.scandir(folder / place) as entries:  # a folder is no output: writing will say that it is in the way
                return frozenset(fold(entry.name) for entry in entries if not entry.is_dir(follow_symlinks=False))
        except OSError:  # the folder does not exist yet
            return frozenset()

    existing = []
    for number, file in enumerate(inputs.files):
        if not file.problem and any(fold(name) in existing_names(file.place) for name in file.names):
            if skip:
                file.names = tuple(sorted(file.names, key=lambda name: fold(name) not in existing_names(file.place)))
                file.skip = True
            existing.append(number)
    return existing
