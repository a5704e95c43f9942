"""Exporting a run: checkpoint -> translators -> ONNX -> check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from i2i.api import Translator
from i2i.components.inference import inference_translators
from i2i.config import RunConfig, resolve
from i2i.errors import RunError, attributed_to
from i2i.export.onnx_file import write_onnx
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder, build_recipe, image_size
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder, open_run


@dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        path: the ONNX file.
        translator: its name in the recipe.
        step: training step of the checkpoint.
        difference: largest difference between onnxruntime and torch that the check saw, in units of 1/255.
        inputs: names of its inputs: ``image``, ``label``, ``noise``.
        labels: names of its labels.
    """

    path: Path
    translator: str
    step: int
    difference: float
    inputs: tuple[str, ...] = ("image",)
    labels: tuple[str, ...] = ()


def export(
    run: str | Path,
    *,
    out: str | Path | None = None,
    checkpoint: str = "last",
    translator: str | None = None,
    plugins: Plugins | None = None,
) -> list[Exported]:
    """Exports a run's translators to ONNX.

    Args:
        run: the run folder.
        out: the file to write; needs `translator` when the recipe has several. By default ``model.onnx`` or
            ``model.NAME.onnx`` in the run folder.
        checkpoint: ``last``, ``best`` by the first validation metric, or a step.
        translator: export only this one.
        plugins: where the recipe is looked up; by default the installed plugins.

    Raises:
        RunError: the run or checkpoint is not there or damaged, or `out` is no name for an ONNX file.
        ModelError: onnxruntime and torch differ by more than 1/255.
        PluginError: the recipe's plugin is not there.
    """
    if out is not None and Path(out).suffix != ".onnx":
        raise RunError(f"{out}: the file to write must end in .onnx")
    folder = open_run(Path(run))
    plugins = plugins or Plugins()
    path = _find_checkpoint(folder, checkpoint)
    found = checkpoints.load(path, training=False)
    config = resolve(plugins, config=found.state["config"])
    translators = load_translators(found, config, plugins)
    if translator is not None and translator not in translators:
        raise RunError(f"{run}: no translator '{translator}'; it has {', '.join(translators)}")
    chosen = {name: t for name, t in translators.items() if translator in (None, name)}
    if out is not None and len(chosen) > 1:
        raise RunError(f"{run}: has the translators {', '.join(chosen)}: choose one with --translator, or leave out -o")
    exported = []
    for name, one in chosen.items():
        target = Path(out) if out is not None else folder.model(name)
        facts = {"recipe": config.recipe, "translator": name, "config_digest": config.digest()}
        with attributed_to(f"{plugins.full_name('recipe', config.recipe)}, translator '{name}'"):
            difference = write_onnx(target, one, found.state["value_type"], facts)
        exported.append(Exported(target, name, found.step, difference, tuple(one.example), tuple(one.labels)))
    return exported


def load_translators(checkpoint: checkpoints.Checkpoint, config: RunConfig, plugins: Plugins) -> dict[str, Translator]:
    """Rebuilds a checkpoint's networks, averaged ones where there are, as they are used for inference.

    Raises:
        RunError: the weights do not fit the networks that the configuration describes.
    """
    sample = {key: _example(spec) for key, spec in checkpoint.state["sample"].items()}
    labels = checkpoint.state.get("labels", ())
    who = plugins.full_name("recipe", config.recipe)
    build = Builder(plugins, image_size(sample, config.data.size), labels, inference=True)
    recipe = build_recipe(plugins, config.recipe, config.options)
    with attributed_to(f"{who}, networks"):
        networks = recipe.networks(build, sample)
    for name, network in networks.items():
        state = checkpoint.networks.get(name, {})
        if name in checkpoint.ema:
            averaged = checkpoint.ema[name]
            state = {key.removeprefix("module."): t for key, t in averaged.items() if key.startswith("module.")}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise RunError(f"the weights of '{name}' do not fit: {' '.join(str(error).split())[:300]}") from error
    return inference_translators(recipe, networks, sample, config, who)


def _find_checkpoint(run: RunFolder, which: str) -> Path:
    """The folder of a checkpoint: ``last``, ``best``, or that of a step."""
    existing = checkpoints.list_checkpoints(run.checkpoints)
    if not existing:
        raise RunError(f"{run.path}: no checkpoint in it yet")
    if which == "last":
        return existing[-1]
    if which == "best":
        return checkpoints.best(run.checkpoints) or existing[-1]
    by_step = {str(checkpoints.step_of(path)): path for path in existing}
    if which not in by_step:
        raise RunError(f"{run.path}: no checkpoint '{which}'; there are: last, best, {', '.join(by_step)}")
    return by_step[which]


def _example(spec: dict[str, object]) -> Tensor:
    """A batch entry of the training's shape and type; nothing depends on its values."""
    shape, dtype = spec["shape"], getattr(torch, str(spec["dtype"]).removeprefix("torch."))
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return torch.rand(shape, generator=generator) * 2 - 1  # type: ignore[call-overload]
    return torch.zeros(shape, dtype=dtype)  # type: ignore[call-overload]
