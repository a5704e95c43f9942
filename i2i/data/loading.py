"""From the data section to samples: opens the checked dataset and makes tensors of what it reads."""

from __future__ import annotations

import contextlib
import pickle
import random
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from i2i.config import DataConfig
from i2i.data.batches import SKIPPED, collate
from i2i.data.checks.check_dataset import Seen, survey
from i2i.data.detect import Wanted
from i2i.data.sample_checks import CheckedTransform, label_problem
from i2i.data.sources import NotingReader, open_dataset
from i2i.data.transforms import Pipeline
from i2i.errors import DataError, attributed_to
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i.plugins.discovery import import_file

__all__ = ["Data", "Samples", "open_data", "open_dataset"]


class Samples(Dataset):
    """The good samples of a split, each drawn with its own random numbers.

    Args:
        dataset: a dataset component's product.
        indices: which of its samples are used.
        seed: the run's seed.
        who: what messages call the dataset.
        files: plugins that were loaded from files, and may hold the dataset's class.
        reader: what the dataset reads its files with, if it lets others read them.
        known: what the check before training has said already.
        ahead: files that fit into the reader's memory together.
    """

    def __init__(
        self,
        dataset: Any,
        indices: Sequence[int],
        seed: int,
        who: str,
        files: Sequence[Path] = (),
        reader: NotingReader | None = None,
        known: frozenset[str] = frozenset(),
        ahead: Sequence[Path] = (),
    ) -> None:
        self.dataset, self.indices, self.seed, self.who, self.files = dataset, list(indices), seed, who, tuple(files)
        self.reader, self.known, self.ahead = reader or NotingReader(0), known, tuple(ahead)

    def __getstate__(self) -> dict[str, Any]:
        """The dataset as bytes, for a process in which its class is not there before the files are loaded."""
        both = pickle.dumps((self.dataset, self.reader))  # together, for the one holds the other
        return vars(self) | {"dataset": both, "reader": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for file in state["files"]:
            import_file(file)
        dataset, reader = pickle.loads(state["dataset"])  # noqa: S301  our own bytes
        self.__dict__.update(state | {"dataset": dataset, "reader": reader})

    def __len__(self) -> int:
        return len(self.indices)

    def read_ahead(self) -> None:
        """Decodes what fits into memory, for processes that are then forked and share it instead of each its own."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._read_one, self.ahead))

    def _read_one(self, path: Path) -> None:
        with contextlib.suppress(DataError):  # it will be named when it is its turn
            self.reader(path)

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        """The sample at (epoch, position); one that cannot be used is replaced by the next that can.

        What was wrong is in the sample, under `SKIPPED`.
        """
        epoch, position = place
        skipped: list[str] = []
        for offset in range(len(self.indices)):
            index = self.indices[(position + offset) % len(self.indices)]
            self.reader.failed.clear()
            try:
                with _seeded(self.seed, epoch, index), attributed_to(f"{self.who}, sample {index}"):
                    sample = self.dataset[index]
                if problem := label_problem(sample, getattr(self.dataset, "labels", ())):
                    raise DataError(f"{self.who}, sample {index}: {problem}")
            except DataError as error:
                skipped.append(str(error))
                continue
            mended = [line for line in self.reader.failed if line not in self.known]
            return sample | {SKIPPED: list(dict.fromkeys(skipped + mended))}
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
        warnings: a few lines about what was not left out, but may spoil the training.
    """

    train: Samples
    val: Samples
    value_type: str
    layout: str
    labels: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

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
    found = survey(config, plugins, Wanted(frozenset(needs), paired))
    if found.refusal:
        raise DataError(found.refusal)
    source, other = found.source, found.other
    build = Builder(plugins, (0, 0))
    augment = CheckedTransform(build.transform(config.transform), plugins.full_name("transform", config.transform.name))
    degrade = None
    if config.degrade:
        made = build.transform(config.degrade, scale=config.scale)
        degrade = CheckedTransform(made, plugins.full_name("transform", config.degrade.name))
    together = bool(getattr(found.dataset, "paired", True))
    channels = _channels(found.seen, config)
    images = [found.seen[key] for key in ("source", "target") if key in found.seen]
    for_train = source.dataset("train", Pipeline(config, channels, augment, degrade, together))
    for_val = other.dataset(found.val_split, Pipeline(config, channels, None, degrade, together))
    shared: dict[str, Any] = {"seed": seed, "files": plugins.files, "known": frozenset(found.problems)}
    return Data(
        train=Samples(for_train, found.train, who=source.who, reader=source.read, ahead=found.ahead, **shared),
        val=Samples(for_val, found.val, who=other.who, reader=other.read, **shared),
        value_type="uint8" if not images or images[0].dtype == "uint8" else "float32",
        layout=source.layout,
        labels=tuple(map(str, getattr(found.dataset, "labels", ()))),
        problems=found.problems,
        warnings=found.warnings,
    )


def _channels(seen: Mapping[str, Seen], config: DataConfig) -> dict[str, int]:
    """Channels by key: as configured, else 1 if every checked image is grey, else 3."""
    asked = {"source": config.source_channels, "target": config.target_channels}
    return {key: asked.get(key) or one.channels for key, one in seen.items() if one.dtype}


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
