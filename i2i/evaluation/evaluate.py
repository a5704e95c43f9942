"""`i2i.evaluate`: figures of models on data, and of folders of images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.errors import DataError, UserError
from i2i.files import printable, user_path

if TYPE_CHECKING:
    from i2i.evaluation.results import Evaluated
    from i2i.plugins import Plugins

PathLike = str | os.PathLike[str]


def evaluate(
    *paths: PathLike,
    metrics: Sequence[str | Mapping[str, Any]] = (),
    features: str | Mapping[str, Any] | None = None,
    bootstrap: int = 1000,
    device: str = "cpu",
    cache: bool = True,
    plugins: Plugins | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **of_models: Any,
) -> list[Evaluated]:
    """Measures models on data, or a folder of images against another one; the Python form of ``i2i evaluate``.

    ``i2i.evaluate("runs/pix2pix-001", data="facades")``, ``i2i.evaluate("translated", "real", metrics=["fid"])``

    Args:
        paths: one model or several, each an ``.onnx`` file or a run folder; or two folders: the images that are
            measured, and real ones. Images of the same name are pairs, if all have a partner.
        metrics: names, or mappings with ``name`` and options; none: those that fit what is measured.
        features: the network through which metrics look that have an option `features`; None: what each metric says,
            and of the metrics that fit the best one that is here.
        bootstrap: resamples for the intervals of metrics of pairs; 0: no intervals.
        device: where feature networks compute.
        cache: keep features of real images and of folders in the user's cache folder, by the images' content.
        plugins: where components are looked up; by default the installed plugins.
        progress: called with how many images are done, and how many there are.
        of_models: see `i2i.evaluation.models.ModelOptions`: `data`, `split`, `translator`, `sets` and so on.

    Returns:
        For each model and translator, or for the first folder, its figures.

    Raises:
        DataError: a folder has no images, images cannot be compared, or the data do not fit the model.
        ModelError: there is no model, or all metrics lack a network.
        PluginError: a metric is unknown or fails.
        UserError: an option or a path is wrong, or there is no such device.
    """
    from i2i.api import MetricContext
    from i2i.evaluation.choosing import Wanted, chosen_metrics
    from i2i.evaluation.feature_cache import FeatureCache
    from i2i.evaluation.folders import FolderEvaluation, find_folders
    from i2i.plugins import Plugins
    from i2i.plugins.builder import Builder

    places = [user_path(path, "what is evaluated") for path in paths]
    models = [is_model(place) for place in places]
    plugins = plugins or Plugins()
    wanted, kept = Wanted(metrics, features), FeatureCache(enabled=cache)
    context = MetricContext(Builder(plugins, (0, 0)), _usable(device))
    if not any(models):
        if len(places) != 2:
            raise UserError("name a model or several, or two folders of images: those to measure, and real ones")
        if of_models:
            raise UserError(
                f"{', '.join(of_models)}: only for models, and {printable(places[0])} is a folder of images"
            )
        folders = find_folders(*places)
        built, missing = chosen_metrics(wanted, plugins, context, pairs=not folders.unpaired, sets=True)
        found = FolderEvaluation(folders, built, kept, resamples=bootstrap, progress=progress).run()
        return [replace(found, notes=[*missing, *found.notes])]
    if not all(models):
        other = printable(places[models.index(False)])
        raise UserError(f"{other} is a folder of images, and no model: name models alone, or two folders of images")
    from i2i.evaluation.models import Measuring, ModelOptions, evaluate_models

    measuring = Measuring(wanted, ModelOptions(**of_models), context, plugins, bootstrap, progress)
    return evaluate_models(places, measuring)


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
