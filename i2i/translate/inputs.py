"""What is given for the inputs of a model besides its image: files that belong to the images, numbers, texts, codes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i2i.errors import DataError, ErrorKind, FileError, UserError, short_repr
from i2i.files import printable, user_path
from i2i.images import READABLE, apply_alpha, to_channels, to_dtype
from i2i.images.errors import errors_about
from i2i.images.search import search_folder
from i2i.interface import (
    ImageInput,
    Input,
    LabelMapInput,
    MaskInput,
    NumberInput,
    TextInput,
    VectorInput,
    encode_text,
    is_required,
)
from i2i.runtime.network import ExportedNetwork
from i2i.runtime.noise import check_noise_options, draw_noise
from i2i.translate.pictures import ImageLike, class_numbers, label_values, open_picture, resized

_TEXT_ENDING = ".txt"


@dataclass(frozen=True)
class Partners:
    """The files of a folder that belong to the images of another one: those of the same name without its ending.

    Attributes:
        folder: the folder.
        files: its files by their path in it without ending, with forward slashes.
    """

    folder: Path
    files: Mapping[str, Path]

    @classmethod
    def in_folder(cls, folder: Path, endings: frozenset[str]) -> Partners:
        """Finds the files with one of these endings, in folders of the folder, too.

        Raises:
            UserError: two of them have one name but for the ending.
        """
        files: dict[str, Path] = {}
        for found in search_folder(folder, endings).found:
            path = Path(found.folder, found.name)
            key = path.relative_to(folder).with_suffix("").as_posix()
            if key in files:
                raise UserError(f"belongs to the same image as {files[key].name}: leave one", path=printable(path))
            files[key] = path
        return cls(folder, files)

    def file(self, image: str) -> Path:
        """The file for an image, which is named by its path in the folder of images without ending.

        Raises:
            UserError: there is none, or no image is named, as where one is translated or made in Python.
        """
        if image not in self.files:
            reason = f"no partner for {printable(image)}" if image else "is a folder, and a single file is needed here"
            raise UserError(reason, kind=ErrorKind.NO_PARTNER, path=printable(self.folder))
        return self.files[image]


class GivenInputs:
    """The inputs of a network besides ``image`` and ``label``, as they are given for one image or for many.

    Args:
        network: takes them.
        given: a value for each input by name; texts, as from a command line, will do for all. For images, label maps
            and masks a file, a folder of files of the same names as the images, or what `i2i.Model.translate` takes as
            an image; for a number a number; for a text the text, a ``.txt`` file, or a folder of these, which ends in
            ``/``; for a vector numbers or an ``.npy`` file.
        seed: noise and vectors that are not given are drawn with it; None: they are the same for all images.

    Raises:
        DataError: a file cannot be read.
        UserError: the network has no such input, lacks one, or a value does not fit it.
    """

    def __init__(self, network: ExportedNetwork, given: Mapping[str, Any], seed: int | None = None) -> None:
        self.network, self.seed = network, seed
        types = {name: of for name, of in network.info.inputs.items() if name != "image"}
        known = ", ".join(types) or "none besides the image"
        for name in given:
            if name not in types:
                raise UserError(f"the model has no input {name!r}; it has {known}", path=printable(network.path))
        for name, of in types.items():
            if is_required(of) and name not in given:
                reason = f"the model needs the input {name!r}, {_words(of)}: --input {name}=... on the command line"
                raise UserError(reason, path=printable(network.path))
        if seed is not None:
            check_noise_options(seed, None)
            codes = [name for name, of in types.items() if isinstance(of, VectorInput) and name not in given]
            if not codes and "noise" not in network.runner.inputs:
                reason = "draws neither noise nor a code: its results would be the same; leave out seed and count"
                raise UserError(reason, path=printable(network.path))
        self._values = {name: _parsed(name, types[name], value) for name, value in given.items()}

    @property
    def previous(self) -> dict[str, str]:
        """The inputs that are what an output was for the frame before, each with that output's name."""
        inputs = self.network.info.inputs.items()
        return {name: of.previous for name, of in inputs if isinstance(of, ImageInput) and of.previous}

    def check_partners(self, images: Iterable[str]) -> None:
        """Makes sure that each image has a partner in all folders that are given.

        Args:
            images: the images by their path in the input folder without ending.

        Raises:
            UserError: one lacks its partner.
        """
        names = list(dict.fromkeys(images))
        for name, value in self._values.items():
            if isinstance(value, Partners) and (without := [image for image in names if image not in value.files]):
                reason = f"no partner for {printable(without[0])}, and for {len(without)} of {len(names)} images"
                raise UserError(
                    f"{reason}, as the input {name!r}", kind=ErrorKind.NO_PARTNER, path=printable(value.folder)
                )

    def feeds(
        self, image: str = "", shape: tuple[int, ...] = (), number: int = 0, label: int | None = None
    ) -> dict[str, np.ndarray]:
        """The arrays for one image, each with one row.

        Args:
            image: path of the image in the input folder without ending, for partners.
            shape: ``(H, W, C)`` of the image as the network takes it; empty without one.
            number: of the result among several for one image; each has other noise.
            label: number of the label; each has other noise.

        Raises:
            DataError: a partner cannot be read, or does not fit the image or the model.
            UserError: the image has no partner.
        """
        feeds = {}
        for name, value in self._values.items():
            of = self.network.info.inputs[name]
            given = value.file(image) if isinstance(value, Partners) else value
            if isinstance(of, ImageInput | LabelMapInput | MaskInput):
                own = not shape or getattr(of, "own_size", False)
                size = self.network.info.size or (None if own else (shape[0], shape[1]))
                given = self._picture(name, of, given, size)
            elif isinstance(given, Path):
                given = _from_file(of, given)
            feeds[name] = np.asarray(given)[np.newaxis]
        if self.seed is not None:
            for name, drawn in self.network.drawn_sizes((1, *shape) if shape else ()).items():
                if name not in feeds:
                    feeds[name] = draw_noise(drawn, [number], label=label, seed=self.seed, truncation=None)
        return feeds

    def _picture(
        self, name: str, of: ImageInput | LabelMapInput | MaskInput, given: ImageLike, size: tuple[int, int] | None
    ) -> np.ndarray:
        """An image, a label map or a mask ``(H, W, C)`` as the graph takes it."""
        with errors_about(given if isinstance(given, str | os.PathLike) else name):
            picture = open_picture(given)
            if isinstance(of, LabelMapInput):
                pixels = class_numbers(label_values(picture, self.network.info, 1), of)
            else:
                colours, alpha = apply_alpha(picture.pixels, picture.alpha, "keep")
                channels = of.channels if isinstance(of, ImageInput) else 1
                pixels = to_dtype(to_channels(colours, channels, alpha), np.dtype(self.network.info.value_type))
            if self.network.info.size and size:
                pixels = resized(pixels, size, picked=not isinstance(of, ImageInput))
            if size is not None and pixels.shape[:2] != size:
                (height, width), (rows, columns) = size, pixels.shape[:2]
                reason = f"the input {name!r} has {columns} x {rows} pixels, and the image {width} x {height}"
                raise FileError(ErrorKind.UNEQUAL_SIZES, reason)
        return pixels


def repeated(feeds: Mapping[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Arrays of one row each with that many equal rows."""
    return {name: np.repeat(value, count, axis=0) for name, value in feeds.items()}


def _words(of: Input) -> str:
    """What an input is, in words."""
    if isinstance(of, TextInput):
        return f"a text of up to {of.length} bytes"
    if isinstance(of, LabelMapInput):
        return f"a label map of {of.count} classes"
    return "a mask" if isinstance(of, MaskInput) else "an image"


def _parsed(name: str, of: Input, value: Any) -> Any:
    """A value for an input: what it stands for, or where it is read for each image.

    Raises:
        UserError: it does not fit.
    """
    if isinstance(of, NumberInput):
        return np.float32(_number(name, of, value))
    path = _existing_path(value)
    if isinstance(of, TextInput):
        is_path = isinstance(value, os.PathLike) or str(value).lower().endswith((_TEXT_ENDING, "/", os.sep))
        if path is not None and is_path:  # a folder named "cat" does not change what the text "cat" means
            return Partners.in_folder(path, frozenset({_TEXT_ENDING})) if path.is_dir() else _from_file(of, path)
        if not isinstance(value, str):
            raise UserError(f"the input {name!r} is a text, not {short_repr(value)}")
        return encode_text(value, of.length).astype(np.int32)
    if isinstance(of, VectorInput):
        return _from_file(of, path) if path is not None else _vector(name, of, value)
    if path is not None and path.is_dir():
        return Partners.in_folder(path, READABLE)
    if isinstance(value, str | os.PathLike) and path is None:
        raise UserError(f"no such file or folder, for the input {name!r}", path=printable(value))
    return value if path is None else path


def _existing_path(value: Any) -> Path | None:
    """The path that a value names, if something is there."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value) or "\0" in os.fspath(value):
        return None
    try:
        path = user_path(value, "an input")
        return path if path.exists() else None
    except (OSError, UserError):  # a text that is longer than a name may be, or begins with ~
        return None


def _number(name: str, of: NumberInput, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if problem := of.problem(number):
        shown = problem if math.isfinite(number) else problem.rpartition(", not ")[0] + f", not {short_repr(value)}"
        raise UserError(f"the input {name!r} {shown}")
    return number


def _vector(name: str, of: VectorInput, value: Any) -> np.ndarray:
    try:
        vector = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        vector = np.empty(0, np.float32)
    if vector.shape != (of.size,) or not np.isfinite(vector).all():
        taken = f"{of.size} numbers, in an array or an .npy file"
        raise UserError(f"the input {name!r} is {taken}, not {short_repr(value)}")
    return vector


def _from_file(of: Input, path: Path) -> np.ndarray:
    """A text or a vector of a file.

    Raises:
        DataError: it cannot be read, or does not fit.
    """
    with errors_about(path):
        if isinstance(of, TextInput):
            try:
                text = path.read_text(encoding="utf-8").strip()
                return encode_text(text, of.length).astype(np.int32)
            except UnicodeDecodeError as error:
                raise FileError(ErrorKind.DAMAGED, "is no text in UTF-8") from error
            except DataError as error:
                raise FileError(error.kind, error.reason) from error
        assert isinstance(of, VectorInput)
        vector = np.load(path, allow_pickle=False)
        if vector.shape != (of.size,) or vector.dtype.kind not in "fiu" or not np.isfinite(vector).all():
            found = f"{vector.dtype} of shape {vector.shape}"
            raise FileError(ErrorKind.CHANNELS, f"the model takes {of.size} numbers, and this is {found}")
        return vector.astype(np.float32)
