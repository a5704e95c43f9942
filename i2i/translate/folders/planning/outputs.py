"""The output folder: whether it can be written to, and which outputs exist already."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from i2i.errors import ErrorKind, FileError, UserError
from i2i.files import clear_leftovers, printable, temporary_path, user_path
from i2i.images import READABLE, WRITABLE, can_hold
from i2i.images.errors import kind_and_reason
from i2i.interface import Image, LabelMap
from i2i.runtime.metadata import Metadata
from i2i.translate.folders.planning.inputs import PathLike, is_within, real_path

_OTHER_ENDINGS = frozenset((".heic", ".heif", ".jp2", ".jxl", ".tga", ".exr", ".hdr", ".psd", ".svg", ".pdf", ".ico"))
"""Endings of images that i2i neither reads nor writes: a result of that name is to be a file, no folder."""


@dataclass(frozen=True)
class OutputPixels:
    """What the formats of outputs must be able to hold.

    Attributes:
        channels: number of channels.
        exact: whether the values are floats in units of their own, which no integers can hold.
        bands: whether the channels are bands, so that the last of four is not alpha.
        only: the only ending that will do, of what is no picture with values of its own; empty: any that can hold it.
    """

    channels: int
    exact: bool = False
    bands: bool = False
    only: str = ""

    @classmethod
    def of_output(cls, info: Metadata, name: str) -> OutputPixels:
        """Those of the files that an output of a model becomes."""
        of = info.outputs[name]
        if not isinstance(of, Image):
            return cls(1, only=".png" if isinstance(of, LabelMap) else ".npy")
        exact = info.target_type == "float32" and not info.keeps_type
        return cls(of.channels or info.channels_out, exact, bands=info.gives_bands)

    def held_by(self, name: str, dtype: DTypeLike = np.uint8) -> bool:
        """Whether a file of that name can hold them, as `dtype` where they are not exact."""
        if self.only:
            return Path(name).suffix.lower() == self.only
        channels = 5 if self.bands and self.channels == 4 else self.channels  # what holds five holds four bands, too
        return can_hold(name, channels, np.float32 if self.exact else dtype, exact=self.exact)

    @property
    def safe_ending(self) -> str:
        """The ending of a format that can hold all of them: PNG, TIFF for exact floats, or npy for other channels."""
        if self.only:
            return self.only
        ending = ".tif" if self.exact else ".png"
        return ending if self.held_by(f"any{ending}") else ".npy"


class OutputPlace(NamedTuple):
    """Where results are written.

    Attributes:
        folder: the folder.
        name: name of the only result in it; empty where results are named after their inputs.
    """

    folder: Path
    name: str = ""


def output_place(out: PathLike) -> OutputPlace:
    """A folder for results, or a file for one where the name ends like that of an image and no folder has it.

    Raises:
        UserError: it has no name, or that of an image in a format that cannot be written.
    """
    path = user_path(out, "the output folder")
    ending = path.suffix.lower()
    if ending not in READABLE | _OTHER_ENDINGS or path.is_dir():
        return OutputPlace(path)
    if ending not in WRITABLE:
        raise UserError(f"{ending} files cannot be written; choose another ending, such as .png", path=printable(path))
    return OutputPlace(path.parent, path.name)


def output_folder(out: PathLike) -> Path:
    """The path of a folder for results.

    Raises:
        UserError: it has no name, or that of an image.
    """
    place = output_place(out)
    if place.name:
        raise UserError("the output is a folder, and this is the name of an image", path=printable(out))
    return place.folder


def refuse_existing(outputs: Sequence[Path]) -> None:
    """Makes sure that none of the outputs exists.

    Raises:
        UserError: some exist; the message names the first one and the option that allows to replace them.
    """
    existing = [output for output in outputs if os.path.lexists(output)]
    if existing:
        raise outputs_exist(existing[0], len(existing), len(outputs), "--overwrite")


def outputs_exist(first: Path, count: int, total: int, options: str) -> UserError:
    """The error for outputs that exist already.

    Args:
        first: the first output that exists.
        count: how many of the outputs exist.
        total: number of all outputs.
        options: options of the command that allow existing outputs.
    """
    reason = f"exists already, {count} of {total} outputs do; add {options}"
    return UserError(reason, kind=ErrorKind.EXISTS, path=printable(first))


def with_format(place: Path, pixels: OutputPixels, dtype: DTypeLike) -> Path:
    """The name of an output: as it is if its format can hold the result, else with the ending of one that can."""
    if pixels.held_by(place.name, dtype):
        return place
    ending = pixels.safe_ending
    return place.with_suffix(ending) if place.suffix.lower() in READABLE else place.with_name(place.name + ending)


def refuse_loss(output: Path, image: np.ndarray, pixels: OutputPixels) -> None:
    """Makes sure that an output can hold a result ``(H, W, C)``; one whose name the user chose may not.

    Raises:
        FileError: it would lose channels, depth or units.
    """
    if pixels.held_by(output.name, image.dtype):
        return
    what = f"{pixels.channels} {'bands' if pixels.bands else 'channels'} of {8 * image.itemsize} bits" + (
        " in units of their own" if pixels.exact else ""
    )
    advice = ", or leave transparency out with --alpha drop" if pixels.channels == 4 and not pixels.bands else ""
    reason = f"{output.suffix} cannot hold the result, {what}; choose {pixels.safe_ending}{advice}"
    raise FileError(ErrorKind.UNSUPPORTED, reason)


def make_writable(folder: Path) -> bool:
    """Makes the folder and tries to make a file in it: permission bits alone do not tell.

    Returns:
        Whether its file system ignores letter case in names.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        with temporary_path(folder / "probe") as probe:
            probe.touch(exist_ok=False)
            ignores_case = os.path.lexists(folder / probe.name.upper())
    except OSError as error:
        kind, reason = kind_and_reason(error)
        raise UserError(f"cannot be written: {reason}", kind=kind, path=printable(folder)) from error
    return ignores_case


def inside(out: PathLike, path: PathLike) -> bool:
    """Whether a file written to `path` would lie in the folder `out`, wherever links on the way lead."""
    return is_within(real_path(Path(path).parent), real_path(out))
