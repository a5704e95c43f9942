"""Adapts datasets of plugins to one interface: members that a dataset lacks get the defaults of `i2i.Dataset`.

Only this module inspects the members of a dataset and the parameters of its builder.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.api import Component, Dataset
from i2i.data.reader import DatasetReader
from i2i.errors import DataError
from i2i.plugins import Plugins


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
    def gives(self) -> frozenset[str] | None:
        """Keys of its samples; None if the class does not say, empty if its attribute `gives` is no set of names."""
        keys = getattr(self.component.build, "gives", None)
        try:
            return None if keys is None else frozenset(map(str, keys))
        except TypeError:
            return frozenset()

    @property
    def paired(self) -> bool:
        """Whether source and target of its samples belong together."""
        return bool(getattr(self.component.build, "paired", True))

    @property
    def reads_folder(self) -> bool:
        """Whether it reads a data folder; otherwise its samples are drawn by code."""
        root = inspect.signature(self.component.build).parameters.get("root")
        return root is not None and root.default is root.empty

    @property
    def uses_reader(self) -> bool:
        """Whether it reads its files through a `DatasetReader`, so that several threads may read its samples."""
        return self.accepts("read")

    @property
    def detects(self) -> bool:
        """Whether its class has a method `detect` of its own."""
        return getattr(self.component.build, "detect", Dataset.detect) is not Dataset.detect

    def accepts(self, keyword: str) -> bool:
        """Whether its builder takes a keyword of that name."""
        return keyword in inspect.signature(self.component.build).parameters

    def fits(self, root: Path | None) -> bool:
        """Whether its `detect` accepts the folder; without a folder, whether it draws its samples by code."""
        if root is None:
            return not self.reads_folder
        try:
            return self.detects and bool(self.component.build.detect(root))  # type: ignore[attr-defined]
        except (Exception, SystemExit):  # other datasets must not suffer; signals and Ctrl-C end the command
            return False


def dataset_components(plugins: Plugins) -> dict[str, DatasetComponent]:
    """All dataset components by name; of several with one name the first, which is a built-in one if any is."""
    return {
        name: DatasetComponent(givers[0][1], plugins.full_name("dataset", name), givers[0][0].built_in)
        for name, givers in plugins.table("dataset").items()
    }


def dataset_component(plugins: Plugins, name: str) -> DatasetComponent:
    """The dataset component of that name.

    Raises:
        PluginError: no plugin gives it, or more than one does.
    """
    plugins.get("dataset", name)
    return dataset_components(plugins)[name]


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
        looks_complete: whether `look` shows all keys of a sample.
    """

    def __init__(self, dataset: Any, full_name: str, reader: DatasetReader) -> None:
        self._dataset = dataset
        self.full_name, self.reader = full_name, reader
        self.paired = bool(getattr(dataset, "paired", Dataset.paired))
        self.has_splits = bool(getattr(dataset, "has_splits", Dataset.has_splits))
        self.labels = tuple(map(str, getattr(dataset, "labels", Dataset.labels)))
        look = getattr(dataset, "look", None)
        self.looks_complete = look is None or getattr(look, "__func__", look) is Dataset.look

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        return self._dataset[index]

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

    def look(self, index: int) -> Any:
        """The sample as the check before training sees it, with nothing random."""
        return self._dataset[index] if self.looks_complete else self._dataset.look(index)

    def sample_files(self, index: int) -> Sequence[Path]:
        """Image files behind a sample; empty if not known, as of a class that is no `i2i.Dataset`."""
        return self._dataset.sample_files(index) if isinstance(self._dataset, Dataset) else ()


def _as_error(line: str) -> DataError:
    path, colon, reason = line.partition(": ")
    return DataError(reason, path=path) if colon else DataError(line)
