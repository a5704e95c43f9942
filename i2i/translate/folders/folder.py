"""Translating folders, files and patterns: images of any size; an image that fails does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from i2i.errors import UserError, short_repr
from i2i.files import printable
from i2i.images import MAX_PIXELS
from i2i.images.pixels import AlphaRule
from i2i.interface import Number
from i2i.runtime.metadata import Metadata
from i2i.runtime.network import LoadedModel
from i2i.translate.folders.pipeline import FolderPipeline
from i2i.translate.folders.planning.inputs import PathLike
from i2i.translate.folders.planning.outputs import OutputPixels, output_place, refuse_existing
from i2i.translate.folders.planning.plan import (
    TABLE,
    ExistingRule,
    FolderPlan,
    FrameChoice,
    JoinedImages,
    existing_rule,
    plan_folder,
)
from i2i.translate.folders.settings import FolderSettings
from i2i.translate.folders.table import with_table
from i2i.translate.inputs import GivenInputs
from i2i.translate.results import Result, Results
from i2i.translate.tiles.tiling import Tiling

_MAX_WORKERS = 8


def translate_folder(
    model: LoadedModel,
    inputs: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    label: str | int | None = None,
    given: Mapping[str, Any] = MappingProxyType({}),
    seed: int | None = None,
    count: int = 1,
    batch: int = 1,
    tile: Literal["auto", "none"] | int = "auto",
    alpha: AlphaRule = "keep",
    frames: FrameChoice = "first",
    max_pixels: int = MAX_PIXELS,
    keep_metadata: bool = False,
    overwrite: bool = False,
    skip_existing: bool = False,
    workers: int | None = None,
) -> Results[Result]:
    """Translates files into a folder.

    Images and label maps become image files, vectors ``.npy`` files, numbers a row of ``results.csv``; where there are
    several files for an image, each output has a folder of its own, ``out/NAME``. A file has the name and the folder of
    its input, and its format where that can hold the result, else PNG, or TIFF for floats in units of their own. Values
    have the type and units of what the model was trained to give, or the input's type where sources and targets were of
    one type at full scale. Embedded profiles stay.

    All is checked before this returns; the work is done as results are taken. Each file appears whole or not at all.

    Args:
        model: as `i2i.load` gives it.
        inputs: files, folders (searched through, their structure is kept) and globs.
        out: folder of the outputs, outside of the input folders, made if missing; for one file also an image's name.
        label: the target of all of them, by name or number.
        given: the model's further inputs by name: files, folders of files with the images' names, numbers, texts; see
            `i2i.translate.inputs.GivenInputs`.
        seed: noise and vectors that are not given are drawn with it, from 0; None: they are the same for all images.
        count: results of each image, each with other noise; more than one takes a seed, 0 by default.
        batch: most images that go through the network together: those of equal size among so many neighbours, and no
            more than some 64 MB with their outputs.
        tile: side in pixels of the pieces that large images are translated in; ``auto``: as memory allows; ``none``:
            every image in one piece. See `i2i.translate.tiles.tiling`.
        alpha: what becomes of transparency. ``keep``: put on the output, unless the model takes alpha, after visible
            colours were spread to where it is 0; ``drop``: left out; ``white``, ``black``: put on that colour first.
        frames: of animations and files of several pages, the first or all, each as a file.
        max_pixels: larger images are refused.
        keep_metadata: EXIF, with the place it was taken at, is copied; its orientation has been applied.
        overwrite: outputs that exist are replaced.
        skip_existing: inputs whose output exists are left out.
        workers: threads, each of which decodes, translates and encodes images; None: one more than cores, at most 8.

    Returns:
        The results, in the order of the inputs.

    Raises:
        ModelError: the model takes no images.
        UserError: no input is found, outputs exist and neither flag is given, an output would fall on an input or into
            an input folder, the output folder cannot be written, an option is out of range, or the label does not fit
            the model.

    Example:
        >>> import i2i
        >>> from i2i.translate import translate_folder
        >>> results = translate_folder(i2i.load("model.onnx"), "photos", "translated")
        >>> [(result.status, result.output.name, result.width) for result in results]
        [('written', 'cat.png', 20), ('written', 'dog.jpg', 32)]
    """
    _check_choice("alpha", alpha, get_args(AlphaRule))
    _check_counts(batch, count, max_pixels, workers)
    model.network.check_command("translate")
    values = GivenInputs(model.network, given, 0 if seed is None and count > 1 else seed)
    existing = existing_rule(overwrite=overwrite, skip_existing=skip_existing)
    threads = workers or min(_MAX_WORKERS, (os.cpu_count() or 1) + 1)
    settings = FolderSettings(Path(), label, values, batch, alpha, max_pixels, keep_metadata, existing, threads)
    return _begin(model, _paths(inputs), out, settings, _variants(frames, count, model.network.info), tile)


def _begin(
    model: LoadedModel,
    items: Sequence[PathLike],
    out: PathLike,
    settings: FolderSettings,
    frames: FrameChoice | int,
    tile: Literal["auto", "none"] | int,
) -> Results[Result]:
    """Plans the outputs and begins to translate; the arguments and errors are those of `translate_folder`."""
    network, values = model.network, settings.inputs
    network.label_index(settings.label)
    if values.previous:
        if settings.existing == "skip":
            raise UserError("the model takes what it gave for the frame before: leave out --skip-existing")
        settings = replace(settings, batch=1, workers=1)  # one after the other
    tiling = Tiling(network.interruptible(), tile)
    plan = _plan(network.info, items, out, settings.existing, frames, settings.max_pixels)
    values.check_partners(image.key for image in plan.images if not image.refused)
    pipeline = FolderPipeline(network.interruptible(), tiling, replace(settings, out=plan.folder))
    results = pipeline.results(plan.images)
    if columns := [name for name, of in network.info.outputs.items() if isinstance(of, Number)]:
        results = with_table(results, plan.folder / TABLE, columns, keep=settings.existing == "skip")
    return Results(results, len(plan.images), [model.notes, plan.notes, tiling.notes])


def _plan(
    info: Metadata,
    items: Sequence[PathLike],
    out: PathLike,
    existing: ExistingRule,
    frames: FrameChoice | int,
    max_pixels: int,
) -> FolderPlan:
    """The plan for all outputs of a model that become files; see `plan_folder`.

    Raises:
        UserError: `plan_folder` says why, for one of the outputs, or the table of numbers is in the way.
    """
    options: dict[str, Any] = {"existing": existing, "frames": frames, "max_pixels": max_pixels}
    has_numbers = any(isinstance(of, Number) for of in info.outputs.values())
    if not info.files:
        return plan_folder(items, out, None, **options)
    place = output_place(out)
    if place.name and (has_numbers or len(info.files) > 1):
        reason = "is the name of an image, and the model gives more than one: give a folder after -o"
        raise UserError(reason, path=printable(out))
    if has_numbers and existing == "refuse":
        refuse_existing([place.folder / TABLE])
    if len(info.files) == 1:
        return plan_folder(items, out, OutputPixels.of_output(info, info.files[0]), **options)
    plans = [plan_folder(items, place.folder / n, OutputPixels.of_output(info, n), **options) for n in info.files]
    if len({len(plan.images) for plan in plans}) > 1:
        raise UserError("the inputs changed while they were listed: try again")
    return FolderPlan(place.folder, JoinedImages([plan.images for plan in plans]), plans[0].notes)


def _paths(inputs: Any) -> list[PathLike]:
    several = isinstance(inputs, Iterable) and not isinstance(inputs, str | bytes | os.PathLike)
    items = list(inputs) if several else [inputs]
    for item in items:
        if not isinstance(item, str | os.PathLike):
            what = f"{short_repr(item)} of type {type(item).__name__}"
            raise UserError(f"inputs are paths and patterns, not {what}; `Model.translate` takes images")
    return items


def _check_counts(batch: int, count: int, max_pixels: int, workers: int | None) -> None:
    if min(batch, count, max_pixels, 1 if workers is None else workers) < 1:
        raise UserError("batch, count, max_pixels and workers are whole numbers from 1")


def _check_choice(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UserError(f"{option} is one of {', '.join(known)}, not {value!r}")


def _variants(frames: FrameChoice, count: int, info: Metadata) -> FrameChoice | int:
    """Which frames, or how many results of each image.

    Raises:
        UserError: all frames, and several results or all as one image.
    """
    _check_choice("frames", frames, get_args(FrameChoice))
    if frames == "all" and count > 1:
        raise UserError("--frames all and --count exclude each other")
    if frames == "all" and info.pages == "stack":
        raise UserError("the model takes all pages of a file as one image: leave out --frames all")
    return count if count > 1 else frames
