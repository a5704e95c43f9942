"""Generating many files: images from noise, some for each label, under file names that are safe for any label."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from i2i.errors import UserError
from i2i.files import printable
from i2i.images import Extras, default_palette, write_pixels
from i2i.interface import Image, LabelMap
from i2i.runtime.computing.runner import Feeds
from i2i.runtime.metadata import Metadata
from i2i.runtime.network import ExportedNetwork, LoadedModel
from i2i.runtime.noise import check_noise_options
from i2i.translate.folders.planning.inputs import PathLike
from i2i.translate.folders.planning.outputs import (
    OutputPixels,
    make_writable,
    output_folder,
    refuse_existing,
    with_format,
)
from i2i.translate.inputs import GivenInputs, repeated
from i2i.translate.pictures import to_output
from i2i.translate.results import Results

MAX_COUNT = 1_000_000
"""Images of one label in one call: their names are all held in memory and checked before the first is made."""
_UNSAFE = frozenset(' /\\:*?"<>|')
"""Characters that separate folders on some system, or that Windows refuses in names."""
_MAX_LABEL = 50
"""Characters of a label in a file name, which may have 255 bytes."""


@dataclass(frozen=True)
class Generated:
    """What became of one generated image.

    Attributes:
        output: the file that was, or would have been, written.
        label: name of the label, or its number where it has no name; None for models without labels.
        number: number of the image among those of its label, from 0.
        status: whether it was written.
        reason: why it failed, on one line that names the output; empty when written.
        seconds: seconds of work on it: its share of the batch in the network, and encoding.
        width: width in pixels; None unless written.
        height: height in pixels; None unless written.
    """

    output: Path
    label: str | None
    number: int
    status: Literal["written", "failed"]
    reason: str = ""
    seconds: float = 0.0
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Sampling:
    """Which images are drawn, and how.

    Attributes:
        count: images of each label, from 1 to a million.
        seed: a whole number from 0; another one gives other images.
        truncation: noise of larger magnitude is drawn anew: less variety, fewer odd images. None: all is kept.
        batch: most images that go through the network at once.

    Raises:
        UserError: a number is out of range.
    """

    count: int = 8
    seed: int = 0
    truncation: float | None = None
    batch: int = 16

    def __post_init__(self) -> None:
        check_noise_options(self.seed, self.truncation)
        if not 1 <= self.count <= MAX_COUNT or self.batch < 1:
            raise UserError(f"count and batch are whole numbers from 1, and count is at most {MAX_COUNT:,} at a time")


@dataclass(frozen=True)
class _Batch:
    """Some images of one label that go through the network together.

    Attributes:
        index: number of the label; None for models without labels.
        label: its name, or its number as text.
        numbers: numbers of the images among those of the label.
        outputs: their files.
    """

    index: int | None
    label: str | None
    numbers: range
    outputs: list[Path]


def generate_folder(
    model: LoadedModel,
    out: PathLike,
    sampling: Sampling | None = None,
    *,
    labels: Sequence[str | int] = (),
    given: Mapping[str, Any] = MappingProxyType({}),
    overwrite: bool = False,
) -> Results[Generated]:
    """Generates images into a folder: ``LABEL-0000.png``, or ``image-0000.png`` where the model has no labels.

    All is checked before this returns; the work is done as results are taken. An interrupt leaves no partial file.

    Args:
        model: as `i2i.load` gives it.
        out: folder of the outputs; made if it is not there.
        sampling: which images, and how; None: the defaults of `Sampling`.
        labels: which to draw, by name or number; none: all that the model names.
        given: the model's further inputs by name, the same for all images; see `i2i.translate.inputs.GivenInputs`.
        overwrite: outputs that exist are replaced.

    Returns:
        The results, label by label.

    Raises:
        ModelError: the model translates images.
        UserError: a label is unknown or not taken by the model, outputs exist, or the folder cannot be written.

    Example:
        >>> import i2i
        >>> from i2i.translate.generate import Sampling, generate_folder
        >>> results = generate_folder(i2i.load("dreams.onnx"), "drawn", Sampling(count=2, seed=7))
        >>> [result.output.name for result in results]
        ['cat-0000.png', 'cat-0001.png', 'dog-0000.png', 'dog-0001.png']
    """
    network, sampling = model.network, sampling or Sampling()
    network.check_command("generate")
    folder, indices = output_folder(out), _label_indices(network, labels)
    names, feeds = file_names(network.info.labels), GivenInputs(network, given).feeds()
    batches = [batch for index in indices for batch in _batches(network, index, names, folder, sampling)]
    outputs = [output for batch in batches for output in batch.outputs]
    if not overwrite:
        refuse_existing(outputs)
    make_writable(folder)
    results = (result for batch in batches for result in _results(network, batch, sampling, feeds))
    return Results(results, len(outputs), [model.notes])


def file_names(labels: Sequence[str]) -> list[str]:
    """The first part of the file names of each label: one path component, not hidden, unique even without letter case.

    A label that already is such a name is kept, unless an earlier one equals it. The result depends on all labels of
    the model, not on those that are asked for, so that a later call gives the same names.
    """
    safe = [_safe(label) for label in labels]
    names, taken = list(safe), set[str]()
    for index in sorted(range(len(labels)), key=lambda i: (safe[i] != labels[i], i)):
        number = index
        while names[index].casefold() in taken:
            names[index], number = f"{safe[index]}_{number}", number + len(labels)
        taken.add(names[index].casefold())
    return names


def _safe(label: str) -> str:
    composed = unicodedata.normalize("NFC", label)[:_MAX_LABEL]  # some file systems take both forms for one
    text = "".join("_" if c in _UNSAFE or not c.isprintable() else c for c in composed)
    return "_" + text[1:] if text[:1] in ("", ".", "-") else text  # hidden, or taken for an option


def _label_indices(network: ExportedNetwork, labels: Sequence[str | int]) -> list[int | None]:
    """Numbers of the labels to draw, each once; a lone None for models without labels."""
    if labels:
        return list(dict.fromkeys(network.label_index(label) for label in labels))
    known = range(len(network.info.labels)) if network.takes_label else ()
    return list(known) or [network.label_index(None)]


def _batches(
    network: ExportedNetwork, index: int | None, names: Sequence[str], folder: Path, sampling: Sampling
) -> Iterator[_Batch]:
    """The images of one label in batches; `names` has a beginning of file names for each label."""
    info, label, start = network.info, None, "image"
    if index is not None:
        label, start = (info.labels[index], names[index]) if names else (str(index), str(index))
    pixels = OutputPixels.of_output(info, info.pictures[0])
    for first in range(0, sampling.count, sampling.batch):
        numbers = range(first, min(first + sampling.batch, sampling.count))
        places = (Path(f"{start}-{number:04d}.png") for number in numbers)
        outputs = [folder / with_format(place, pixels, info.target_type) for place in places]
        yield _Batch(index, label, numbers, outputs)


def generated_pixels(images: np.ndarray, info: Metadata) -> np.ndarray:
    """Generated images in the type and units of those that the model was trained on; label maps as they are."""
    is_image = isinstance(info.outputs[info.pictures[0]], Image)
    return to_output(images, info, np.dtype(info.target_type)) if is_image else images


def _results(network: ExportedNetwork, batch: _Batch, sampling: Sampling, feeds: Feeds) -> Iterator[Generated]:
    images = _images(network, batch, sampling, feeds)
    of = network.info.outputs[network.info.pictures[0]]
    extras = Extras(palette=default_palette(of.palette) if isinstance(of, LabelMap) else ())
    for number, output, (image, seconds) in zip(batch.numbers, batch.outputs, images, strict=True):
        if isinstance(image, UserError):
            reason = f"{printable(output)}: {image}"
            yield Generated(output, batch.label, number, "failed", reason, seconds)
        else:
            values = generated_pixels(image, network.info)
            yield _written(Generated(output, batch.label, number, "written", "", seconds), values, extras)


def _images(
    network: ExportedNetwork, batch: _Batch, sampling: Sampling, feeds: Feeds
) -> Iterator[tuple[np.ndarray | UserError, float]]:
    """Images with their seconds; a batch that fails, for instance for lack of memory, is tried again one by one."""
    start, count = time.perf_counter(), len(batch.numbers)
    images: Iterable[np.ndarray | UserError]
    drawn: dict[str, Any] = {"label": batch.index, "seed": sampling.seed, "truncation": sampling.truncation}
    try:
        images = network.generate(batch.numbers, **drawn, inputs=repeated(feeds, count))
    except UserError as error:
        if count > 1:
            for number in batch.numbers:
                yield from _images(network, replace(batch, numbers=range(number, number + 1)), sampling, feeds)
            return
        images = [error]
    share = (time.perf_counter() - start) / count
    for image in images:
        yield image, share


def _written(result: Generated, image: np.ndarray, extras: Extras) -> Generated:
    start, (height, width) = time.perf_counter(), image.shape[:2]
    try:
        write_pixels(result.output, image, extras)
    except UserError as error:
        seconds = result.seconds + time.perf_counter() - start
        return replace(result, status="failed", reason=str(error), seconds=seconds)
    return replace(result, seconds=result.seconds + time.perf_counter() - start, width=width, height=height)
