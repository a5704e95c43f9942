"""Checks the samples of one split, several at a time: their files, their values, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from threading import Event
from typing import Any

import numpy as np

from i2i.config import DataConfig
from i2i.data.checks.facts import Colour, digest, few_values, single_colour
from i2i.data.checks.facts_collector import FactsCollector
from i2i.data.checks.findings import DataFinding
from i2i.data.checks.value_ranges import range_problem
from i2i.data.reading.cores import usable_cores
from i2i.data.reading.reader import FileRead
from i2i.data.sample_checks import check_sample, label_problem
from i2i.data.source import Split
from i2i.data.transforms import is_image, swapped
from i2i.errors import DataError, ErrorKind, attributed_to
from i2i.files import printable
from i2i.images.values import extremes

_PART = 16
"""Samples that a thread takes at once: handing over each small image takes longer than decoding it."""
_AT_ONCE = 1000
"""Samples that wait for a thread."""


@dataclass(frozen=True, slots=True)
class CheckedValue:
    """One value of a sample, without its pixels.

    Attributes:
        file: name of the file that the value comes from; if no file is known, of the sample.
        shape: (height, width, channels) of an image; empty for other values.
        dtype: value type of an image; empty for other values.
        colour: colour of an image if all its pixels are equal; else None.
        label: the value itself if it is a whole number; else None.
        extremes: least and greatest value of an image, without alpha; None for other values.
        has_alpha: whether the last channel of an image is alpha.
        frames: frames or pages in the file.
        few: how many different values, or colours, an image has if these are as few as in label maps; else 0.
    """

    file: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    colour: Colour | None = None
    label: int | None = None
    extremes: tuple[float, float] | None = None
    has_alpha: bool = False
    frames: int = 1
    few: int = 0


@dataclass(slots=True)
class CheckedSample:
    """One sample that was checked.

    Attributes:
        index: index in the dataset.
        findings: what is wrong with it; a sample with findings is not used.
        values: its values by key, source and target exchanged if ``data.direction`` says so; empty if it is not used.
        pictures: digest and file of each image that it is made of.
    """

    index: int
    findings: list[DataFinding] = field(default_factory=list)
    values: dict[str, CheckedValue] = field(default_factory=dict)
    pictures: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class SampleChecker:
    """Checks samples of one split.

    Attributes:
        split: the samples.
        facts: about the files that the split's reader has read.
        config: the data section: which side is the source, and the ranges of values.
    """

    split: Split
    facts: FactsCollector
    config: DataConfig

    def check_all(self, indices: Sequence[int], progress: Callable[[], None]) -> Iterator[CheckedSample]:
        """Checks samples in order, in several threads if their files are read by our reader.

        Args:
            indices: indices of the samples in the dataset.
            progress: called after each sample.

        Raises:
            PluginError: the dataset breaks its contract, or fails otherwise than by a `DataError`.
        """
        if not self.split.source.layout.uses_reader:
            for index in indices:
                yield self.check(index)
                progress()
            return
        pool, stopped = ThreadPoolExecutor(usable_cores()), Event()

        def check_part(part: Sequence[int]) -> list[CheckedSample]:
            return [self.check(index) for index in part if not stopped.is_set()]

        try:
            for first in range(0, len(indices), _AT_ONCE):  # what waits takes memory too
                last = min(first + _AT_ONCE, len(indices))
                parts = [indices[start : min(start + _PART, last)] for start in range(first, last, _PART)]
                for sample in chain.from_iterable(pool.map(check_part, parts)):
                    yield sample
                    progress()
        finally:  # also after an interrupt: what has not begun is not waited for
            stopped.set()
            pool.shutdown(cancel_futures=True)

    def check(self, index: int) -> CheckedSample:
        """Checks one sample.

        Raises:
            PluginError: the dataset breaks its contract, or fails otherwise than by a `DataError`.
        """
        dataset = self.split.dataset
        name = f"{dataset.full_name}: sample {index}"
        with dataset.reader.recording() as reads:
            try:
                with attributed_to(name):
                    sample = dataset.look(index)
            except DataError as error:
                if error.kind is ErrorKind.OUT_OF_RANGE and not error.path:
                    file = printable(reads[0].path) if reads else name
                    error = DataError(error.reason, kind=error.kind, path=file)
                return CheckedSample(index, self._refused(index, error, reads, name))
            file = printable(reads[0].path) if reads else name
            if isinstance(sample, dict) and (problem := label_problem(sample, dataset.labels)):
                return CheckedSample(index, [DataFinding(file, "label", f"{file}: {problem}", self.split.name)])
            check_sample(name, sample, dataset.labels)
            in_order = swapped(sample, self.config.direction)
            values = {key: self._checked_value(value, reads, name) for key, value in in_order.items()}
            if findings := [found for key, value in values.items() for found in self._beyond_unit(key, value)]:
                return CheckedSample(index, findings)
            return CheckedSample(index, values=values, pictures=self._pictures(sample, reads, name))

    def _beyond_unit(self, key: str, value: CheckedValue) -> Iterator[DataFinding]:
        """The finding for an image of floats that no range is set for, and that lie beyond [0, 1]."""
        if value.extremes and (problem := range_problem(self.config, key, value.dtype, value.extremes)):
            error = DataError(problem, kind=ErrorKind.OUT_OF_RANGE, path=value.file)
            yield DataFinding.of_error(error, self.split.name)

    def _refused(self, index: int, error: DataError, reads: list[FileRead], name: str) -> list[DataFinding]:
        """Findings for a sample that cannot be used: one for each unreadable file, else one for the dataset's error."""
        dataset = self.split.dataset
        paths = [read.path for read in reads]
        for path in [path for path in dataset.sample_files(index) if path not in paths]:
            paths.append(path)
            try:
                dataset.reader(path)
            except DataError:
                continue
        damaged = {path: facts for path in paths if (facts := self.facts.facts.get(path)) and facts.problem}
        if damaged:
            errors = [DataError(facts.problem, kind=facts.kind, path=printable(p)) for p, facts in damaged.items()]
            return [DataFinding.of_error(one, self.split.name) for one in errors]
        return [DataFinding.of_error(error, self.split.name, file=str(paths[0]) if paths else name)]

    def _pictures(self, sample: Mapping[str, Any], reads: list[FileRead], name: str) -> list[tuple[str, str]]:
        if self.split.source.root is None:
            return []
        if reads:
            paths = [read.path for read in reads if read.pixels is not None]
            return [(self.facts.facts[path].digest, printable(path)) for path in paths]
        return [(digest(value), name) for value in sample.values() if is_image(value)]

    def _checked_value(self, value: Any, reads: list[FileRead], name: str) -> CheckedValue:
        file = printable(reads[0].path) if reads else name
        if is_image(value):
            own = next((r for r in reads if r.pixels is not None and np.may_share_memory(value, r.pixels)), None)
            has_alpha = own.has_alpha if own else value.shape[2] == 4
            return CheckedValue(
                printable(own.path) if own else file,
                value.shape,
                str(value.dtype),
                single_colour(value),
                extremes=extremes(value, has_alpha),
                has_alpha=has_alpha,
                frames=own.frames if own else 1,
                few=_few(value, own.pixels, self.facts.facts[own.path].few) if own else few_values(value),
            )
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return CheckedValue(file, label=int(value))
        return CheckedValue(file)


def _few(value: np.ndarray, whole: np.ndarray | None, few: tuple[int, int, int]) -> int:
    """`ImageFacts.few` of an image that is a file as a whole, or one half of it."""
    if whole is None or value.shape == whole.shape:
        return few[0]
    starts = value.__array_interface__["data"][0] == whole.__array_interface__["data"][0]
    return few[1 if starts else 2]
