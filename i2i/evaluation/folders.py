"""Measures a folder of images against another one: as pairs where the names are the same, and as two sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from i2i.config.changes import first_few
from i2i.errors import DataError, UserError, attributed_to
from i2i.evaluation.choosing import Comparable, Measuring, chosen_metrics
from i2i.evaluation.images import EvaluatedImage, read_ahead, read_file
from i2i.evaluation.intervals import of_single_images
from i2i.evaluation.results import Evaluated
from i2i.evaluation.showing import SetsShown, Side
from i2i.files import printable
from i2i.images import find_images
from i2i.metrics.building import BuiltMetric
from i2i.metrics.figures import figure_of
from i2i.metrics.showing import kind_of, problem_of, takes_labels

AT_ONCE = 64
"""Images that go to the metrics together, so that those of one size share batches."""

T = TypeVar("T")


@dataclass(frozen=True)
class Folders:
    """Two folders of images that are compared.

    Attributes:
        name: the first folder, as it was given.
        outputs: the images in it.
        real: the images in the other one.
        pairs: of each output the real image of the same name; empty where the names differ.
        unpaired: why there are no pairs, on one line; empty where there are.
    """

    name: str
    outputs: Sequence[Path]
    real: Sequence[Path]
    pairs: Sequence[tuple[Path, Path]]
    unpaired: str = ""


def find_folders(outputs: Path, real: Path) -> Folders:
    """Lists the images of two folders.

    Raises:
        DataError: one is no folder, cannot be read, or has no image.
    """
    files, partners = _listed(outputs), _listed(real)
    by_name = {_name(file, real): file for file in partners}
    names = [_name(file, outputs) for file in files]
    unpaired = ""
    if len(files) != len(partners):
        unpaired = f"{printable(outputs)} has {len(files)} images and {printable(real)} has {len(partners)}"
    elif len(by_name) < len(partners) or len(set(names)) < len(names):
        unpaired = "some images of a folder differ in their endings alone"
    elif alone := [name for name in names if name not in by_name]:
        unpaired = f"{printable(real)} has no image {printable(alone[0])}, which {printable(outputs)} has"
    pairs = [] if unpaired else [(file, by_name[name]) for name, file in zip(names, files, strict=True)]
    return Folders(printable(outputs), files, partners, pairs, unpaired)


def evaluate_folders(outputs: Path, real: Path, measuring: Measuring) -> Evaluated:
    """Measures a folder of images against another one.

    Args:
        outputs: the images to measure.
        real: real images.
        measuring: by which metrics.

    Raises:
        DataError: a folder has no images; a metric of pairs is asked for, and there are none or two of different sizes.
        ModelError: all metrics lack a network.
        PluginError: a metric is unknown or fails.
    """
    folders = find_folders(outputs, real)
    built, missing = chosen_metrics(measuring, Comparable(pairs=not folders.unpaired, sets=True))
    found = FolderEvaluation(folders, built, measuring).run()
    return replace(found, notes=[*missing, *found.notes])


def _listed(folder: Path) -> list[Path]:
    found = find_images(folder)
    if not found:
        raise DataError("no image in it", path=printable(folder))
    return found


def _name(file: Path, folder: Path) -> str:
    """The name by which an image is found in another folder, without its ending."""
    return file.relative_to(folder).with_suffix("").as_posix()


class FolderEvaluation:
    """An evaluation of two folders; it runs once.

    Args:
        folders: what is compared.
        metrics: by the names of their figures.
        measuring: keeps features, and is told of progress.
    """

    def __init__(self, folders: Folders, metrics: Mapping[str, BuiltMetric], measuring: Measuring) -> None:
        self.folders, self.metrics, self.measuring = folders, metrics, measuring
        self.left_out: list[str] = []
        self.names: list[str] = []  # of the pairs that were compared
        self.pairs = {name: one for name, one in metrics.items() if kind_of(one.metric) == "pair"}

    def run(self) -> Evaluated:
        """Measures all.

        Raises:
            DataError: a metric of pairs is asked for, and there are none or two of different sizes; no image is left,
                or too few for all metrics.
            PluginError: a metric fails.
            UserError: a metric asks for images of a class.
        """
        if self.pairs and self.folders.unpaired:
            names = ", ".join(self.pairs)
            raise DataError(f"{names}: only pairs of images can be compared, and {self.folders.unpaired}")
        if labelled := [name for name, one in self.metrics.items() if takes_labels(one.metric)]:
            raise UserError(f"{', '.join(labelled)}: only models that take labels can be measured, and not folders")
        for one in self.metrics.values():
            with attributed_to(one.owner):
                one.metric.reset()
        sets = SetsShown(self.metrics, self.measuring.cache)
        if self.pairs:
            self._show_pairs(sets)
        else:
            self._show_sets(sets)
        return self._result()

    def _show_pairs(self, sets: SetsShown) -> None:
        def read(both: tuple[Path, Path]) -> tuple[EvaluatedImage, EvaluatedImage]:
            output, real = (read_file(path, lambda digest: True) for path in both)
            return output, real

        found = self._usable(read_ahead(read, self.folders.pairs), len(self.folders.pairs))
        for part in _parts(found):
            for output, real in part:
                self._show_pair(output, real)
            sets.show("fake", [output for output, _ in part])
            sets.show("real", [real for _, real in part])

    @torch.inference_mode()
    def _show_pair(self, output: EvaluatedImage, real: EvaluatedImage) -> None:
        shown, wanted = output.load(), real.load()
        if {shown.shape[1], wanted.shape[1]} == {1, 3}:
            shown, wanted = (one.expand(-1, 3, -1, -1) for one in (shown, wanted))
        if shown.shape != wanted.shape:
            sizes = [f"{one.shape[3]}x{one.shape[2]} pixels of {one.shape[1]} channels" for one in (shown, wanted)]
            problem = f"{sizes[0]}, and {real.name} has {sizes[1]}: pairs have one size; sets, as of fid, need not"
            raise DataError(problem, path=output.name)
        try:
            for one in self.pairs.values():
                with attributed_to(one.owner):
                    one.metric.update(shown, wanted)
        except DataError as error:
            raise DataError(error.reason, kind=error.kind, path=output.name) from error
        self.names.append(output.name)

    def _show_sets(self, sets: SetsShown) -> None:
        compares = any(kind_of(one.metric) == "distribution" for one in self.metrics.values())
        sides: list[tuple[Side, Sequence[Path]]] = [("fake", self.folders.outputs)]
        sides += [("real", self.folders.real)] if compares else []
        total, before = sum(len(files) for _, files in sides), 0
        for side, files in sides:
            read = partial(read_file, needs_pixels=partial(sets.needs_pixels, side=side))
            for part in _parts(self._usable(read_ahead(read, files), total, before)):
                sets.show(side, part)
            before += len(files)

    def _usable(self, results: Iterable[T | DataError], total: int, before: int = 0) -> Iterator[T]:
        """What could be read; the reasons of the others are kept."""
        usable = 0
        for done, result in enumerate(results, start=before + 1):
            self.measuring.progress(done, total)
            if isinstance(result, DataError):
                self.left_out.append(str(result))
                continue
            usable += 1
            yield result
        if not usable:
            raise DataError(f"none of the images can be read; the last: {self.left_out[-1]}")

    def _result(self) -> Evaluated:
        figures = {name: figure_of(one) for name, one in self.metrics.items()}
        problems = {name: problem for name, one in self.metrics.items() if (problem := problem_of(one.metric))}
        if len(problems) == len(figures):
            raise DataError(first_few([*dict.fromkeys(problems.values()), *self.left_out]))
        notes = [self.measuring.cache.problem] if self.measuring.cache.problem else []
        notes += [f"not measured: {name}: {problem}" for name, problem in problems.items()]
        intervals, per_image = of_single_images(self.pairs, len(self.names), self.measuring.resamples)
        return Evaluated(self.folders.name, "", figures, intervals, self.names, per_image, self.left_out, notes)


def _parts(images: Iterable[T]) -> Iterator[list[T]]:
    """Lists of `AT_ONCE` images."""
    images = iter(images)
    while part := list(islice(images, AT_ONCE)):
        yield part
