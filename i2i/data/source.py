"""Where samples come from: a data folder, or code that draws them; and their splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from i2i.api import Config, Transform
from i2i.config import DataConfig
from i2i.data.adapter import AdaptedDataset, DatasetComponent, dataset_component
from i2i.data.detect import Requirements, find_layout
from i2i.data.layouts.splits import held_out
from i2i.data.reading.reader import DatasetReader
from i2i.data.sample_checks import swapped_keys
from i2i.errors import ConfigError, DataError, attributed_to
from i2i.files import control_hint, printable, user_path
from i2i.kinds import ValueKind
from i2i.plugins import Plugins
from i2i.plugins.builder import checked_options


@dataclass(frozen=True)
class DataSource:
    """A data folder, or a set of samples drawn by code, with the dataset component that reads it.

    Attributes:
        root: the folder; None for samples drawn by code.
        layout: the dataset component that builds the datasets of the splits.
        options: the component's options.
        reader: reads image files for all datasets that are built here.
        scale: how many times larger the target is than the source.
        size: height and width of the training crop of the target.
        kinds: what the images of its samples stand for, by key, where the user says so.
    """

    root: Path | None
    layout: DatasetComponent
    options: Config
    reader: DatasetReader
    scale: int = 1
    size: tuple[int, int] = field(default_factory=lambda: DataConfig().height_width)
    kinds: Mapping[str, ValueKind] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in messages: the folder, or the name of the dataset component."""
        return str(self.root or self.layout.name)

    def open(self, split: str, transform: Transform = dict) -> AdaptedDataset:
        """Builds the dataset of a split.

        Args:
            split: ``train`` or ``val``.
            transform: called by the dataset with each sample; by default a function that copies the dictionary.

        Raises:
            DataError: the folder is not as the layout needs it.
            PluginError: the dataset fails in another way.
        """
        offered = {"read": self.reader, "scale": self.scale, "size": self.size}
        extra = {keyword: value for keyword, value in offered.items() if self.layout.accepts(keyword)}
        with attributed_to(self.layout.full_name):
            built = self.layout.builder(self.options, root=self.root, split=split, transform=transform, **extra)
            dataset = AdaptedDataset(built, self.layout.full_name, self.reader)
            if split == "train" or dataset.has_splits:  # else the training samples serve, and these are not asked for
                len(dataset)
        dataset.kinds |= self.kinds
        self.reader.kinds = dataset.kinds
        return dataset


def data_source(
    plugins: Plugins,
    layout: str,
    root: Path | None,
    options: Mapping[str, Any],
    *,
    reader: DatasetReader | None = None,
    scale: int = 1,
) -> DataSource:
    """The `DataSource` of a folder, or of samples drawn by code, with the dataset component of that name.

    Args:
        plugins: where the component is looked up.
        layout: name of the component, as ``data.layout`` has it.
        root: the data folder; None for samples drawn by code.
        options: the component's options.
        reader: reads the image files; None: one that keeps nothing in memory.
        scale: how many times larger the target is than the source.

    Raises:
        ConfigError: an option is unknown or does not fit.
        PluginError: no plugin gives the component, or more than one does.
    """
    component = dataset_component(plugins, layout)
    checked = checked_options("dataset", component.component, dict(options))
    return DataSource(root, component, checked, reader or DatasetReader(0), scale)


def data_folder(config: DataConfig, key: str = "root") -> Path | None:
    """The data folder of a configuration; None for samples drawn by code.

    Args:
        config: the data section.
        key: option of the data section that names the folder: ``root`` or ``val_root``.

    Raises:
        DataError: there is no such folder.
        UserError: it is no path, or its home folder is not known.
    """
    folder = getattr(config, key)
    root = user_path(folder, f"data.{key}") if folder is not None else None
    if root is not None and not root.is_dir():
        what = "not a folder" if root.exists() else "no such folder"
        raise DataError(f"{what} (data.{key}){control_hint(root)}", path=printable(root))
    return root


def find_source(config: DataConfig, plugins: Plugins, requirements: Requirements, key: str = "root") -> DataSource:
    """The `DataSource` of a configuration: its data folder with the configured or detected layout.

    Args:
        config: the data section.
        plugins: where datasets are looked up.
        requirements: what the samples are for.
        key: option of the data section that names the folder: ``root`` or ``val_root``.

    Raises:
        ConfigError: options of a layout are given, but not which one.
        DataError: there is no such folder, or no layout fits it.
    """
    root = data_folder(config, key)
    layout = find_layout(config, plugins, root, requirements)
    options = config.layout.options if config.layout.name == layout else {}
    if config.layout.name == "auto" and config.layout.options:
        first = next(iter(config.layout.options))
        raise ConfigError(f"data.layout.{first} is an option of one layout: name it too, data.layout={layout}")
    any_range = bool(config.source_range or config.target_range)
    reader = DatasetReader(config.cache_mb, any_range=any_range, pages=config.pages, colors=config.colors)
    source = data_source(plugins, layout, root, options, reader=reader, scale=config.scale)
    return replace(source, size=config.height_width, kinds=swapped_keys(config.kinds, config.direction))


@dataclass(frozen=True)
class Split:
    """The training samples, or the validation samples.

    Attributes:
        name: ``train`` or ``val``.
        source: where the samples come from.
        dataset: gives the samples untransformed; both splits share it if validation samples are held out of training.
        indices: indices of the split's samples in the dataset.
    """

    name: str
    source: DataSource
    dataset: AdaptedDataset
    indices: list[int]

    def divided(self, usable: Sequence[int], fraction: float) -> tuple[Split, Split]:
        """Training samples without those held out for validation, and these.

        Args:
            usable: indices of the samples that may be held out.
            fraction: share of them that is.
        """
        places = held_out([self.dataset.key(index) for index in usable], fraction)
        out = {usable[place] for place in places}
        kept = [index for index in self.indices if index not in out]
        return replace(self, indices=kept), replace(self, name="val", indices=sorted(out))


def open_splits(source: DataSource, val_source: DataSource, val_fraction: float) -> tuple[Split, Split]:
    """Opens the training and the validation samples.

    Args:
        source: where training samples come from.
        val_source: where validation samples come from; may be the same object.
        val_fraction: share of the training samples that is held out if the data have no validation split.
    """
    train, val = source.open("train"), val_source.open("val")
    whole = Split("train", source, train, list(range(len(train))))
    if val_source is source and not val.has_splits:
        return whole.divided(whole.indices, val_fraction)
    if val_source is not source and not (val.has_splits and len(val)):
        val = val_source.open("train")
    return whole, Split("val", val_source, val, list(range(len(val))))
