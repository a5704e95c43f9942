"""Measures exported models on the samples of a data folder, as validation does while they are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from i2i.config import Settings, data_section, resolve
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.detect import Requirements
from i2i.data.loading import Data, Samples, open_data
from i2i.errors import DataError, ModelError, UserError
from i2i.evaluation.choosing import Measuring, chosen_metrics
from i2i.evaluation.exported import measurable
from i2i.evaluation.intervals import of_single_images
from i2i.evaluation.results import Evaluated
from i2i.evaluation.showing import embed_once
from i2i.files import printable
from i2i.loading import load
from i2i.metrics.measuring import Batch, SampleMetrics
from i2i.plugins import Plugins
from i2i.runs.folder import RunFolder
from i2i.runtime.metadata import Metadata
from i2i.runtime.training_samples import TrainingSamples
from i2i.translate.model import Model


@dataclass(frozen=True)
class ModelOptions:
    """What models are measured on.

    Attributes:
        data: the folder of images, in any layout that training takes; None: that of the run's training.
        split: ``val`` or ``train``; samples are not augmented. A folder that has no validation split, and is not the
            one that the model was trained on, is measured as a whole.
        images: number of samples at most, the first ones by name; None: all.
        translator: which of a model's translators; None: all of them.
        sets: options of the section ``data`` in place of those of the training, such as ``data.size=512``.
    """

    data: Path | None = None
    split: str = "val"
    images: int | None = None
    translator: str | None = None
    sets: Settings = ()

    def __post_init__(self) -> None:
        if self.split not in ("val", "train"):
            raise UserError(f"the split is val or train, not {self.split!r}")
        if self.images is not None and self.images < 1:
            raise UserError(f"the number of images is at least 1, not {self.images}")


def evaluate_models(paths: Sequence[Path], options: ModelOptions, measuring: Measuring) -> list[Evaluated]:
    """Measures each translator of each model.

    Args:
        paths: ONNX files and run folders.
        options: which samples.
        measuring: by which metrics.

    Raises:
        DataError: the data do not fit a model.
        ModelError: a model cannot be used, or does not say what its samples are.
        UserError: there is no data folder, or an option is wrong.
    """
    models = [(path, model) for path in paths for model in _models(path, options.translator)]
    plans = [_Plan.of(path, model, options, measuring) for path, model in models]
    total, found = sum(plan.count for plan in plans), []
    for place, plan in enumerate(plans):
        before = sum(earlier.count for earlier in plans[:place])
        found.append(plan.run(partial(_report, measuring.progress, before, total)))
    return found


def _report(progress: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _models(path: Path, translator: str | None) -> list[Model]:
    """The models that a path means: a file, or those in a run folder."""
    if path.is_file() or translator is not None:
        return [load(path, translator=translator, check=True)]
    files = [path / "model.onnx", *sorted(path.glob("model.*.onnx"))]
    found = [load(file, check=True) for file in files if file.is_file()]
    return found or [load(path, check=True)]  # which says what is missing


@dataclass(frozen=True)
class _Plan:
    """One model with its samples."""

    path: Path
    model: Model
    samples: TrainingSamples
    data: Data
    options: ModelOptions
    measuring: Measuring

    @classmethod
    def of(cls, path: Path, model: Model, options: ModelOptions, measuring: Measuring) -> _Plan:
        """Opens the data of a model.

        Raises:
            UserError: see `evaluate_models`.
        """
        said = model.info.samples
        if said is None:
            raise ModelError(
                "does not say how its samples are made, for an older i2i exported it: export its run again",
                path=printable(model.path),
            )
        return cls(path, model, said, _open(path, model.info, options, measuring.plugins), options, measuring)

    @property
    def count(self) -> int:
        """Number of samples that are measured."""
        return min(len(self._samples), self.options.images or len(self._samples))

    @property
    def _samples(self) -> Samples:
        """The samples of the split, without augmentation."""
        train, val = self.data.train, self.data.val
        if self.options.split == "val":
            return val
        return Samples(train.dataset, train.indices, val.pipeline, val.seed, val.known, val.plugin_files)

    def run(self, progress: Callable[[int], None]) -> Evaluated:
        """Measures the model.

        Args:
            progress: called with how many samples are done.
        """
        maker = measurable(self.model.network, self.samples)
        sample = next(self._batches(lambda done: None, []), None)
        if sample is None:
            raise DataError(f"no sample in the split {self.options.split}: name another --split or --data")
        pairs = maker.target is not None and maker.target in sample and maker.image is not None
        built, notes = chosen_metrics(
            self.measuring,
            pairs=pairs,
            sets=maker.real in sample and not maker.gives_label_map,
            scale=self.model.info.scale,
        )
        left_out: list[str] = []
        measurement = SampleMetrics(
            built,
            lambda: self._batches(progress, left_out),
            owner=f"the model {printable(self.model.path)}",
            classes=self.data.labels,
            embed=partial(embed_once, self.measuring.cache),
        )
        figures = measurement.figures({self.model.info.translator: maker}) or {}
        notes += [f"not measured: {name}" for name in built if name not in figures]
        names = [printable(self._samples.dataset.key(index)) for index in self._samples.indices[: self.count]]
        seen = {name: one for name, one in built.items() if name in figures}
        intervals, per_image = of_single_images(seen, self.count, self.measuring.resamples)
        translator = self.model.info.translator
        return Evaluated(
            printable(self.path),
            "" if translator == "default" else translator,
            figures,
            intervals,
            names,
            per_image,
            left_out,
            [*notes, *([self.measuring.cache.problem] if self.measuring.cache.problem else []), *self.model.notes],
        )

    def _batches(self, progress: Callable[[int], None], left_out: list[str]) -> Iterator[Batch]:
        """The samples as batches of one."""
        for index in range(self.count):
            batch = collate([self._samples[0, index]])
            left_out += [line for line in batch.pop(SKIPPED) if line not in left_out]
            progress(index + 1)
            yield to_device(batch, torch.device("cpu"))


def _open(path: Path, info: Metadata, options: ModelOptions, plugins: Plugins) -> Data:
    """Opens the data folder for a model.

    Raises:
        UserError: there is none, or it does not fit.
    """
    samples = info.samples
    assert samples is not None  # refused before
    config = data_section(plugins, samples.data, options.sets)
    trained = RunFolder(path if path.is_dir() else path.parent).config
    if options.data is not None:
        config = config.model_copy(update={"root": str(options.data), "val_root": str(options.data)})
    elif trained.is_file():
        own = resolve(plugins, config=trained).data
        config = config.model_copy(update={name: getattr(own, name) for name in ("root", "val_root", "layout")})
    else:
        raise UserError(f"{printable(path)}: name the images that it is measured on: --data FOLDER")
    channels = {}
    for key, count in ((samples.keys.get("image"), info.channels_in), (samples.real, info.channels_out)):
        if key in ("source", "target") and count and samples.kinds.get(key, "image") == "image" and not info.bands_of:
            channels[f"{key}_channels"] = count
    given = config.model_dump()
    config = config.model_copy(update={key: n for key, n in channels.items() if given[key] is None})
    requirements = Requirements(frozenset(samples.needs), samples.paired, samples.takes_labels, samples.kinds)
    return open_data(config, plugins, requirements, seed=0)
