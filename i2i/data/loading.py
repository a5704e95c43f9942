"""From the data section to samples: opens and checks the dataset, and splits it."""

from __future__ import annotations

import inspect
import pickle
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from i2i.builder import Builder
from i2i.config import DataConfig
from i2i.data.batches import SKIPPED, collate
from i2i.data.cache import CachedReader
from i2i.data.contract import CheckedTransform, check_sample
from i2i.data.detect import Wanted, find_layout
from i2i.data.layouts import held_out
from i2i.data.transforms import Pipeline, is_image, swapped
from i2i.discovery import import_file
from i2i.errors import ConfigError, DataError, blaming
from i2i.plugins import Plugins


class Samples(Dataset):
    """The good samples of a split, each drawn with its own random numbers.

    Args:
        dataset: a dataset component's product.
        indices: which of its samples are used.
        seed: the run's seed.
        who: what messages call the dataset.
        files: plugins that were loaded from files, and may hold the dataset's class.
    """

    def __init__(self, dataset: Any, indices: Sequence[int], seed: int, who: str, files: Sequence[Path] = ()) -> None:
        self.dataset, self.indices, self.seed, self.who, self.files = dataset, list(indices), seed, who, tuple(files)

    def __getstate__(self) -> dict[str, Any]:
        """The dataset as bytes, for a process in which its class is not there before the files are loaded."""
        return vars(self) | {"dataset": pickle.dumps(self.dataset)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for file in state["files"]:
            import_file(file)
        self.__dict__.update(state | {"dataset": pickle.loads(state["dataset"])})  # noqa: S301  our own bytes

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        """The sample at (epoch, position); one that cannot be read is replaced by the next that can."""
        epoch, position = place
        skipped: list[str] = []
        for offset in range(len(self.indices)):
            index = self.indices[(position + offset) % len(self.indices)]
            try:
                with _seeded(self.seed, epoch, index), blaming(f"{self.who}, sample {index}"):
                    return self.dataset[index] | {SKIPPED: skipped}
            except DataError as error:
                skipped.append(str(error))
        raise DataError(f"no image can be read any more; the last: {skipped[-1]}")


@dataclass
class Data:
    """An opened data folder.

    Attributes:
        train: training samples.
        val: validation samples, resized or cropped at the centre; may be empty.
        value_type: ``uint8`` when the source images have 8 bits, else ``float32``.
        layout: name of the dataset component.
        labels: names of the classes; empty without.
        problems: one line for each file that was left out.
    """

    train: Samples
    val: Samples
    value_type: str
    layout: str
    labels: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    def sample(self) -> dict[str, Tensor]:
        """The first training sample as a batch of one."""
        batch = collate([self.train[0, 0]])
        batch.pop(SKIPPED)
        return batch


def open_data(
    config: DataConfig, plugins: Plugins, *, needs: Iterable[str], seed: int, paired: bool | None = None
) -> Data:
    """Finds, checks and wraps the samples.

    Args:
        config: the data section.
        plugins: where datasets and transforms are looked up.
        needs: keys that samples must have.
        seed: the run's seed.
        paired: see `i2i.Recipe.paired`.

    Raises:
        DataError: there is no such folder, no sample in it, a key that the recipe needs is missing, or more than half
            of the samples cannot be used.
    """
    wanted = Wanted(frozenset(needs), paired)
    source = _Source.open(config, plugins, wanted, config.root, "data.root")
    raw = source.dataset("train", dict)
    other = _Source.open(config, plugins, wanted, config.val_root, "data.val_root") if config.val_root else source
    val_split, train, val = _split(source, other, config.val_fraction)
    if not train:
        why = "".join(f"; {problem}" for problem in getattr(raw, "problems", [])[:1])
        raise DataError(f"{source.name}: no training samples found (data.layout is {source.layout}){why}")
    if paired and not getattr(raw, "paired", True):
        raise DataError(f"{source.name}: the recipe needs pairs, and layout {source.layout} gives none")
    train, problems, seen = _check(raw, train, config, source)
    raw_val = other.dataset(val_split, dict)
    bad = {i: text for i, _, text in _read(raw_val, val, other) if text}
    _check_keys(seen, wanted.keys, config, source)
    _check_labels(raw, raw_val, source, other)
    build = Builder(plugins, (0, 0))
    augment = CheckedTransform(build.transform(config.transform), plugins.owner("transform", config.transform.name))
    degrade = None
    if config.degrade:
        made = build.transform(config.degrade, scale=config.scale)
        degrade = CheckedTransform(made, plugins.owner("transform", config.degrade.name))
    together = bool(getattr(raw, "paired", True))
    channels = _channels(seen, config)
    images = [seen[key] for key in ("source", "target") if key in seen]
    for_train = source.dataset("train", Pipeline(config, channels, augment, degrade, together))
    for_val = other.dataset(val_split, Pipeline(config, channels, None, degrade, together))
    return Data(
        train=Samples(for_train, train, seed, source.who, plugins.files),
        val=Samples(for_val, [index for index in val if index not in bad], seed, other.who, plugins.files),
        value_type="uint8" if not images or images[0].dtype == np.uint8 else "float32",
        layout=source.layout,
        labels=tuple(map(str, getattr(raw, "labels", ()))),
        problems=[
            *sorted({*getattr(raw, "problems", []), *getattr(raw_val, "problems", [])}),
            *problems,
            *bad.values(),
        ],
    )


@dataclass
class _Source:
    """A folder, or drawings, with the layout that reads it.

    Attributes:
        name: what messages call it.
        layout: name of the dataset component.
        who: what messages call the dataset component.
        checked: how many samples are looked at before training; a few tell what drawings are like.
        together: whether samples may be read by several threads at once: where our reader opens the files.
        build: builds the dataset of a split, all splits sharing one cache.
    """

    name: str
    layout: str
    who: str
    checked: int
    together: bool
    build: Callable[..., Any]

    @classmethod
    def open(cls, config: DataConfig, plugins: Plugins, wanted: Wanted, folder: str | None, key: str) -> _Source:
        root = Path(folder).expanduser() if folder is not None else None
        if root is not None and not root.is_dir():
            raise DataError(f"{root}: {'not a folder' if root.exists() else 'no such folder'} ({key})")
        layout = find_layout(config, plugins, root, wanted)
        component = plugins.get("dataset", layout)
        options = config.layout.options if config.layout.name == layout else {}
        if config.layout.name == "auto" and config.layout.options:
            first = next(iter(config.layout.options))
            raise ConfigError(f"data.layout.{first} is an option of one layout: name it too, data.layout={layout}")
        build = open_dataset(plugins, layout, root, options, cache_mb=config.cache_mb, scale=config.scale)
        return cls(
            name=str(root or layout),
            layout=layout,
            who=plugins.owner("dataset", layout),
            checked=config.check_files if root else 8,
            together="read" in inspect.signature(component.build).parameters,
            build=build,
        )

    def dataset(self, split: str, transform: Callable[..., Any]) -> Any:
        with blaming(self.who):
            dataset = self.build(split, transform)
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
    component = plugins.get("dataset", name)
    config = component.config(**options)
    wanted = inspect.signature(component.build).parameters
    offered = {"read": CachedReader(cache_mb), "scale": scale}
    extra = {key: value for key, value in offered.items() if key in wanted}
    return lambda split, transform: component.build(config, root=root, split=split, transform=transform, **extra)


def _split(source: _Source, other: _Source, fraction: float) -> tuple[str, list[int], list[int]]:
    """The split that validation reads, and the indices of both sides: held out of training if nothing else is there."""
    train, val = source.dataset("train", dict), other.dataset("val", dict)
    if getattr(val, "has_splits", True) and len(val) > 0:
        return "val", list(range(len(train))), list(range(len(val)))
    if other is not source:
        return "train", list(range(len(train))), list(range(len(other.dataset("train", dict))))
    key = getattr(train, "key", str)
    keep_out = held_out([key(index) for index in range(len(train))], fraction)
    return "train", [index for index in range(len(train)) if index not in keep_out], sorted(keep_out)


@dataclass
class Seen:
    """What the checked samples have under one key: the widest type and the most channels; no type if no image."""

    dtype: Any = None
    channels: int = 1

    def add(self, value: Any) -> None:
        """Takes one more sample's value in."""
        if is_image(value):
            self.dtype = value.dtype if self.dtype in (None, np.uint8) else self.dtype
            self.channels = max(self.channels, min(value.shape[2], 3))


def _read(dataset: Any, indices: list[int], source: _Source) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Reads at most about as many samples as are to be checked, evenly spread: index, sample, what is wrong with it."""
    read = getattr(dataset, "look", dataset.__getitem__)
    labels = tuple(getattr(dataset, "labels", ()))

    def look(index: int) -> tuple[int, dict[str, Any], str]:
        who = f"{source.who}: sample {index}"
        try:
            with blaming(who):
                sample = read(index)
        except DataError as error:
            return index, {}, str(error)
        check_sample(who, sample, labels)
        return index, sample, ""

    stride = max(1, -(-len(indices) // max(1, source.checked)))
    if not source.together:
        yield from map(look, indices[::stride])
        return
    with ThreadPoolExecutor() as pool:
        yield from pool.map(look, indices[::stride])


def _check(
    dataset: Any, indices: list[int], config: DataConfig, source: _Source
) -> tuple[list[int], list[str], dict[str, Seen]]:
    """Leaves out training samples that cannot be read; also says what the good ones look like."""
    seen: dict[str, Seen] = {}
    bad: dict[int, str] = {}
    checked = len(getattr(dataset, "problems", []))
    alone = checked
    keys: list[str] = []
    for index, sample, problem in _read(dataset, indices, source):
        checked += 1
        if problem:
            bad[index] = problem
        else:
            check_sample(f"{source.who}: sample {index}", sample, keys=keys)
            keys = [] if hasattr(dataset, "look") else list(sample)  # a look may show less than a sample has
        for key, value in swapped(sample, config.direction).items():
            seen.setdefault(key, Seen()).add(value)
    if (len(bad) + alone) * 2 > checked:
        first = next(iter(bad.values()), None) or dataset.problems[0]
        raise DataError(f"{source.name}: {len(bad) + alone} of {checked} samples cannot be used; the first: {first}")
    return [index for index in indices if index not in bad], list(bad.values()), seen


def _check_keys(seen: dict[str, Seen], needs: frozenset[str], config: DataConfig, source: _Source) -> None:
    missing = sorted(needs - seen.keys() - ({"source"} if config.degrade else set()))
    if missing:
        raise DataError(
            f"{source.name}: the recipe needs {', '.join(missing)}, but {source.who} gives {', '.join(seen)}"
        )


def _check_labels(train: Any, val: Any, source: _Source, other: _Source) -> None:
    labels = [tuple(map(str, getattr(dataset, "labels", ()))) for dataset in (train, val)]
    if labels[0] != labels[1]:
        here, there = (", ".join(names) for names in labels)
        raise DataError(f"{other.name}: its classes ({there}) must be those of {source.name} ({here})")


def _channels(seen: dict[str, Seen], config: DataConfig) -> dict[str, int]:
    """Channels by key: as configured, else 1 if every checked image is grey, else 3."""
    asked = {"source": config.source_channels, "target": config.target_channels}
    return {key: asked.get(key) or one.channels for key, one in seen.items() if one.dtype is not None}


class _seeded:  # noqa: N801  a context manager, used like a function
    """Seeds python, numpy and torch from the parts, and puts their states back afterwards."""

    def __init__(self, *parts: int) -> None:
        self.seed = int(np.random.SeedSequence(parts).generate_state(1)[0])

    def __enter__(self) -> None:
        self.states = random.getstate(), np.random.get_state(), torch.get_rng_state()
        random.seed(self.seed)
        np.random.seed(self.seed)
        torch.random.default_generator.manual_seed(self.seed)

    def __exit__(self, *exception: object) -> None:
        random.setstate(self.states[0])
        np.random.set_state(self.states[1])
        torch.set_rng_state(self.states[2])
