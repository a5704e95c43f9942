"""Building a training: data, networks, optimisers, averages, and what observes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from i2i.api import Phase, Recipe
from i2i.api.recipes import StateValue
from i2i.components.processes import Processes
from i2i.config import RunConfig, height_and_width
from i2i.data.batches import collate, to_device
from i2i.data.checks.value_ranges import with_ranges
from i2i.data.detect import Requirements
from i2i.data.loading import Data, open_data
from i2i.engine.batching.stages import find_stages
from i2i.engine.checks.translators import check_translators
from i2i.engine.context import StepContext
from i2i.engine.device.launch import chosen_by_rule, compute_dtype
from i2i.engine.device.networks import move_to_device, recipe_networks
from i2i.engine.frozen import load_frozen
from i2i.engine.health import Health
from i2i.engine.health.observer import observed_translators
from i2i.engine.optim.phases import phase_optimizers
from i2i.engine.recipe_state import set_state
from i2i.engine.state import Batch, DataSpec, Training
from i2i.errors import PluginError, attributed_to
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder, build_recipe, image_size


def open_training(
    config: RunConfig,
    plugins: Plugins,
    fabric: Processes,
    state: Mapping[str, StateValue] | None = None,
    choose: Callable[[RunConfig, Data], RunConfig] = lambda config, data: config,
) -> tuple[Training, Data]:
    """Opens the data and builds the training at step 0.

    Args:
        config: the resolved configuration.
        plugins: where components are looked up.
        fabric: this process.
        state: what the recipe's networks may depend on: its `Recipe.state` of a checkpoint.
        choose: completes the configuration once the data is known, before anything is built.

    Raises:
        ConfigError: options do not fit each other, the images or the number of processes.
        DataError: the data cannot be used.
        PluginError: the recipe or a component contradicts itself, or validation would compare unrelated images.
    """
    recipe = build_recipe(plugins, config.recipe, config.options)
    data = open_data(config.data, plugins, Requirements.of_recipe(recipe), seed=config.seed)
    config = choose(replace(config, data=with_ranges(config.data, data.values)), data)
    training = build_training(config, plugins, data, fabric, state)
    check_translators(training, data)
    if len(training.stages) > 1:
        _try_stages(build_training(config, plugins, data, fabric, state), data, fabric)
    return training, data


def _try_stages(trial: Training, data: Data, fabric: Processes) -> None:
    """Makes one step of each stage with a training that is thrown away.

    Raises:
        PluginError: the recipe fails with images of that size.
    """
    for stage in trial.stages:
        samples = data.train.at_size(stage.size)
        batch = collate([samples[0, place % len(samples)] for place in range(2)])
        trial.step = stage.first
        try:
            trial.train_step([to_device(batch, fabric.device, trial.context.dtype)], every_phase=True)
        except PluginError as error:
            height, width = height_and_width(stage.size)
            raise PluginError(f"{error}, in the stage of {height} x {width} pixels") from error


def build_training(
    config: RunConfig,
    plugins: Plugins,
    data: Data,
    fabric: Processes,
    state: Mapping[str, StateValue] | None = None,
) -> Training:
    """Builds networks and optimisers for a run at step 0; see `open_training`.

    Raises:
        ConfigError: options do not fit each other or the images.
        PluginError: the recipe contradicts itself.
    """
    config = replace(config, engine=chosen_by_rule(config.engine, fabric.device))
    dtype = compute_dtype(config.engine.precision)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    recipe = build_recipe(plugins, config.recipe, config.options)
    set_state(recipe, state or {}, fabric.device)
    sample = to_device(data.sample(), torch.device("cpu"))
    owner = plugins.full_name("recipe", config.recipe)
    loader = partial(load_frozen, device=fabric.device.type)
    builder = Builder(plugins, image_size(sample, config.data.height_width), data.labels, load_frozen=loader)
    torch.manual_seed(config.seed)
    modules, phases = _networks_and_phases(recipe, owner, builder, sample)
    for name in {name for phase in phases for name in phase.trains} & modules.keys():
        modules[name].train()  # the others stay as the recipe gives them, such as a feature network in eval mode
    move_to_device(modules, config.engine, fabric.device, dtype, fabric.world_size)
    _broadcast(modules, fabric.world_size)
    on_device = to_device(data.sample(), fabric.device, exact)
    with attributed_to(f"{owner}, translators"):
        averages = _averages(recipe, modules, on_device, config.train.ema)
        health = _health(recipe, modules, on_device, config)
    batches = config.train.accumulate * max(phase.repeats for phase in phases)
    context = StepContext(
        config.seed, planned_steps(config, data, batches), fabric.device, exact, fabric.global_rank, fabric.world_size
    )
    context.observer = health.observer
    return Training(
        config=config,
        stages=find_stages(recipe, config, fabric, owner, steps=context.steps, batches=batches),
        recipe=recipe,
        owner=owner,
        components=builder.built,
        teachers=builder.teachers,
        modules=modules,
        nets=recipe_networks(modules, config.engine, dtype),
        phase_optimizers=phase_optimizers(phases, modules, config.train, builder, owner),
        averages=averages,
        context=context,
        data=DataSpec(on_device, data.value_type, data.values, data.labels, len(data.train), data.bands, data.kinds),
        precision=config.engine.precision,
        health=health,
    )


def _networks_and_phases(
    recipe: Recipe, owner: str, builder: Builder, sample: Batch
) -> tuple[dict[str, nn.Module], list[Phase]]:
    """What the recipe returns, checked."""
    with attributed_to(f"{owner}, networks"):
        modules = recipe.networks(builder, sample)
    try:
        with attributed_to("phases"):
            phases = list(recipe.phases())
    except PluginError as error:  # what `Phase` refuses, too
        raise PluginError(f"{owner}: {error}") from error
    if not isinstance(modules, dict):
        raise PluginError(f"{owner}: networks must return modules by name, not a {type(modules).__name__}")
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            raise PluginError(f"{owner}: network '{name}' must be an nn.Module, not a {type(module).__name__}")
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise PluginError(f"{owner}: phases must return at least one i2i.Phase")
    return modules, phases


def _broadcast(modules: Mapping[str, nn.Module], world: int) -> None:
    """Gives all processes the weights and buffers of the first one."""
    if world > 1:
        for module in modules.values():
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, 0)


def planned_steps(config: RunConfig, data: Data, batches: int) -> int:
    """Steps of the whole run, of which each takes so many batches."""
    train = config.train
    epochs = train.epochs or 1
    return train.steps or max(1, round(epochs * len(data.train) / (train.batch_size * batches)))


def _health(recipe: Recipe, modules: Mapping[str, nn.Module], sample: Batch, config: RunConfig) -> Health:
    """Observes translators, too, unless networks are compiled: hooking into them would compile them again."""
    enabled = config.train.health
    observe = enabled and not config.engine.compile
    observed = observed_translators(recipe.translators(modules, sample), modules, sample) if observe else []
    return Health(observed, paired=recipe.paired is True, enabled=enabled)


def _averages(
    recipe: Recipe, modules: Mapping[str, nn.Module], sample: Batch, decay: float
) -> dict[str, AveragedModel]:
    """A moving average (Yazıcı et al. 2019, arXiv:1806.04498) of each network that a translator uses.

    Parameters are averaged, buffers are those of the newest step. A counter or the share of a growing network has no
    meaningful average. Statistics of batch norm could be averaged, too; but they are averages already, and averaging
    them again lags behind the weights: on a U-Net with batch norm the outputs were then up to four times as far from
    those with statistics computed anew for the averaged weights.
    """
    if decay == 0:
        return {}
    exported = {id(p) for t in recipe.translators(modules, sample).values() for p in t.module.parameters()}
    used = {name: m for name, m in modules.items() if any(id(p) in exported for p in m.parameters())}
    update = get_ema_multi_avg_fn(decay)
    return {name: AveragedModel(module, multi_avg_fn=update) for name, module in used.items()}
