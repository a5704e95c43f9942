"""Looking at the samples of a dataset, several at a time: what each is made of, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from i2i.data.checks.facts import Colour, Facts, FactsReader, Record, colour_of, digest_of
from i2i.data.checks.findings import Finding
from i2i.data.sample_checks import check_sample, label_problem
from i2i.data.sources import Source
from i2i.data.transforms import is_image, swapped
from i2i.errors import DataError, attributed_to
from i2i.files import printable


@dataclass(frozen=True)
class Value:
    """One value of a sample, without its pixels.

    Attributes:
        file: where it comes from, as messages name it.
        shape: (height, width, channels) of an image, else empty.
        dtype: of an image.
        colour: of all pixels, if they have but one.
        label: a whole number, if it is one.
    """

    file: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    colour: Colour | None = None
    label: int | None = None


@dataclass
class Look:
    """One sample that was looked at.

    Attributes:
        index: in the dataset.
        findings: what is wrong with it; a sample with any is not used.
        values: by key, source and target as the direction has them; empty if it is not used.
        pictures: digest and file of each image it is made of.
    """

    index: int
    findings: list[Finding] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    pictures: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Looker:
    """Looks at samples of one dataset.

    Attributes:
        source: where the dataset comes from.
        dataset: its samples; transforms nothing.
        reader: reads its files, if it lets others read them.
        split: ``train`` or ``val``, for the findings.
        direction: see ``data.direction``.
    """

    source: Source
    dataset: Any
    reader: FactsReader
    split: str
    direction: str

    def looks(self, indices: Sequence[int], seen: Callable[[], None]) -> Iterator[Look]:
        """Looks at those samples, in order; `seen` is called after each.

        Raises:
            PluginError: the dataset breaks its contract, or fails otherwise than by a `DataError`.
        """
        if not self.source.together:
            for index in indices:
                yield self.look(index)
                seen()
            return
        pool = ThreadPoolExecutor()
        try:
            for one in pool.map(self.look, indices):
                yield one
                seen()
        finally:  # also after an interrupt: what has not begun is not waited for
            pool.shutdown(cancel_futures=True)

    def look(self, index: int) -> Look:
        """Looks at one sample."""
        who = f"{self.source.who}: sample {index}"
        labels = tuple(getattr(self.dataset, "labels", ()))
        with self.reader.recording() as record:
            try:
                with attributed_to(who):
                    sample = getattr(self.dataset, "look", self.dataset.__getitem__)(index)
            except DataError as error:
                return Look(index, self._refused(index, str(error), record))
            if isinstance(sample, dict) and (problem := label_problem(sample, labels)):
                file = printable(record.paths[0]) if record.files else who
                return Look(index, [Finding(file, "label", f"{file}: {problem}", self.split)])
            check_sample(who, sample, labels)
            values = {key: _value(value, record, who) for key, value in swapped(sample, self.direction).items()}
            return Look(index, values=values, pictures=self._pictures(sample, record, who))

    def _refused(self, index: int, line: str, record: Record) -> list[Finding]:
        """Why a sample cannot be used: files of it that cannot be read, all of them, or else what the dataset says."""
        paths = record.paths
        behind = self.dataset.files(index) if self.source.ours and hasattr(self.dataset, "files") else []
        for path in [path for path in behind if path not in paths]:
            paths.append(path)
            try:
                self.reader(path)
            except DataError:
                continue
        bad = [(path, facts) for path in paths if (facts := self.reader.facts.get(path)) and facts.problem]
        found = [
            Finding(printable(path), kind_of(facts), f"{printable(path)}: {facts.problem}", self.split)
            for path, facts in bad
        ]
        if found:
            return found
        file = str(paths[0]) if paths else f"{self.source.who}: sample {index}"
        # our layouts refuse what they could read only if its sizes do not fit
        return [Finding(file, "size" if self.source.ours else "unusable", line, self.split)]

    def _pictures(self, sample: dict[str, Any], record: Record, who: str) -> list[tuple[str, str]]:
        if self.source.root is None:
            return []
        if record.files:
            read = [path for path, pixels in record.files if pixels is not None]
            return [(self.reader.facts[path].digest, printable(path)) for path in read]
        return [(digest_of(value), who) for value in sample.values() if is_image(value)]


def kind_of(facts: Facts) -> str:
    """The kind of finding that a file is which cannot be read."""
    if "cut off" in facts.problem or "truncated" in facts.problem or facts.problem == "the file is empty":
        return "truncated"
    return "channels" if "channels" in facts.problem or "array of shape" in facts.problem else "unreadable"


def _value(value: Any, record: Record, who: str) -> Value:
    if is_image(value):
        path = record.path_of(value)
        return Value(printable(path) if path else who, value.shape, str(value.dtype), colour_of(value))
    file = printable(record.paths[0]) if record.files else who
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return Value(file, label=int(value))
    return Value(file)
