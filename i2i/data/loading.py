"""From the data section to batches: opens and checks the dataset, and draws samples in a reproducible order.

Sample number n of a run is a function of the seed and n alone: the epoch's permutation is drawn from (seed, epoch) and
every random number of a sample from (seed, epoch, index). So neither the number of loader processes nor of training
processes changes what is seen, and a resumed run only has to know its step.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from i2i.config import DataConfig
from i2i.data.cache import CachedReader
from i2i.data.images import find_images
from i2i.data.paired import held_out
from i2i.data.transforms import Pipeline, is_image, swapped
from i2i.errors import DataError
from i2i.plugins import Plugins

SKIPPED = "_skipped"
"""Batch key under which the names of samples that had to be replaced travel to the main process."""


class Samples(Dataset):
    """The good samples of a split, each drawn with its own random numbers.

    Args:
        dataset: a dataset component's product.
        indices: which of its samples are used.
        seed: the run's seed.
    """

    def __init__(self, dataset: Any, indices: Sequence[int], seed: int) -> None:
        self.dataset, self.indices, self.seed = dataset, list(indices), seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        """The sample at (epoch, position); one that cannot be read is replaced by the next that can."""
        epoch, position = place
        skipped: list[str] = []
        for offset in range(len(self.indices)):
            index = self.indices[(position + offset) % len(self.indices)]
            try:
                with _seeded(self.seed, epoch, index):
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
        problems: one line for each file that was left out.
    """

    train: Samples
    val: Samples
    value_type: str
    layout: str
    problems: list[str] = field(default_factory=list)

    def sample(self) -> dict[str, Tensor]:
        """The first training sample as a batch of one."""
        batch = collate([self.train[0, 0]])
        batch.pop(SKIPPED)
        return batch


def open_data(config: DataConfig, plugins: Plugins, *, needs: Iterable[str], seed: int) -> Data:
    """Finds, checks and wraps the samples.

    Raises:
        DataError: there is no such folder, no sample in it, a key that the recipe needs is missing, or more than half
            of the samples cannot be used.
    """
    root = Path(config.root).expanduser() if config.root is not None else None
    if root is not None and not root.is_dir():
        raise DataError(f"{root}: {'not a folder' if root.exists() else 'no such folder'} (data.root)")
    layout = _layout(config, plugins, root)
    build = _builder(config, plugins, root, layout)
    raw = {split: build(split=split, transform=dict) for split in ("train", "val")}
    train, val = _split(raw["train"], raw["val"], config.val_fraction)
    where = root or layout
    if not train:
        raise DataError(f"{where}: no training samples found (data.layout is {layout})")
    train, problems, seen = _check(raw["train"], train, config, where)
    val_split = "val" if _has_splits(raw["val"]) else "train"
    bad = {i: problem for i, _, problem in _read(raw[val_split], val, config.check_files) if problem}
    val, problems = [index for index in val if index not in bad], [*problems, *bad.values()]
    _check_keys(seen, needs, where, layout)
    channels = _channels(seen, config)
    augment = plugins.get("transform", config.transform.name)
    transform = augment.build(augment.config(**config.transform.options))
    paired = bool(getattr(raw["train"], "paired", True))
    train_set = build(split="train", transform=Pipeline(config, channels, transform, paired))
    val_set = build(split=val_split, transform=Pipeline(config, channels, None, paired))
    return Data(
        train=Samples(train_set, train, seed),
        val=Samples(val_set, val, seed),
        value_type="uint8" if seen.get("source", Seen(np.uint8)).dtype == np.uint8 else "float32",
        layout=layout,
        problems=[*getattr(raw["train"], "problems", []), *problems],
    )


def _layout(config: DataConfig, plugins: Plugins, root: Path | None) -> str:
    if config.layout.name != "auto":
        if root is None and "root" in _required(plugins, config.layout.name):
            raise DataError(f"data.layout={config.layout.name} needs a folder: give --data DIR")
        return config.layout.name
    if root is None:
        return "facades"
    components = {name: givers[0][1] for name, givers in plugins.table("dataset").items()}
    fitting = [n for n, c in components.items() if (detect := getattr(c.build, "detect", None)) and detect(root)]
    if not fitting and not find_images(root):
        raise DataError(f"{root}: no images in it")
    if not fitting:
        able = ", ".join(name for name, component in components.items() if hasattr(component.build, "detect"))
        raise DataError(
            f"{root}: found no layout in it ({able}): set data.layout, or see `i2i plugins list` for layouts"
        )
    if len(fitting) > 1:
        raise DataError(f"{root}: could be {' or '.join(fitting)}: choose with --set data.layout={fitting[0]}")
    return fitting[0]


def _builder(config: DataConfig, plugins: Plugins, root: Path | None, layout: str) -> Callable[..., Any]:
    """Builds the dataset for a split and transform; both splits share one cache."""
    component = plugins.get("dataset", layout)
    options = component.config(**(config.layout.options if config.layout.name == layout else {}))
    build = partial(component.build, options, root=root)
    if "read" in inspect.signature(component.build).parameters:
        return partial(build, read=CachedReader(config.cache_mb))
    return build


def _required(plugins: Plugins, layout: str) -> set[str]:
    parameters = inspect.signature(plugins.get("dataset", layout).build).parameters.values()
    return {parameter.name for parameter in parameters if parameter.default is parameter.empty}


def _has_splits(dataset: Any) -> bool:
    return bool(getattr(dataset, "has_splits", True)) and len(dataset) > 0


def _split(train: Any, val: Any, fraction: float) -> tuple[list[int], list[int]]:
    if _has_splits(val):
        return list(range(len(train))), list(range(len(val)))
    key = getattr(train, "key", str)
    keep_out = held_out([key(index) for index in range(len(train))], fraction)
    return [index for index in range(len(train)) if index not in keep_out], sorted(keep_out)


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


def _read(dataset: Any, indices: list[int], limit: int) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Reads at most about `limit` samples, evenly spread: index, sample, and what is wrong with it."""

    def look(index: int) -> tuple[int, dict[str, Any], str]:
        try:
            return index, dataset[index], ""
        except DataError as error:
            return index, {}, str(error)

    stride = max(1, -(-len(indices) // max(1, limit)))
    with ThreadPoolExecutor() as pool:
        yield from pool.map(look, indices[::stride])


def _check(
    dataset: Any, indices: list[int], config: DataConfig, where: Any
) -> tuple[list[int], list[str], dict[str, Seen]]:
    """Leaves out training samples that cannot be read; also says what the good ones look like."""
    seen: dict[str, Seen] = {}
    bad: dict[int, str] = {}
    checked = len(getattr(dataset, "problems", []))
    alone = checked
    for index, sample, problem in _read(dataset, indices, config.check_files):
        checked += 1
        if problem:
            bad[index] = problem
        for key, value in swapped(sample, config.direction).items():
            seen.setdefault(key, Seen()).add(value)
    if (len(bad) + alone) * 2 > checked:
        first = next(iter(bad.values()), None) or dataset.problems[0]
        raise DataError(f"{where}: {len(bad) + alone} of {checked} samples cannot be used; the first: {first}")
    return [index for index in indices if index not in bad], list(bad.values()), seen


def _check_keys(seen: dict[str, Seen], needs: Iterable[str], where: Any, layout: str) -> None:
    missing = sorted(set(needs) - seen.keys())
    if missing:
        has = ", ".join(seen)
        raise DataError(f"{where}: the recipe needs {', '.join(missing)}, but layout {layout} gives {has}")


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


class Order:
    """Batches of sample places from any step on, for one of several processes; never ends.

    The epochs' permutations follow one another without a gap, so a batch may span two epochs and nothing is dropped.

    Args:
        length: number of samples.
        batch: samples in a batch over all processes.
        seed: the run's seed.
        start: number of the first batch.
        rank: this process.
        world: number of processes; divides `batch`.
    """

    def __init__(self, length: int, batch: int, seed: int, *, start: int = 0, rank: int = 0, world: int = 1) -> None:
        self.length, self.batch, self.seed, self.start = length, batch, seed, start
        self.rank, self.share = rank, batch // world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, permutation = -1, np.empty(0, int)
        number = self.start
        while True:
            first = number * self.batch + self.rank * self.share
            places = []
            for sample in range(first, first + self.share):
                if sample // self.length != epoch:
                    epoch = sample // self.length
                    permutation = np.random.default_rng((self.seed, epoch)).permutation(self.length)
                places.append((epoch, int(permutation[sample % self.length])))
            yield places
            number += 1


def batches(samples: Samples, order: Order, workers: int, *, pin_memory: bool = False) -> Iterator[dict[str, Any]]:
    """Batches in that order, read ahead by `workers` processes (0: in this one)."""
    loader = DataLoader(
        samples,
        batch_sampler=order,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_quiet_worker,
        persistent_workers=workers > 0,
    )
    return iter(loader)


def _quiet_worker(_: int) -> None:
    cv2.setNumThreads(0)  # the loader's processes are the parallelism
    torch.set_num_threads(1)


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stacks samples: images to ``(N, C, H, W)``, integers to ``(N,)``."""
    batch: dict[str, Any] = {SKIPPED: [line for sample in samples for line in sample.get(SKIPPED, ())]}
    for key in samples[0]:
        if key != SKIPPED:
            batch[key] = torch.stack([torch.as_tensor(sample[key]) for sample in samples])
    return batch


def to_device(batch: dict[str, Any], device: torch.device, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Moves a batch; uint8 images become `dtype` in [-1, 1] there, four times cheaper to move than floats."""
    moved = {key: value.to(device, non_blocking=True) for key, value in batch.items() if key != SKIPPED}
    return {key: _scaled(value, dtype) for key, value in moved.items()}


def _scaled(value: Tensor, dtype: torch.dtype) -> Tensor:
    if value.dtype == torch.uint8:
        return value.to(dtype) / 127.5 - 1 if value.ndim == 4 else value.long()
    return value.to(dtype) if value.is_floating_point() else value
