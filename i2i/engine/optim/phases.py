"""The optimiser and the schedule of each phase: chosen, built, stepped and saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from i2i.api import Choice, Phase
from i2i.config import PhaseConfig, TrainConfig
from i2i.engine.optim.built import BuiltOptimizer, Schedule, build_optimizer
from i2i.errors import ConfigError, PluginError, short_repr
from i2i.plugins import Plugins, nearest
from i2i.plugins.builder import Builder, checked_options


@dataclass
class PhaseOptimizer:
    """A phase with the optimiser of what it trains.

    Attributes:
        phase: the recipe's phase, `every` already as the user configured it.
        parameters: what it trains.
        built: the optimiser, shared by the phases that train the same networks.
        lr: the learning rate before the schedule.
        schedule: the learning rate's factor.
        notes: lines for the user about settings that are not used.
    """

    phase: Phase
    parameters: list[nn.Parameter]
    built: BuiltOptimizer
    lr: float
    schedule: Schedule
    notes: list[str]

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Torch's optimiser."""
        return self.built.optimizer

    def step(self, rate_factor: float) -> None:
        """One optimiser step at the learning rate times `rate_factor`, between the phase's clippings."""
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
    ``train.schedule``. Phases that train the same networks share the optimiser of the first one, each with its own
    learning rate.

    Args:
        phases: the recipe's.
        networks: the recipe's, by name.
        config: the section ``train``.
        builder: builds the components.
        owner: the recipe as messages name it.

    Raises:
        ConfigError: ``train.phases`` names no phase of the recipe, or sets what its optimiser does not have.
        PluginError: a phase trains a network that there is not, or one without parameters, names are not unique, its
            settings do not fit, or a component fails.
    """
    _check_names([phase.name for phase in phases], config, owner)
    made: list[PhaseOptimizer] = []
    for phase in phases:
        parameters = _trained_parameters(phase, networks, owner)
        user = config.phases.get(phase.name, PhaseConfig())
        who = f"{owner}: phase '{phase.name}'"
        optimizer, notes = _chosen(config.optimizer, phase.optimizer, user.optimizer, who, builder.plugins)
        schedule, more = _chosen(config.schedule, phase.schedule, user.schedule, who, builder.plugins)
        optimizer = _with_users(optimizer, user, phase.name, builder.plugins)
        first = next((one for one in made if one.phase.trains == phase.trains), None)
        built = first.built if first else build_optimizer(optimizer, parameters, builder)
        if first and (user.optimizer or user.betas or set(phase.optimizer) - {"lr"}):
            notes += _not_shared(optimizer, phase, first)
        made.append(
            PhaseOptimizer(
                phase=replace(phase, every=user.every or phase.every),
                parameters=parameters,
                built=built,
                lr=float(optimizer.options["lr"]),
                schedule=Schedule(
                    schedule.name, builder.plugins.full_name("schedule", schedule.name), builder.schedule(schedule)
                ),
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
    every: Choice, of_recipe: Mapping[str, Any], of_user: Choice | None, who: str, plugins: Plugins
) -> tuple[Choice, list[str]]:
    """A phase's optimiser or schedule with all of its options, and notes about those of the recipe that it lacks.

    Args:
        every: the user's choice for every phase.
        of_recipe: what the recipe replaces of it in this phase.
        of_user: the user's choice for this phase, instead of both.
        who: the phase in messages.
        plugins: where components are looked up.

    Raises:
        PluginError: the recipe names a component or an option that there is not, or its value does not fit.
    """
    choice, own = (of_user, {}) if of_user else (every, dict(of_recipe))
    kind, name = choice.kind, own.pop("name", choice.name)
    config = plugins.get(kind, name).config
    if lacking := [key for key in own if key not in config.model_fields]:
        known = {
            key for entries in plugins.table(kind).values() for _, one in entries for key in one.config.model_fields
        }
        if unknown := next((key for key in lacking if key not in known), None):
            raise PluginError(f"{who}, {kind}: no {kind} has an option {unknown}{nearest(unknown, known)}")
    values = dict(choice.options) if plugins.share_options(kind, choice.name, name) else {}
    values |= {key: value for key, value in own.items() if key not in lacking}
    try:
        options = config(**values).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise PluginError(f"{who}, {kind}, {key}: {first['msg'].lower()}, got {short_repr(first['input'])}") from error
    lacks = [f"{who} sets {', '.join(lacking)}, which {kind} '{name}' does not have: not used"] if lacking else []
    return type(choice)(name, options), lacks


def _with_users(choice: Choice, user: PhaseConfig, phase: str, plugins: Plugins) -> Choice:
    """The phase's optimiser with the options that users set without naming another.

    Raises:
        ConfigError: it does not have one of them, or a value does not fit.
    """
    component = plugins.get(choice.kind, choice.name)
    values = {key: value for key in ("lr", "betas") if (value := getattr(user, key)) is not None}
    if lacking := next((key for key in values if key not in component.config.model_fields), None):
        raise ConfigError(f"train.phases.{phase}.{lacking}: optimizer '{choice.name}' has no such option: leave it out")
    options = checked_options(choice.kind, component, {**choice.options, **values})
    return type(choice)(choice.name, options.model_dump())


def _not_shared(choice: Choice, phase: Phase, first: PhaseOptimizer) -> list[str]:
    """A note if a phase that shares the optimiser of another one asks for something else than the other's."""
    one, other = (found.to_dict() | {"lr": None} for found in (choice, first.built.choice))
    if one == other:
        return []
    what = ", ".join(key for key in one if one[key] != other.get(key))
    return [f"phase '{phase.name}' shares the optimiser of phase '{first.phase.name}': its own {what} is not used"]
