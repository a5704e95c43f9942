"""Adapts datasets of plugins to one interface: members that a dataset lacks get the defaults of `i2i.Dataset`.

Only this module inspects the members of a dataset and the parameters of its builder.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from i2i.api import Component, Dataset
from i2i.data.reading.cache import color_advice
from i2i.data.reading.reader import DatasetReader
from i2i.errors import DataError, FileError, PluginError, attributed_to, plugin_failures, short_repr
from i2i.extras import MissingExtraError
from i2i.images import numbers_of_colors
from i2i.kinds import ValueKind
from i2i.plugins import Plugins
from i2i.plugins.builder import imported_builder
from i2i.plugins.discovery import Plugin


@dataclass(frozen=True)
class DatasetComponent:
    """A dataset component, with what is known about its datasets before one is built.

    Attributes:
        component: the component that the plugin's hook returned.
        full_name: its name in messages, with plugin and distribution.
        built_in: whether it comes with i2i.
    """

    component: Component
    full_name: str
    built_in: bool

    @property
    def name(self) -> str:
        """The name under which ``data.layout`` chooses it."""
        return self.component.name

    @property
    def builder(self) -> Callable[..., Any]:
        """The class or function that builds its datasets.

        Raises:
            PluginError: it cannot be imported.
        """
        return imported_builder(self.component, self.full_name)

    @property
    def importable(self) -> bool:
        """Whether the class or function that builds its datasets can be imported."""
        try:
            return bool(self.builder)
        except (PluginError, MissingExtraError):
            return False

    @property
    def gives(self) -> frozenset[str] | None:
        """Keys of its samples; None if the class does not say, empty if its attribute `gives` is no set of names."""
        keys = getattr(self.builder, "gives", None)
        try:
            return None if keys is None else frozenset(map(str, keys))
        except TypeError:
            return frozenset()

    @property
    def paired(self) -> bool:
        """Whether source and target of its samples belong together."""
        return bool(getattr(self.builder, "paired", True))

    @property
    def reads_folder(self) -> bool:
        """Whether it reads a data folder; otherwise its samples are drawn by code."""
        root = inspect.signature(self.builder).parameters.get("root")
        return root is not None and root.default is root.empty

    @property
    def uses_reader(self) -> bool:
        """Whether it reads its files through a `DatasetReader`, so that several threads may read its samples."""
        return self.accepts("read")

    @property
    def detects(self) -> bool:
        """Whether its class has a method `detect` of its own."""
        return getattr(self.builder, "detect", Dataset.detect) is not Dataset.detect

    def accepts(self, keyword: str) -> bool:
        """Whether its builder takes a keyword of that name."""
        return keyword in inspect.signature(self.builder).parameters

    def fits(self, root: Path | None) -> bool:
        """Whether its `detect` accepts the folder; without a folder, whether it draws its samples by code."""
        if root is None:
            return not self.reads_folder
        try:
            return self.detects and bool(self.builder.detect(root))  # type: ignore[attr-defined]
        except plugin_failures():  # other datasets must not suffer; signals and Ctrl-C end the command
            return False


def dataset_components(plugins: Plugins) -> dict[str, DatasetComponent]:
    """The dataset components that can be imported, by name; of several with one name the first, a built-in one if any.

    One that cannot be imported is left out, for other datasets must not suffer.
    """
    found = [_adapted(plugins, name, givers[0]) for name, givers in plugins.table("dataset").items()]
    return {component.name: component for component in found if component.importable}


def dataset_component(plugins: Plugins, name: str) -> DatasetComponent:
    """The dataset component of that name.

    Raises:
        PluginError: no plugin gives it, or more than one does, or it cannot be imported.
    """
    plugins.get("dataset", name)
    component = _adapted(plugins, name, plugins.table("dataset")[name][0])
    _ = component.builder
    return component


def _adapted(plugins: Plugins, name: str, giver: tuple[Plugin, Component]) -> DatasetComponent:
    plugin, component = giver
    return DatasetComponent(component, plugins.full_name("dataset", name), plugin.built_in)


class AdaptedDataset:
    """The dataset of one split, with all members of `i2i.Dataset` even if its own class lacks some.

    Args:
        dataset: the object that the component's builder returned.
        full_name: the component's name in messages.
        reader: reads its files, if its builder takes a reader.

    Attributes:
        full_name: the component's name in messages.
        reader: reads its files, if its builder takes a reader.
        paired: whether source and target of a sample belong together.
        has_splits: whether the data have validation samples of their own.
        labels: names of the classes that labels number; empty without classes.
        kinds: what its images stand for, by key; those that are not there are pictures.
        looks_complete: whether `look` shows all keys of a sample.
    """

    def __init__(self, dataset: Any, full_name: str, reader: DatasetReader) -> None:
        self._dataset = dataset
        self.full_name, self.reader = full_name, reader
        self.paired = bool(getattr(dataset, "paired", Dataset.paired))
        self.has_splits = bool(getattr(dataset, "has_splits", Dataset.has_splits))
        self.labels = tuple(map(str, getattr(dataset, "labels", Dataset.labels)))
        self.kinds: dict[str, ValueKind] = _checked_kinds(getattr(dataset, "kinds", Dataset.kinds))
        look = getattr(dataset, "look", None)
        self.looks_complete = look is None or getattr(look, "__func__", look) is Dataset.look

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        return self._numbered(self._dataset[index])

    @property
    def problems(self) -> list[DataError]:
        """Files that are left out; of a problem given as text, the part before the first colon is the file's name."""
        return [
            problem if isinstance(problem, DataError) else _as_error(str(problem))
            for problem in getattr(self._dataset, "problems", Dataset.problems)
        ]

    def key(self, index: int) -> str:
        """A text by whose hash a sample is held out for validation."""
        return getattr(self._dataset, "key", str)(index)

    @property
    def unused_weights(self) -> bool:
        """Whether it has something else under the name ``weights`` than a method of an index."""
        if (weigh := getattr(self._dataset, "weights", None)) is not None:
            try:
                inspect.signature(weigh).bind(0)
            except (TypeError, ValueError):
                return True
        return False

    def weights(self, indices: Sequence[int]) -> np.ndarray | None:
        """How often each of these samples is drawn, relative to the others; None where all are drawn equally often.

        Raises:
            PluginError: a weight is no finite number from 0, or all are 0.
        """
        weigh = getattr(self._dataset, "weights", None)
        if weigh is None or getattr(weigh, "__func__", weigh) is Dataset.weights or self.unused_weights:
            return None
        found = np.empty(len(indices))
        for place, index in enumerate(indices):
            name = f"{self.full_name}: weights({index})"
            with attributed_to(name):
                given = weigh(index)
            found[place] = _real(given)
            if not 0 <= found[place] < math.inf:
                raise PluginError(f"{name} must be a finite number from 0, not {short_repr(given)}")
        if not found.any():
            raise PluginError(f"{self.full_name}: weights is 0 for every training sample: none could be drawn")
        return found if (found != found[0]).any() else None

    def look(self, index: int) -> Any:
        """The sample as the check before training sees it, with nothing random."""
        return self._numbered(self._dataset[index] if self.looks_complete else self._dataset.look(index))

    def _numbered(self, sample: Any) -> Any:
        """The sample with the classes that the colours of its label maps stand for, where these are known.

        An array of one channel has numbers already, of the reader or of the dataset itself; but what was read as a
        picture, such as one half of a file, has greys.

        Raises:
            DataError: a colour stands for none.
        """
        colors, maps = self.reader.colors, {}
        if colors is None or not isinstance(sample, Mapping):
            return sample
        for key in [key for key, kind in self.kinds.items() if kind == "labels" and key in sample]:
            value = sample[key]
            if not isinstance(value, np.ndarray) or value.ndim != 3:
                continue
            of_file = self.reader.format_of(value)
            if value.shape[2] > 1 or of_file is not None:
                try:
                    maps[key] = numbers_of_colors(value, colors, color_advice(value), format=of_file or "")
                except FileError as error:
                    raise DataError(str(error), kind=error.kind) from error
        return {**sample, **maps} if maps else sample

    def sample_files(self, index: int) -> Sequence[Path]:
        """Image files behind a sample; empty if not known, as of a class that is no `i2i.Dataset`."""
        return self._dataset.sample_files(index) if isinstance(self._dataset, Dataset) else ()


def _checked_kinds(kinds: Any) -> dict[str, ValueKind]:
    """The kinds that a dataset gives.

    Raises:
        PluginError: they are no dictionary of known kinds.
    """
    known = get_args(ValueKind)
    if not isinstance(kinds, Mapping) or not all(kind in known for kind in kinds.values()):
        raise PluginError(f"kinds must be a dictionary from key to {', '.join(known)}, not {short_repr(kinds)}")
    return dict(kinds)


def _real(value: Any) -> float:
    """A real number as a float; nan for anything else, and where it is too large."""
    with suppress(OverflowError, TypeError):  # a span of time is an integer to NumPy
        if isinstance(value, int | float | np.integer | np.floating):
            return float(value)
    return math.nan


def _as_error(line: str) -> DataError:
    path, colon, reason = line.partition(": ")
    return DataError(reason, path=path) if colon else DataError(line)
