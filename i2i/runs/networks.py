"""The networks of a checkpoint, rebuilt as torch modules."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from i2i.api import Recipe
from i2i.config import RunConfig, resolve
from i2i.config.changes import first_few
from i2i.errors import RunError, attributed_to
from i2i.files import user_path
from i2i.plugins import Plugins
from i2i.plugins.absent import AbsentNetwork
from i2i.plugins.builder import Builder, build_recipe, image_size
from i2i.runs import checkpoint as checkpoints
from i2i.runs.choice import find_checkpoint
from i2i.runs.folder import open_run
from i2i.runs.weights import mismatched_keys


@dataclass(frozen=True)
class LoadedRun:
    """The networks of a run, to be used in Python.

    Attributes:
        recipe: the training method, with its options and its state.
        networks: its saved networks by name, without gradients and in evaluation mode, on the CPU; averaged ones where
            the run averages.
        labels: names of the classes; empty without.
        step: training step of the checkpoint.
        sample: a batch of one with the shapes and types of the training, by key; its values mean nothing.
        config: the run's configuration.
    """

    recipe: Recipe
    networks: dict[str, nn.Module]
    labels: tuple[str, ...]
    step: int
    sample: dict[str, Tensor]
    config: RunConfig


def load_networks(
    run: str | os.PathLike[str], checkpoint: str = "best", *, plugins: Plugins | None = None
) -> LoadedRun:
    """Loads the networks of a run as torch modules: for scores, interpolation, or anything else in Python.

    Args:
        run: the run folder.
        checkpoint: ``last``, ``best`` by the first validation metric (the last one where nothing was measured), or a
            step.
        plugins: where the recipe is looked up; by default the installed plugins.

    Raises:
        PluginError: the recipe's plugin is not there.
        RunError: the run or the checkpoint is not there or damaged, or its weights do not fit.
    """
    folder, plugins = open_run(user_path(run, "the run")), plugins or Plugins()
    found = checkpoints.load(find_checkpoint(folder, checkpoint), training=False)
    loaded = rebuilt(found, resolve(plugins, config=found.state["config"]), plugins)
    saved = {name: one for name, one in loaded.networks.items() if not isinstance(one, AbsentNetwork)}
    for network in saved.values():
        network.eval().requires_grad_(False)
    return replace(loaded, networks=saved)


def rebuilt(checkpoint: checkpoints.Checkpoint, config: RunConfig, plugins: Plugins) -> LoadedRun:
    """Rebuilds a checkpoint's networks, averaged ones where there are.

    Raises:
        PluginError: the recipe cannot build them.
        RunError: the weights do not fit the networks that the configuration describes.
    """
    sample = {key: _example(spec) for key, spec in checkpoint.state["sample"].items()}
    labels = tuple(checkpoint.state.get("labels", ()))
    who = plugins.full_name("recipe", config.recipe)
    build = Builder(plugins, image_size(sample, config.data.height_width), labels, inference=True)
    recipe = build_recipe(plugins, config.recipe, config.options)
    recipe.state = dict(checkpoint.recipe)
    with attributed_to(f"{who}, networks"):
        networks = recipe.networks(build, sample)
    for name, network in networks.items():
        state = checkpoint.networks.get(name, {})
        if name in checkpoint.ema:
            averaged = checkpoint.ema[name]
            state = {key.removeprefix("module."): t for key, t in averaged.items() if key.startswith("module.")}
        if wrong := mismatched_keys({name: network}, {name: state}):
            raise RunError(f"the weights of '{name}' do not fit: {first_few(wrong)}")
        network.load_state_dict(state)
    return LoadedRun(recipe, networks, labels, checkpoint.step, sample, config)


def _example(spec: dict[str, object]) -> Tensor:
    """A batch entry of the training's shape and type; nothing depends on its values."""
    shape, dtype = spec["shape"], getattr(torch, str(spec["dtype"]).removeprefix("torch."))
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return torch.rand(shape, generator=generator) * 2 - 1  # type: ignore[call-overload]
    return torch.zeros(shape, dtype=dtype)  # type: ignore[call-overload]
