"""A folder, or drawings, with the dataset component that reads it, and how its samples are split."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from i2i.config import DataConfig
from i2i.data.cache import CachedReader
from i2i.data.detect import Wanted, find_layout
from i2i.data.layouts.common import Reader, held_out
from i2i.errors import ConfigError, DataError, attributed_to
from i2i.plugins import Plugins


class NotingReader:
    """Reads image files through the memory cache and notes which of them failed.

    So a sample that its dataset could mend by another image, as unpaired ones are, still tells what was wrong.

    Args:
        limit_mb: memory for decoded pixels, in MiB.

    Attributes:
        failed: one line for each failure since it was last cleared.
    """

    def __init__(self, limit_mb: int) -> None:
        self._read = CachedReader(limit_mb)
        self.failed: list[str] = []

    def __call__(self, path: Path) -> np.ndarray:
        """Pixels as `CachedReader` gives them; raises as it does."""
        try:
            return self._read(path)
        except DataError as error:
            self.failed.append(str(error))
            raise


@dataclass
class Source:
    """A folder, or drawings, with the layout that reads it.

    Attributes:
        name: what messages call it.
        root: the folder; None for drawings.
        layout: name of the dataset component.
        who: what messages call the dataset component.
        ours: whether the component is a built-in one.
        together: whether samples may be read by several threads at once: where our reader opens the files.
        read: the reader that all its datasets share.
        make: builds the dataset of a split, called as ``(split, transform, read)``.
    """

    name: str
    root: Path | None
    layout: str
    who: str
    ours: bool
    together: bool
    read: NotingReader
    make: Callable[..., Any]

    @classmethod
    def open(cls, config: DataConfig, plugins: Plugins, wanted: Wanted, folder: str | None, key: str) -> Source:
        """Finds the layout of a folder.

        Args:
            config: the data section.
            plugins: where datasets are looked up.
            wanted: what the samples are for.
            folder: the data folder; None for drawings.
            key: the option that names the folder, for messages.

        Raises:
            ConfigError: options of a layout are given, but not which one.
            DataError: there is no such folder, or no layout fits it.
        """
        root = Path(folder).expanduser() if folder is not None else None
        if root is not None and not root.is_dir():
            raise DataError(f"{root}: {'not a folder' if root.exists() else 'no such folder'} ({key})")
        layout = find_layout(config, plugins, root, wanted)
        component = plugins.get("dataset", layout)
        options = config.layout.options if config.layout.name == layout else {}
        if config.layout.name == "auto" and config.layout.options:
            first = next(iter(config.layout.options))
            raise ConfigError(f"data.layout.{first} is an option of one layout: name it too, data.layout={layout}")
        read = NotingReader(config.cache_mb)
        return cls(
            name=str(root or layout),
            root=root,
            layout=layout,
            who=plugins.full_name("dataset", layout),
            ours=plugins.table("dataset")[layout][0][0].built_in,
            together="read" in inspect.signature(component.build).parameters,
            read=read,
            make=_maker(plugins, layout, root, options, read, config.scale),
        )

    def dataset(self, split: str, transform: Callable[..., Any], read: Reader | None = None) -> Any:
        """The dataset of a split; `read` in place of the shared reader.

        Raises:
            DataError: the folder is not as the layout needs it.
            PluginError: the dataset fails in another way.
        """
        with attributed_to(self.who):
            dataset = self.make(split, transform, read or self.read)
            len(dataset)
        return dataset


def open_dataset(
    plugins: Plugins, name: str, root: Path | None, options: Mapping[str, Any], *, cache_mb: int = 0, scale: int = 1
) -> Callable[[str, Callable[..., Any]], Any]:
    """Makes a dataset of a split, called as ``(split, transform)``; all splits share one cache.

    Args:
        plugins: where the dataset is looked up.
        name: of the dataset component.
        root: the data folder; None for drawings.
        options: the component's own.
        cache_mb: memory for decoded images, in MiB.
        scale: how many times larger the target is than the source.
    """
    read = CachedReader(cache_mb)
    make = _maker(plugins, name, root, options, read, scale)
    return lambda split, transform: make(split, transform, read)


def _maker(
    plugins: Plugins, name: str, root: Path | None, options: Mapping[str, Any], read: Reader, scale: int
) -> Callable[..., Any]:
    component = plugins.get("dataset", name)
    config = component.config(**options)
    wanted = inspect.signature(component.build).parameters

    def make(split: str, transform: Callable[..., Any], read: Reader = read) -> Any:
        offered = {"read": read, "scale": scale}
        extra = {key: value for key, value in offered.items() if key in wanted}
        return component.build(config, root=root, split=split, transform=transform, **extra)

    return make


def split_samples(
    source: Source, other: Source, fraction: float, read: Reader, read_other: Reader
) -> tuple[Any, Any, list[int], list[int], str]:
    """The raw datasets of both sides and which samples of them are used.

    Args:
        source: where training samples come from.
        other: where validation samples come from; often the same.
        fraction: share held out of training if there is nothing else to validate on.
        read: reader of `source` for these datasets.
        read_other: reader of `other`.

    Returns:
        Training and validation dataset, the indices into each, and the split that validation reads.
    """
    train, val = source.dataset("train", dict, read), other.dataset("val", dict, read_other)
    if getattr(val, "has_splits", True) and len(val) > 0:
        return train, val, list(range(len(train))), list(range(len(val))), "val"
    if other is not source:
        val = other.dataset("train", dict, read_other)
        return train, val, list(range(len(train))), list(range(len(val))), "train"
    key = getattr(train, "key", str)
    keep_out = held_out([key(index) for index in range(len(train))], fraction)
    return train, train, [index for index in range(len(train)) if index not in keep_out], sorted(keep_out), "train"
