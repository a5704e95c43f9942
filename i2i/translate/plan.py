"""Which file becomes which: settled for all inputs before any work, so that nothing is lost by a clash of names."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from i2i.data.image_errors import reason, shown
from i2i.data.images import READABLE, can_hold, find_images, natural_order
from i2i.errors import UserError

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Task:
    """One input, where its translation goes, and whether that is there already and stays."""

    input: Path
    output: Path
    skip: bool


@dataclass(frozen=True)
class _Source:
    """An input file and its place below the output folder, still with the input's ending."""

    path: Path
    place: Path


def plan(
    inputs: Sequence[PathLike], out: PathLike, channels: int, dtype: np.dtype, *, overwrite: bool, skip_existing: bool
) -> list[Task]:
    """Finds the inputs, names the outputs and makes sure that they can be written.

    Args:
        inputs: files, folders (searched through, their structure is kept) and globs.
        out: folder of the outputs; made if it is not there.
        channels: of the outputs.
        dtype: of the outputs.
        overwrite: outputs that exist are replaced.
        skip_existing: outputs that exist stay.

    Raises:
        UserError: no input is found, outputs exist and neither flag is given, an output would fall on an input, or the
            output folder cannot be written.
    """
    if overwrite and skip_existing:
        raise UserError("--overwrite and --skip-existing exclude each other")
    folder = output_folder(out)
    sources = _without_repetition(source for item in inputs for source in _sources(item, folder))
    if not any(os.path.lexists(source.path) for source in sources):
        raise UserError(f"no images found in {' '.join(shown(item) for item in inputs) or 'nothing'}")
    outputs = _outputs(sources, folder, channels, dtype)
    _refuse_inputs_as_outputs(sources, outputs)
    leave = None if overwrite or skip_existing else "--overwrite or --skip-existing"
    existing = existing_outputs(outputs, wanted=leave)
    make_writable(folder)
    there = set(existing) if skip_existing else set()
    return [Task(source.path, output, output in there) for source, output in zip(sources, outputs, strict=True)]


def output_folder(out: PathLike) -> Path:
    """The path of a folder for results.

    Raises:
        UserError: it is named like an image.
    """
    folder = Path(out)
    if folder.suffix.lower() in READABLE and not folder.is_dir():
        raise UserError(f"{shown(folder)}: the output is a folder, and this is the name of an image")
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
        raise UserError(
            f"{shown(existing[0])}: exists already, {len(existing)} of {len(outputs)} outputs do; add {wanted}"
        )
    return existing


def with_format(place: Path, channels: int, dtype: np.dtype) -> Path:
    """The name of an output: as it is if its format can hold the result, else with the ending of one that can."""
    if can_hold(place, channels, dtype):
        return place
    ending = ".png" if can_hold("any.png", channels, dtype) else ".npy"
    return place.with_suffix(ending) if place.suffix.lower() in READABLE else place.with_name(place.name + ending)


def make_writable(folder: Path) -> None:
    """Makes the folder and tries to make a file in it: permission bits alone do not tell.

    Raises:
        UserError: it cannot be written.
    """
    probe = folder / f".i2i-{secrets.token_hex(8)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise UserError(f"{shown(folder)}: cannot be written: {reason(error)}") from error


def _sources(item: PathLike, out: Path) -> Iterator[_Source]:
    path = Path(item)
    if path.is_dir():
        if _entry(path) == _entry(out):
            raise UserError(f"{shown(path)}: is input and output folder at once; choose another output folder")
        yield from _in_folder(path, path, out)
    elif not os.path.lexists(path) and glob.has_magic(os.fspath(item)):
        fixed = Path(*_fixed_part(path.parts))
        matches = (Path(match) for match in glob.glob(os.fspath(item), recursive=True))  # noqa: PTH207 - may be absolute
        for match in sorted(matches, key=natural_order):
            if match.is_dir():
                yield from _in_folder(match, fixed, out)
            elif match.suffix.lower() in READABLE and not _is_earlier_output(match, fixed, out):
                yield _Source(match, match.relative_to(fixed))
    else:
        yield _Source(path, Path(path.name))


def _fixed_part(parts: tuple[str, ...]) -> list[str]:
    """The folders of a glob before the first wildcard."""
    fixed: list[str] = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return fixed


def _in_folder(root: Path, base: Path, out: Path) -> Iterator[_Source]:
    """The images below `root`, placed as they lie below `base`."""
    for path in find_images(root):
        if not _is_earlier_output(path, base, out):
            yield _Source(path, path.relative_to(base))


def _is_earlier_output(path: Path, searched: Path, out: Path) -> bool:
    """Whether what was found below `searched` lies in the output folder, which is itself somewhere below `searched`."""
    inside, around = Path(os.path.realpath(out)), Path(os.path.realpath(searched))
    if inside == around or not inside.is_relative_to(around):
        return False
    return Path(os.path.realpath(path.parent)).is_relative_to(inside)


def _entry(path: Path) -> str:
    """A name for the directory entry itself: links on the way are resolved, a link at the end is not followed."""
    if path.name in ("", ".", ".."):
        return os.path.normcase(os.path.realpath(path))
    return os.path.normcase(Path(os.path.realpath(path.parent), path.name))


def _without_repetition(sources: Iterator[_Source]) -> list[_Source]:
    unique: dict[str, _Source] = {}
    for source in sources:
        unique.setdefault(_entry(source.path), source)
    return list(unique.values())


def _outputs(sources: Sequence[_Source], folder: Path, channels: int, dtype: np.dtype) -> list[Path]:
    """Names the outputs: the input's name, the input's format if it can hold the result, else PNG.

    Where two inputs come to the same name, the one that keeps its ending has it, else the first; the other's ending
    goes into its name: ``a.jpg`` -> ``a_jpg.png``.
    """
    wanted = [with_format(source.place, channels, dtype) for source in sources]
    keeping = sorted(range(len(sources)), key=lambda i: (wanted[i] != sources[i].place, i))
    owner: dict[str, int] = {}
    for i in keeping:
        owner.setdefault(os.path.normcase(wanted[i]), i)
    taken = set(owner)
    outputs = []
    for i, (source, place) in enumerate(zip(sources, wanted, strict=True)):
        name, number = place, 1
        while owner.get(os.path.normcase(place)) != i and os.path.normcase(name) in taken:
            ending = source.place.suffix.lower().lstrip(".") or "file"
            again = f"_{number}" if number > 1 else ""
            name, number = place.with_name(f"{place.stem}_{ending}{again}{place.suffix}"), number + 1
        taken.add(os.path.normcase(name))
        outputs.append(folder / name)
    return outputs


def _refuse_inputs_as_outputs(sources: Sequence[_Source], outputs: Sequence[Path]) -> None:
    read = {_entry(source.path) for source in sources}
    read |= {os.path.normcase(os.path.realpath(source.path)) for source in sources if source.path.is_symlink()}
    for output in outputs:
        if _entry(output) in read:
            raise UserError(f"{shown(output)}: is an input and would be written over; choose another output folder")
