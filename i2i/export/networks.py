"""The networks of a checkpoint as they are exported."""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.api import Translator
from i2i.components.inference import inference_translators
from i2i.config import RunConfig
from i2i.config.changes import first_few
from i2i.errors import RunError, attributed_to
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder, build_recipe, image_size
from i2i.runs import checkpoint as checkpoints
from i2i.runs.weights import mismatched_keys


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
    return inference_translators(recipe, networks, sample, config, who)


def _example(spec: dict[str, object]) -> Tensor:
    """A batch entry of the training's shape and type; nothing depends on its values."""
    shape, dtype = spec["shape"], getattr(torch, str(spec["dtype"]).removeprefix("torch."))
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return torch.rand(shape, generator=generator) * 2 - 1  # type: ignore[call-overload]
    return torch.zeros(shape, dtype=dtype)  # type: ignore[call-overload]
