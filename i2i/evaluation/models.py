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
from i2i.evaluation.choosing import Comparable, Measuring, chosen_metrics, grouped
from i2i.evaluation.exported import measurable
from i2i.evaluation.intervals import of_single_images
from i2i.evaluation.results import Evaluated
from i2i.evaluation.showing import embed_once
from i2i.files import printable, user_path
from i2i.loading import load
from i2i.metrics.measuring import Batch, Measurable, SampleMetrics
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
        left_out = list(self.data.problems)
        sample = next(self._batches(lambda done: None, [], left_out), None)
        if sample is None:
            reason = f"; the last: {left_out[-1]}" if left_out else ""
            raise DataError(f"no sample in the split {self.options.split}: name another --split or --data{reason}")
        if not self.model.info.generates and maker.image not in sample:
            raise DataError(f"{printable(self.model.path)}: takes {maker.image!r} of a sample, and the data have none")
        built, notes = chosen_metrics(self.measuring, _comparable(maker, sample), scale=self.model.info.scale)
        names: list[str] = []
        measurement = SampleMetrics(
            built,
            lambda: self._batches(progress, names, left_out),
            owner=f"the model {printable(self.model.path)}",
            classes=self.data.labels,
            embed=partial(embed_once, self.measuring.cache),
        )
        figures = measurement.figures({self.model.info.translator: maker}) or {}
        reasons = {name: "there is nothing to compare with" for name in built if name not in figures}
        reasons |= {name: figure.problem for name, figure in figures.items() if figure.problem}
        if built.keys() <= reasons.keys():
            raise DataError(f"{printable(self.model.path)}: nothing could be measured: {grouped(reasons)[0]}")
        notes += [f"not measured: {line}" for line in grouped(reasons)]
        seen = {name: one for name, one in built.items() if name in figures}
        intervals, per_image = of_single_images(seen, len(names), self.measuring.resamples)
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

    def _batches(self, progress: Callable[[int], None], names: list[str], left_out: list[str]) -> Iterator[Batch]:
        """The samples that can be used, as batches of one.

        Args:
            progress: called with how many samples are done.
            names: gets the name of each of these samples.
            left_out: gets a line about each file that cannot be used.
        """
        samples = self._samples
        for position in range(self.count):
            progress(position + 1)
            try:
                batch = collate([samples.read(position)])
            except DataError as error:
                found = [str(error)]
            else:
                found = batch.pop(SKIPPED)
                names.append(printable(samples.dataset.key(samples.indices[position])))
                yield to_device(batch, torch.device("cpu"))
            left_out += [line for line in found if line not in left_out]


def _comparable(maker: Measurable, sample: Batch) -> Comparable:
    """What there is to compare the outputs of a model with, in samples like this one; networks see colours or grey."""
    real = sample.get(maker.real)
    return Comparable(
        pairs=maker.target is not None and maker.target in sample and maker.image is not None,
        sets=not maker.gives_label_map and real is not None and real.ndim == 4 and real.shape[1] in (1, 3),
        label_maps=maker.gives_label_map,
    )


def _open(path: Path, info: Metadata, options: ModelOptions, plugins: Plugins) -> Data:
    """Opens the data folder for a model.

    Raises:
        UserError: there is none, or it does not fit.
    """
    samples = info.samples
    assert samples is not None  # refused before
    trained = RunFolder(path if path.is_dir() else path.parent).config
    own = resolve(plugins, config=trained).data if trained.is_file() else None
    if own is not None and (options.data is None or _is_same_folder(own.root, options.data)):
        folders = own.model_dump(mode="json", include={"root", "val_root", "layout"})
    elif options.data is not None:
        folders = {"root": str(options.data), "val_root": str(options.data)}
    else:
        raise UserError(f"{printable(path)}: name the images that it is measured on: --data FOLDER")
    config = data_section(plugins, {**samples.data, **folders}, options.sets)
    channels = {}
    for key, count in ((samples.keys.get("image"), info.channels_in), (samples.real, info.channels_out)):
        if key in ("source", "target") and count and samples.kinds.get(key, "image") == "image" and not info.bands_of:
            channels[f"{key}_channels"] = count
    given = config.model_dump()
    config = config.model_copy(update={key: n for key, n in channels.items() if given[key] is None})
    requirements = Requirements(frozenset(samples.needs), samples.paired, samples.takes_labels, samples.kinds)
    return open_data(config, plugins, requirements, seed=0)


def _is_same_folder(root: str | None, folder: Path) -> bool:
    """Whether a folder is that of the training, whose training images are then not measured with the others."""
    return root is not None and user_path(root, "data.root").resolve() == folder.resolve()
