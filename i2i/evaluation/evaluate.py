"""`i2i.evaluate`: figures of models on data, and of folders of images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.errors import DataError, UserError
from i2i.files import printable, user_path
from i2i.plugins import Plugins

if TYPE_CHECKING:
    from i2i.config import Settings
    from i2i.evaluation.results import Evaluated

MAX_RESAMPLES = 100_000
"""Resamples for intervals; more change nothing, and take hours."""

PathLike = str | os.PathLike[str]


def evaluate(
    *paths: PathLike,
    data: PathLike | None = None,
    split: str = "val",
    images: int | None = None,
    translator: str | None = None,
    sets: Settings = (),
    metrics: Sequence[str | Mapping[str, Any]] = (),
    features: str | Mapping[str, Any] | None = None,
    bootstrap: int = 1000,
    device: str = "cpu",
    cache: bool = True,
    plugins: Plugins | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Evaluated]:
    """Measures models on data, or a folder of images against another one; the Python form of ``i2i evaluate``.

    ``i2i.evaluate("runs/pix2pix-001", data="facades")``, ``i2i.evaluate("translated", "real", metrics=["fid"])``

    Args:
        paths: one model or several, each an ``.onnx`` file or a run folder; or two folders: the images that are
            measured, and real ones. Images of the same name are pairs, if all have a partner.
        data: for models, the folder of images, in any layout that training takes; None: that of the run's training.
        split: for models, ``val`` or ``train``. A folder without a validation split, other than that of the training,
            is measured as a whole.
        images: for models, the number of samples at most, the first ones by name; None: all.
        translator: which of a model's translators; None: all of them.
        sets: for models, options of the section ``data`` in place of those of the training: ``{"data.size": 512}``.
        metrics: names, or mappings with ``name`` and options; none: those that fit what is measured.
        features: the network through which metrics look that have an option `features`; None: what each metric says,
            and of the metrics that fit the best one that is here.
        bootstrap: resamples for the intervals of metrics of pairs, up to 100,000; 0: no intervals.
        device: where feature networks compute.
        cache: keep features of real images and of folders in the user's cache folder, by the images' content.
        plugins: where components are looked up; by default the installed plugins.
        progress: called with how many images are done, and how many there are.

    Returns:
        For each model and translator, or for the first folder, its figures.

    Raises:
        DataError: a folder has no images, images cannot be compared, or the data do not fit the model.
        ModelError: there is no model, or all metrics lack a network.
        PluginError: a metric is unknown or fails.
        UserError: an option or a path is wrong, or there is no such device.
    """
    if not 0 <= bootstrap <= MAX_RESAMPLES:
        raise UserError(f"the number of resamples is from 0 to {MAX_RESAMPLES}, not {bootstrap}")
    places = [user_path(path, "what is evaluated") for path in paths]
    of_models = {"data": data, "images": images, "translator": translator, "sets": sets or None}
    of_models |= {"split": None if split == "val" else split}
    several = _only_models(places, [name for name, value in of_models.items() if value is not None])
    known = plugins or Plugins()
    for metric in metrics:
        name = metric.get("name") if isinstance(metric, Mapping) else metric
        if isinstance(name, str):
            known.get("metric", name)

    from i2i.api import MetricContext  # heavy: only when there is something to measure
    from i2i.evaluation.choosing import Measuring, Wanted
    from i2i.evaluation.feature_cache import FeatureCache
    from i2i.evaluation.folders import evaluate_folders
    from i2i.evaluation.models import ModelOptions, evaluate_models
    from i2i.plugins.builder import Builder

    context = MetricContext(Builder(known, (0, 0)), _usable(device))
    show = progress or (lambda done, total: None)
    measuring = Measuring(Wanted(metrics, features), context, known, FeatureCache(enabled=cache), bootstrap, show)
    if not several:
        outputs, real = places
        return [evaluate_folders(outputs, real, measuring)]
    folder = None if data is None else user_path(data, "data")
    return evaluate_models(places, ModelOptions(folder, split, images, translator, sets), measuring)


def _only_models(places: Sequence[Path], asked: Sequence[str]) -> bool:
    """True for models, False for two folders of images.

    Args:
        places: what is evaluated.
        asked: options that were given and are for models.

    Raises:
        UserError: it is something else.
    """
    models = [is_model(place) for place in places]
    if all(models) and models:
        return True
    if any(models):
        other = printable(places[models.index(False)])
        raise UserError(f"{other} is a folder of images, and no model: name models alone, or two folders of images")
    if len(places) != 2:
        raise UserError("name a model or several, or two folders of images: those to measure, and real ones")
    if asked:
        raise UserError(f"{', '.join(asked)}: only for models, and {printable(places[0])} is a folder of images")
    return False


def _usable(device: str) -> str:
    """The device, if torch can compute on it.

    Raises:
        UserError: it cannot.
    """
    import torch

    if device not in ("cpu", "cuda"):
        raise UserError(f"the device is cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("the device is cuda, but torch finds no CUDA device here; see `i2i doctor`, or use cpu")
    return device


def is_model(path: Path) -> bool:
    """Whether a path is a model, a file or a run folder, and not a folder of images.

    Raises:
        DataError: there is nothing.
    """
    if path.is_dir():
        return (path / "config.yaml").is_file() or any(path.glob("model*.onnx"))
    if not path.exists():
        raise DataError("no such file or folder", path=printable(path))
    return True
