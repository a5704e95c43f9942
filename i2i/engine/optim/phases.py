"""The optimiser and the schedule of each phase: chosen, built, stepped and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from i2i.api import Choice, Phase
from i2i.config import PhaseConfig, TrainConfig
from i2i.engine.optim.built import BuiltOptimizer, Schedule, build_optimizer, build_schedule, learning_rate
from i2i.errors import ConfigError, PluginError
from i2i.plugins import Plugins, nearest
from i2i.plugins.builder import Builder, checked_options


@dataclass
class PhaseOptimizer:
    """A phase with the optimiser of what it trains.

    Attributes:
        phase: the recipe's phase, `every` already as the user configured it.
        parameters: what it trains.
        built: the optimiser, shared by the phases that train the same networks or some of them.
        optimizes: names of the networks whose optimiser it is.
        lr: the learning rate before the schedule.
        schedule: the learning rate's factor.
        notes: lines for the user about settings that are not used.
    """

    phase: Phase
    parameters: list[nn.Parameter]
    built: BuiltOptimizer
    optimizes: tuple[str, ...]
    lr: float
    schedule: Schedule
    notes: list[str]

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Torch's optimiser."""
        return self.built.optimizer

    def step(self, rate_factor: float) -> None:
        """One optimiser step at the learning rate times `rate_factor`, between the phase's clippings."""
        own = set(self.parameters)
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter not in own:  # of a phase that trains more; the way back may have gone through it
                    parameter.grad = None
        if self.phase.clip_grad is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.phase.clip_grad)
        self.built.step(self.lr * rate_factor)
        if (limit := self.phase.clip_weights) is not None:
            with torch.no_grad():
                for parameter in self.parameters:
                    parameter.clamp_(-limit, limit)


def phase_optimizers(
    phases: list[Phase], networks: Mapping[str, nn.Module], config: TrainConfig, builder: Builder, owner: str
) -> list[PhaseOptimizer]:
    """One `PhaseOptimizer` for each phase.

    Settings are taken, from strong to weak, from ``train.phases``, the recipe's phase, and ``train.optimizer`` or
    ``train.schedule``. Phases that train the networks of an earlier one, or some of them, share its optimiser, each
    with its own learning rate.

    Args:
        phases: the recipe's.
        networks: the recipe's, by name.
        config: the section ``train``.
        builder: builds the components.
        owner: the recipe as messages name it.

    Raises:
        ConfigError: ``train.phases`` names no phase of the recipe, or sets an option that there is not.
        PluginError: a phase trains a network that there is not, or one without parameters, names are not unique, its
            settings do not fit, or a component fails.
    """
    _check_names([phase.name for phase in phases], config, owner)
    made: list[PhaseOptimizer] = []
    for phase in phases:
        parameters = _trained_parameters(phase, networks, owner)
        user = config.phases.get(phase.name, PhaseConfig()).model_dump()
        own = {key: user[key] for key in ("lr", "betas") if user[key] is not None} | (user["optimizer"] or {})
        falls = user["schedule"] or {}
        who = f"{owner}: phase '{phase.name}'"
        optimizer, notes = _chosen(config.optimizer, phase, own, who, builder.plugins)
        schedule, more = _chosen(config.schedule, phase, falls, who, builder.plugins)
        key = f"train.phases.{phase.name}.schedule" if "name" in {**phase.schedule, **falls} else "train.schedule"
        first = next((one for one in made if set(phase.trains) <= set(one.phase.trains)), None)
        factors = {p: rate for name, rate in phase.rates.items() for p in networks[name].parameters()}
        if first:
            notes += _not_shared(optimizer, {**phase.optimizer, **own}, phase, first)
        made.append(
            PhaseOptimizer(
                phase=replace(phase, every=user["every"] or phase.every),
                parameters=parameters,
                lr=learning_rate(optimizer),  # before it is built
                built=first.built if first else build_optimizer(optimizer, parameters, builder, factors),
                optimizes=first.optimizes if first else phase.trains,
                schedule=build_schedule(schedule, key, builder),
                notes=[*notes, *more],
            )
        )
    return made


def _check_names(names: list[str], config: TrainConfig, owner: str) -> None:
    if len(set(names)) < len(names):
        raise PluginError(f"{owner}: two phases have one name: {', '.join(names)}")
    for name in config.phases:
        if name not in names:
            raise ConfigError(
                f"train.phases.{name}: no such phase{nearest(name, names)}; the recipe has {', '.join(names)}"
            )


def _trained_parameters(phase: Phase, networks: Mapping[str, nn.Module], owner: str) -> list[nn.Parameter]:
    for name in phase.trains:
        if name not in networks:
            raise PluginError(
                f"{owner}: phase '{phase.name}' trains '{name}', but its networks are {', '.join(networks)}"
            )
    trained = [p for name in phase.trains for p in networks[name].parameters() if p.requires_grad]
    parameters = list(dict.fromkeys(trained))  # tied weights are one parameter
    if not parameters:
        raise PluginError(
            f"{owner}: phase '{phase.name}' trains {', '.join(phase.trains)}, which has no parameters to train"
        )
    return parameters


def _chosen(
    every: Choice, phase: Phase, of_user: Mapping[str, Any], who: str, plugins: Plugins
) -> tuple[Choice, list[str]]:
    """A phase's optimiser or schedule with all of its options, and notes about those of the recipe that are not used.

    Options of a weaker layer survive another name if both components have one class of options.

    Args:
        every: the user's choice for every phase.
        phase: the recipe's, whose settings replace those of `every`.
        of_user: settings of the user for this phase, which replace both.
        who: the phase in messages.
        plugins: where components are looked up.

    Raises:
        ConfigError: the user sets an option that there is not, or its value does not fit.
        PluginError: so does the recipe; or a name is unknown.
    """
    kind, choice = every.kind, every
    own: dict[str, Any] = {}
    notes: list[str] = []
    known = {key for entries in plugins.table(kind).values() for _, one in entries for key in one.config.model_fields}
    for settings, where, failure in (
        (getattr(phase, kind), who, PluginError),
        (of_user, f"train.phases.{phase.name}", ConfigError),
    ):
        name, kept = settings.get("name", choice.name), choice.options
        component = plugins.get(kind, name)
        if not plugins.share_options(kind, choice.name, name):
            if lost := ", ".join(own):
                notes.append(f"{who} sets {lost} for {kind} '{choice.name}', not for '{name}': not used")
            kept = {}
        own = {key: value for key, value in settings.items() if key != "name"}
        if failure is PluginError:  # the recipe's are for whatever optimiser users choose
            lacking = [key for key in own if key in known and key not in component.config.model_fields]
            if lacking:
                notes.append(f"{who} sets {', '.join(lacking)}, which {kind} '{name}' does not have: not used")
            own = {key: value for key, value in own.items() if key not in lacking}
        try:
            choice = type(every)(name, checked_options(kind, component, {**kept, **own}).model_dump())
        except ConfigError as error:
            raise failure(f"{where}: {error}") from error
    return choice, notes


def _not_shared(choice: Choice, own: Mapping[str, Any], phase: Phase, first: PhaseOptimizer) -> list[str]:
    """A note if a phase that shares the optimiser of another one sets something else than the other has."""
    asked, had = choice.to_dict(), first.built.choice.to_dict()
    unused = [key for key in own if key != "lr" and key in asked and asked[key] != had.get(key)]
    says = f"phase '{phase.name}' shares the optimiser of phase '{first.phase.name}': its own {', '.join(unused)} is"
    return [f"{says} not used"] if unused else []
