"""Everything that training changes, one training step, and both ways between it and a checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from i2i.api import Phase, Recipe, Translator
from i2i.components.inference import inference_translators
from i2i.config import RunConfig
from i2i.config.changes import listed
from i2i.data.batches import to_device
from i2i.data.loading import Data
from i2i.engine.context import Pools, StepContext
from i2i.engine.device.launch import compute_dtype
from i2i.engine.device.networks import average_gradients, for_recipe, place
from i2i.engine.finetune import misfits
from i2i.engine.health import Health
from i2i.engine.health.finite import explain, norm, numbers, total
from i2i.engine.health.watch import subjects
from i2i.engine.optim import Player, players, rate_factor
from i2i.engine.plugin_checks import check_losses, culprit, watched
from i2i.errors import PluginError, RunError, attributed_to
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder, Built, build_recipe, image_size
from i2i.runs.checkpoint import Checkpoint

Batch = dict[str, Tensor]


@dataclass
class Training:
    """A run in memory.

    Attributes:
        config: the resolved configuration.
        recipe: the training method.
        who: what messages call it.
        built: the components that it is made of.
        modules: the networks themselves, which are saved.
        nets: the same as the recipe sees them.
        players: the phases with their optimisers.
        averages: moving averages of the exported networks; empty without.
        context: what the recipe gets beside networks and batch.
        sample: one batch, for shapes.
        value_type: of the source images, ``uint8`` or ``float32``.
        labels: names of the data's classes.
        steps: steps of the whole run.
        epoch_length: training samples.
        world: number of processes.
        step: finished steps.
        tried: the phases that have run in this process.
        health: what the last steps showed.
        rollbacks: how often the run went back to an older state.
        rate_scale: factor of all learning rates, lowered each time.
    """

    config: RunConfig
    recipe: Recipe
    who: str
    built: Sequence[Built]
    modules: dict[str, nn.Module]
    nets: dict[str, Any]
    players: list[Player]
    averages: dict[str, AveragedModel]
    context: StepContext
    sample: Batch
    value_type: str
    labels: tuple[str, ...]
    steps: int
    epoch_length: int
    world: int = 1
    step: int = 0
    tried: set[str] = field(default_factory=set)
    health: Health = field(default_factory=lambda: Health((), enabled=False))
    rollbacks: int = 0
    rate_scale: float = 1.0

    def train_step(self, batches: Sequence[Batch], *, every_phase: bool = False) -> dict[str, Tensor]:
        """Runs the phases that are due, or all, on the same batches; returns the losses as ``loss/PHASE/NAME``.

        Raises:
            DivergedError: a loss, gradient or weight is not finite: what is in memory must not be kept.
        """
        self.context.begin(self.step)
        due = [player for player in self.players if every_phase or player.phase.due(self.step, self.steps)]
        new = not self.tried.issuperset(player.phase.name for player in due)
        first = new and (every_phase or not self.tried)
        # hooking into a compiled network would compile it again
        components = self.built if new and not self.config.engine.compile else ()
        figures: dict[str, Tensor] = {}
        with watched(components, first=first), self.health.step(self.step, batches[0]) as seen:
            try:
                self._run(due, batches, figures, every_phase=every_phase, first=first)
            except PluginError:
                found, finite = numbers(figures)
                if not finite:  # an error that follows from such numbers is not the plugin's
                    raise explain(self.step + 1, found, batches, self.modules) from None
                raise
        logs = {name: value for name, value in figures.items() if name.startswith("loss/")}
        for name in dict.fromkeys(name for player in due for name in player.phase.trains):
            figures[f"weights/{name}"] = total(self.modules[name])
        found, finite = numbers(figures, seen.figures, world=self.world)
        if not finite:
            raise explain(self.step + 1, found, batches, self.modules)
        self.step += 1
        for name, average in self.averages.items():
            average.update_parameters(self.modules[name])
        self.health.done(self.step, found, seen)
        return logs

    def _run(
        self,
        due: Sequence[Player],
        batches: Sequence[Batch],
        figures: dict[str, Tensor],
        *,
        every_phase: bool,
        first: bool,
    ) -> None:
        """The phases' optimiser steps; `figures` gets losses and gradients' norms, as far as it comes."""
        # with accumulation, keeping all graphs would cost the memory that it is to save; and of all phases together
        # several may go back through the same graph
        once = len(batches) == 1 and not every_phase
        if once:
            self._learn_only(*due)
            batches = [self._shared(batches[0])]
        for player in due:
            self._learn_only(player)
            self.context.turn = 0 if every_phase else player.phase.turn(self.step, self.steps)
            player.optimizer.zero_grad(set_to_none=True)
            for batch in batches:
                losses = self._losses(player, batch if once else self._shared(batch), first=first)
                with self._blaming(f"phase '{player.phase.name}', backward pass"):
                    (torch.stack(list(losses.values())).sum() / len(batches)).backward()
                for name, loss in losses.items():
                    key = f"loss/{player.phase.name}/{name}"
                    figures[key] = figures.get(key, 0.0) + loss.detach() / len(batches)
            average_gradients(player.parameters, self.world)
            figures[f"grad/{player.phase.name}"] = norm(parameter.grad for parameter in player.parameters)
            with self.health.changing(player.phase.name, player.parameters):
                self._step(player)

    def _shared(self, batch: Batch) -> Batch:
        with self._blaming("shared"):
            return batch | self.recipe.shared(self.nets, batch, self.context)

    def _losses(self, player: Player, batch: Batch, *, first: bool) -> dict[str, Tensor]:
        name = player.phase.name
        if self.health.watch:
            self.health.watch.phase(player.phase)
        with self._blaming(f"phase '{name}'"):
            losses = self.recipe.losses(name, self.nets, batch, self.context)
        check_losses(f"{self.who}, phase '{name}'", losses, first=first and name not in self.tried)
        self.tried.add(name)
        return losses

    @property
    def saves(self) -> bool:
        """Whether a checkpoint is due after the steps done so far."""
        return self.step == self.steps or self.step % self.config.train.checkpoint_every == 0

    @property
    def begun(self) -> bool:
        """Whether every stage of the training has begun; before, a validation says little about the end."""
        return all(player.phase.start * self.steps < self.step for player in self.players)

    def translators(self) -> dict[str, Translator]:
        """What would be exported now: copies in evaluation mode, averaged if there is averaging."""
        newest = {name: self.averages[name].module if name in self.averages else m for name, m in self.modules.items()}
        return inference_translators(self.recipe, newest, self.sample, self.config, self.who)

    def rates(self) -> dict[str, float]:
        """Learning rates of the next step by phase."""
        factor = rate_factor(self.step, self.steps, self.config.train.schedule)
        return {f"lr/{player.phase.name}": player.lr * factor * self.rate_scale for player in self.players}

    def checkpoint(self, pools: Pools) -> Checkpoint:
        """Everything that exact continuation needs; `pools` are those of all processes."""
        optimizers = {"+".join(player.phase.trains): player.optimizer.state_dict() for player in self.players}
        return Checkpoint(
            step=self.step,
            networks={name: module.state_dict() for name, module in self.modules.items()},
            ema={name: average.state_dict() for name, average in self.averages.items()},
            training={"optimizers": optimizers, "pools": pools},
            state={
                "config": self.config.to_dict(),
                "sample": {key: {"shape": list(t.shape), "dtype": str(t.dtype)} for key, t in self.sample.items()},
                "value_type": self.value_type,
                "labels": list(self.labels),
                "rollbacks": self.rollbacks,
                "rate_scale": self.rate_scale,
                "versions": {name: version(name) for name in ("i2i-toolkit", "torch", "numpy")}
                | {"python": sys.version.split()[0]},
            },
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint.

        Raises:
            RunError: it does not fit these networks or optimisers.
        """
        if (labels := tuple(checkpoint.state["labels"])) != self.labels:
            raise RunError(f"the run was trained for the labels {', '.join(labels)}, not {', '.join(self.labels)}")
        if wrong := misfits(self.modules, checkpoint.networks):
            raise RunError(
                f"the checkpoint of step {checkpoint.step} does not fit the configuration: {listed(wrong)}; use the "
                "run's own data and settings, or start a new run from its weights with --from RUN"
            )
        try:
            for name, module in self.modules.items():
                module.load_state_dict(checkpoint.networks.get(name, {}))
            for name, average in self.averages.items():
                if name not in checkpoint.ema:
                    raise ValueError("it was trained without train.ema")
                average.load_state_dict(checkpoint.ema[name])
            for player in self.players:
                saved = checkpoint.training["optimizers"]["+".join(player.phase.trains)]
                if saved["param_groups"][0].keys() != player.optimizer.param_groups[0].keys():
                    raise ValueError("it was trained with another train.optimizer.name")
                groups = player.optimizer.state_dict()["param_groups"]  # the settings may be new: weight decay, betas
                groups = [new | {"lr": old["lr"]} for new, old in zip(groups, saved["param_groups"], strict=True)]
                player.optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise RunError(
                f"the checkpoint of step {checkpoint.step} does not fit the configuration: {reason}"
            ) from error
        if checkpoint.step > self.steps:
            raise RunError(f"the run has done {checkpoint.step} steps already: ask for more than {self.steps}")
        self.context.load_pools(checkpoint.training["pools"])
        self.step = checkpoint.step
        self.rollbacks = checkpoint.state.get("rollbacks", 0)
        self.rate_scale = checkpoint.state.get("rate_scale", 1.0)
        self.health.forget()

    def _blaming(self, where: str) -> AbstractContextManager[None]:
        """An error inside names the recipe, and the component that it came from."""
        return attributed_to(f"{self.who}, {where}", partial(culprit, self.built, self.recipe))

    def _learn_only(self, *players: Player) -> None:
        """Freezes everything but what the players train."""
        learning = {id(p) for player in players for p in player.parameters}
        for module in self.modules.values():
            for parameter in module.parameters():
                parameter.requires_grad_(id(parameter) in learning)

    def _step(self, player: Player) -> None:
        factor = rate_factor(self.step, self.steps, self.config.train.schedule)
        for group in player.optimizer.param_groups:
            group["lr"] = player.lr * factor * self.rate_scale
        player.optimizer.step()
        if (limit := player.phase.clip_weights) is not None:
            with torch.no_grad():
                for parameter in player.parameters:
                    parameter.clamp_(-limit, limit)


def setup(config: RunConfig, plugins: Plugins, data: Data, fabric: Fabric) -> Training:
    """Builds networks and optimisers for a run at step 0.

    Raises:
        ConfigError: options do not fit each other or the images.
        PluginError: the recipe contradicts itself.
    """
    train, world = config.train, fabric.world_size
    dtype = compute_dtype(config.engine, fabric.device)
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    recipe = build_recipe(plugins, config.recipe, config.options)
    sample = to_device(data.sample(), torch.device("cpu"))
    who = plugins.full_name("recipe", config.recipe)
    builder = Builder(plugins, image_size(sample, config.data.size), data.labels)
    torch.manual_seed(config.seed)
    modules, phases = _declared(recipe, who, builder, sample)
    for name in {name for phase in phases for name in phase.trains} & modules.keys():
        modules[name].train()  # the others stay as the recipe gives them, such as a feature network in eval mode
    place(modules, config.engine, fabric.device, dtype, world)
    if world > 1:
        for module in modules.values():
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, 0)
    steps = train.steps or max(1, round((train.epochs or 1) * len(data.train) / (train.batch_size * train.accumulate)))
    on_device = to_device(data.sample(), fabric.device, exact)
    with attributed_to(f"{who}, translators"):
        averages = _averages(recipe, modules, on_device, train.ema)
        health = _health(recipe, modules, on_device, config, enabled=train.health)
    context = StepContext(config.seed, steps, fabric.device, exact, fabric.global_rank, world)
    context.watch = health.watch
    return Training(
        config=config,
        recipe=recipe,
        who=who,
        built=builder.built,
        modules=modules,
        nets=for_recipe(modules, config.engine, dtype),
        players=players(phases, modules, train, fabric.device, who),
        averages=averages,
        context=context,
        sample=on_device,
        value_type=data.value_type,
        labels=data.labels,
        steps=steps,
        epoch_length=len(data.train),
        world=world,
        health=health,
    )


def _declared(recipe: Recipe, who: str, builder: Builder, sample: Batch) -> tuple[dict[str, nn.Module], list[Phase]]:
    """The recipe's networks and phases, checked."""
    with attributed_to(f"{who}, networks"):
        modules = recipe.networks(builder, sample)
    try:
        with attributed_to("phases"):
            phases = list(recipe.phases())
    except PluginError as error:  # what `Phase` refuses, too
        raise PluginError(f"{who}: {error}") from error
    if not isinstance(modules, dict):
        raise PluginError(f"{who}: networks must return modules by name, not a {type(modules).__name__}")
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            raise PluginError(f"{who}: network '{name}' must be an nn.Module, not a {type(module).__name__}")
    if not phases or not all(isinstance(phase, Phase) for phase in phases):
        raise PluginError(f"{who}: phases must return at least one i2i.Phase")
    return modules, phases


def _health(
    recipe: Recipe, modules: Mapping[str, nn.Module], sample: Batch, config: RunConfig, *, enabled: bool
) -> Health:
    """What looks on; hooking into compiled networks would compile them again."""
    watchable = enabled and not config.engine.compile
    found = subjects(recipe.translators(modules, sample), modules, sample) if watchable else []
    return Health(found, paired=recipe.paired is True, enabled=enabled)


def _averages(
    recipe: Recipe, modules: Mapping[str, nn.Module], sample: Batch, decay: float
) -> dict[str, AveragedModel]:
    """A moving average (Yazıcı et al. 2019, arXiv:1806.04498) of each network that a translator uses."""
    if decay == 0:
        return {}
    exported = {id(p) for t in recipe.translators(modules, sample).values() for p in t.module.parameters()}
    used = {name: m for name, m in modules.items() if any(id(p) in exported for p in m.parameters())}
    update = get_ema_multi_avg_fn(decay)
    return {name: AveragedModel(module, multi_avg_fn=update, use_buffers=True) for name, module in used.items()}
