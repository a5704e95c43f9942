"""From the data section to samples: opens the checked dataset and makes tensors of what it reads."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from i2i.api import Transform
from i2i.config import DataConfig, Size, height_and_width
from i2i.data.adapter import AdaptedDataset
from i2i.data.batches import SKIPPED, collate
from i2i.data.checks.check_dataset import CheckedSplit, check_dataset
from i2i.data.checks.value_ranges import ImageType, value_ranges
from i2i.data.detect import Requirements
from i2i.data.reading.bands import Bands
from i2i.data.reading.seeding import seeded
from i2i.data.sample_checks import CheckedTransform, label_problem
from i2i.data.transforms import SamplePipeline
from i2i.errors import DataError, ErrorKind, attributed_to
from i2i.files import printable
from i2i.images import ValueRange
from i2i.kinds import ValueKind
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i.plugins.discovery import import_file


class Samples(Dataset):
    """The usable samples of a split as tensors, each drawn with its own random numbers.

    Args:
        dataset: reads the raw samples.
        indices: which of its samples are used.
        pipeline: makes tensors of a raw sample.
        seed: the run's seed.
        known: lines about damaged files that the check before training has reported already.
        plugin_files: plugins that were loaded from files, and may define the classes of dataset and pipeline.
    """

    def __init__(
        self,
        dataset: AdaptedDataset,
        indices: Sequence[int],
        pipeline: SamplePipeline,
        seed: int,
        known: frozenset[str] = frozenset(),
        plugin_files: Sequence[Path] = (),
    ) -> None:
        self.dataset, self.indices, self.pipeline = dataset, list(indices), pipeline
        self.seed, self.known, self.plugin_files = seed, known, tuple(plugin_files)

    def __getstate__(self) -> dict[str, Any]:
        """Dataset and pipeline as bytes: another process must load the plugins' files before it knows their classes."""
        return vars(self) | {"dataset": pickle.dumps((self.dataset, self.pipeline)), "pipeline": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for file in state["plugin_files"]:
            import_file(file)
        dataset, pipeline = pickle.loads(state["dataset"])  # noqa: S301  our own bytes
        self.__dict__.update(state | {"dataset": dataset, "pipeline": pipeline})

    def __len__(self) -> int:
        return len(self.indices)

    def at_size(self, size: Size) -> Samples:
        """The same samples as crops of another size."""
        config, new = self.pipeline.config, height_and_width(size)
        if new == config.height_width:
            return self
        sides = zip(config.resized, new, config.height_width, strict=True)
        load_size = tuple(round(loaded * side / old) for loaded, side, old in sides) if config.load_size else None
        other = copy(self)
        other.pipeline = replace(self.pipeline, config=config.model_copy(update={"size": new, "load_size": load_size}))
        return other

    def preload(self) -> None:
        """Decodes the images that fit into memory, so that processes forked afterwards share them."""
        self.dataset.reader.preload()

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        """The sample at (draw, position), see `BatchOrder`; one that cannot be used is replaced by the next that can.

        The sample has lines about what was wrong under the key `SKIPPED`. They also name files that a dataset could not
        read and replaced by itself, as `Unpaired` does.
        """
        draw, position = place
        skipped: list[str] = []
        for offset in range(len(self.indices)):
            try:
                sample = self.read((position + offset) % len(self.indices), draw=draw)
            except DataError as error:
                skipped.append(str(error))
                continue
            return sample | {SKIPPED: list(dict.fromkeys(skipped + sample[SKIPPED]))}
        raise DataError(f"no image can be read any more; the last: {skipped[-1]}")

    def read(self, position: int, *, draw: int = 0) -> dict[str, Any]:
        """The sample at a position, and no other in its place; see `__getitem__`.

        Raises:
            DataError: it cannot be used.
        """
        index = self.indices[position]
        name = f"{self.dataset.full_name}, sample {index}"
        try:
            with self.dataset.reader.recording() as reads, seeded(self.seed, draw, index), attributed_to(name):
                sample = self.pipeline(self.dataset[index])
            if problem := label_problem(sample, self.dataset.labels):
                raise DataError(f"{name}: {problem}")
        except DataError as error:
            if error.kind in (ErrorKind.CHANNELS, ErrorKind.OUT_OF_RANGE) and not error.path and reads:
                raise DataError(f"{printable(reads[0].path)}: {error}", kind=error.kind) from error
            raise
        return sample | {SKIPPED: [read.problem for read in reads if read.problem and read.problem not in self.known]}


@dataclass
class Data:
    """The data of a training.

    Attributes:
        train: training samples, but those of weight 0.
        val: validation samples, resized or cropped at the centre; may be empty.
        values: types and ranges of the values of the images, by key.
        layout: name of the dataset component.
        types: what the training images have in common, by key, before they are cropped.
        bands: what is taken of the images under each key.
        kinds: what the images stand for, by key; those that are not there are pictures.
        classes: of each key of label maps, the highest number of a class that the check has seen, and its file.
        weights: how often each training sample is drawn, relative to the others; None: all equally often.
        problems: one line for each file that was left out.
        warnings: a few lines about what was not left out, but may spoil the training.
    """

    train: Samples
    val: Samples
    values: dict[str, ValueRange]
    layout: str
    types: Mapping[str, ImageType] = field(default_factory=dict)
    bands: Mapping[str, Bands] = field(default_factory=dict)
    kinds: dict[str, ValueKind] = field(default_factory=dict)
    classes: dict[str, tuple[int, str]] = field(default_factory=dict)
    weights: np.ndarray | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def value_type(self) -> str:
        """Type of the images of an exported model: ``uint8`` if all have 8 bits at full scale, else ``float32``."""
        plain = all(values == ValueRange("uint8") for values in self.values.values())
        return "uint8" if plain else "float32"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes; empty without."""
        return self.train.dataset.labels

    def sample(self) -> dict[str, Tensor]:
        """The first training sample as a batch of one."""
        batch = collate([self.train[0, 0]])
        batch.pop(SKIPPED)
        return batch


def open_data(config: DataConfig, plugins: Plugins, requirements: Requirements, *, seed: int) -> Data:
    """Finds and checks the data, and makes training samples of them.

    Args:
        config: the data section.
        plugins: where datasets and transforms are looked up.
        requirements: what the samples are for.
        seed: the run's seed.

    Raises:
        ConfigError: a range is set for images that the samples do not have.
        DataError: there is no such folder, no sample in it, a key that the recipe needs is missing, or more than half
            of the samples cannot be used.
        PluginError: the dataset breaks its contract, such as by a negative weight.
    """
    check = check_dataset(config, plugins, requirements)
    if check.refusal:
        raise DataError(check.refusal)
    types = check.train.image_types
    values = value_ranges(config, types)
    dataset = check.train.split.dataset
    dataset.reader.preloadable = check.train.facts.fitting(config.cache_mb)
    build, kinds = Builder(plugins, (0, 0)), check.kinds
    made = build.transform(config.transform, kinds=kinds)
    augment = CheckedTransform(made, plugins.full_name("transform", config.transform.name), kinds)
    degrade = None
    if config.degrade:
        made = build.transform(config.degrade, scale=config.scale)
        degrade = CheckedTransform(made, plugins.full_name("transform", config.degrade.name))
    known = frozenset(check.problems)

    def samples(checked: CheckedSplit, indices: Sequence[int], augment: Transform | None) -> Samples:
        pipeline = SamplePipeline(
            config, check.bands, augment, degrade, dataset.paired, values, kinds, requirements.kinds
        )
        return Samples(checked.split.dataset, indices, pipeline, seed, known, plugins.files)

    unused = f"{dataset.full_name}: its weights is no method weights(index): not used"
    indices = np.array(check.train.usable, int)
    if (weights := dataset.weights(check.train.usable)) is not None:
        indices, weights = indices[weights > 0], weights[weights > 0]  # none that replaces another one either
    return Data(
        train=samples(check.train, indices.tolist(), augment),
        val=samples(check.val, check.val.usable, None),
        values=values,
        layout=check.layout,
        types=types,
        bands=check.bands
        if "source" in check.bands or not degrade
        else check.bands | {"source": check.bands["target"]},
        kinds=kinds,
        classes=check.classes,
        weights=weights,
        problems=check.problems,
        warnings=[*check.warnings, *([unused] if dataset.unused_weights else [])],
    )
