"""Generating many files: images from noise, some for each label, under names that no label can lead astray."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from i2i.errors import UserError
from i2i.files import printable
from i2i.images import write_image
from i2i.translate.folders.plan import PathLike, existing_outputs, make_writable, output_folder, with_format
from i2i.translate.model import Model
from i2i.translate.noise import check_draw
from i2i.translate.results import Results

MOST = 1_000_000
"""Images of a label in one call; all their names are checked before the first is drawn."""
_UNSAFE = frozenset(' /\\:*?"<>|')  # separators somewhere, or refused by Windows
_LONGEST = 50  # characters of a label in a file name, which may have 255 bytes


@dataclass(frozen=True)
class Generated:
    """What became of one image.

    Attributes:
        output: the file that was, or would have been, written.
        label: name of the label, or its number where it has no name; None for models without labels.
        number: of the image among those of its label, from 0.
        status: whether it was written.
        reason: why it failed, on one line that names the output; empty when written.
        seconds: of work on it: its share of the batch in the network, encoding.
        width: in pixels; None unless written.
        height: likewise.
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
class _Request:
    """Some images of one label that go through the network together."""

    index: int | None  # number of the label
    label: str | None
    numbers: range
    outputs: list[Path]


def generate_folder(
    model: Model,
    out: PathLike,
    *,
    labels: Sequence[str | int] = (),
    count: int = 8,
    seed: int = 0,
    truncation: float | None = None,
    batch: int = 16,
    overwrite: bool = False,
) -> Results[Generated]:
    """Generates images into a folder: ``LABEL-0000.png``, or ``image-0000.png`` where the model has no labels.

    All is checked before this returns; the work is done as results are taken. An interrupt leaves no partial file.

    Args:
        model: as loaded.
        out: folder of the outputs; made if it is not there.
        labels: which to draw, by name or number; none: all that the model names.
        count: images of each label.
        seed: as for `Model.generate`.
        truncation: as for `Model.generate`.
        batch: most images that go through the network at once.
        overwrite: outputs that exist are replaced.

    Returns:
        The results, label by label.

    Raises:
        ModelError: the model translates images.
        UserError: a label is unknown or of no use, a number is out of range, outputs exist, or the folder cannot be
            written.
    """
    model.check_command("generate")
    check_draw(seed, truncation)
    if not 1 <= count <= MOST or batch < 1:
        raise UserError(f"count and batch are whole numbers from 1, and count is at most {MOST:,} at a time")
    folder, indices = output_folder(out), _label_indices(model, labels)
    names = file_names(model.labels)
    requests = [request for index in indices for request in _requests(model, index, names, folder, count, batch)]
    outputs = [output for request in requests for output in request.outputs]
    existing_outputs(outputs, wanted=None if overwrite else "--overwrite")
    make_writable(folder)
    results = (result for request in requests for result in _results(model, request, seed, truncation))
    return Results(results, len(outputs), [model.notes])


def file_names(labels: Sequence[str]) -> list[str]:
    """A beginning of file names for each label: one path component, not hidden, no two alike in any letter case.

    Labels that are such already are kept, unless another before them is. Each depends on all labels of the model, not
    on those that are asked for, so that a later call gives the same.
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
    composed = unicodedata.normalize("NFC", label)[:_LONGEST]  # some file systems take both forms for one
    text = "".join("_" if c in _UNSAFE or not c.isprintable() else c for c in composed)
    return "_" + text[1:] if text[:1] in ("", ".", "-") else text  # hidden, or taken for an option


def _label_indices(model: Model, labels: Sequence[str | int]) -> list[int | None]:
    """Numbers of the labels to draw, each once; a lone None for models without labels."""
    if labels:
        return list(dict.fromkeys(model.label_index(label) for label in labels))
    return list(range(len(model.labels))) if model.takes_label and model.labels else [model.label_index(None)]


def _requests(
    model: Model, index: int | None, names: Sequence[str], folder: Path, count: int, batch: int
) -> Iterator[_Request]:
    label, start = None, "image"
    if index is not None:
        label, start = (model.labels[index], names[index]) if names else (str(index), str(index))
    for first in range(0, count, batch):
        numbers = range(first, min(first + batch, count))
        places = (Path(f"{start}-{number:04d}.png") for number in numbers)
        outputs = [folder / with_format(place, model.channels[1], model.dtype) for place in places]
        yield _Request(index, label, numbers, outputs)


def _results(model: Model, request: _Request, seed: int, truncation: float | None) -> Iterator[Generated]:
    images = _images(model, request, request.numbers, seed, truncation)
    for number, output, (image, seconds) in zip(request.numbers, request.outputs, images, strict=True):
        if isinstance(image, UserError):
            reason = f"{printable(output)}: {image}"
            yield Generated(output, request.label, number, "failed", reason, seconds)
        else:
            yield _written(Generated(output, request.label, number, "written", "", seconds), image)


def _images(
    model: Model, request: _Request, numbers: Sequence[int], seed: int, truncation: float | None
) -> Iterator[tuple[np.ndarray | UserError, float]]:
    """Images with their seconds; a batch that fails, for instance for want of memory, is tried again one by one."""
    start = time.perf_counter()
    images: Iterable[np.ndarray | UserError]
    try:
        images = model.generate_batch(numbers, label=request.index, seed=seed, truncation=truncation)
    except UserError as error:
        if len(numbers) > 1:
            for number in numbers:
                yield from _images(model, request, [number], seed, truncation)
            return
        images = [error]
    share = (time.perf_counter() - start) / len(numbers)
    for image in images:
        yield image, share


def _written(result: Generated, image: np.ndarray) -> Generated:
    start, (height, width) = time.perf_counter(), image.shape[:2]
    try:
        write_image(result.output, image)
    except UserError as error:
        seconds = result.seconds + time.perf_counter() - start
        return replace(result, status="failed", reason=str(error), seconds=seconds)
    return replace(result, seconds=result.seconds + time.perf_counter() - start, width=width, height=height)
