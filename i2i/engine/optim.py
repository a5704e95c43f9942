"""The optimiser and the schedule of each phase: chosen, built, stepped and saved."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from i2i.api import Choice, Phase
from i2i.config import PhaseConfig, TrainConfig
from i2i.errors import ConfigError, PluginError, RunError, attributed_to, short_repr
from i2i.plugins import Plugins, nearest
from i2i.plugins.builder import Builder, checked_options


@dataclass(frozen=True)
class Schedule:
    """A schedule as a component built it.

    Attributes:
        name: the component's name.
        who: its name in messages.
        formula: gives the learning rate's factor.
    """

    name: str
    who: str
    formula: Callable[..., Any]

    def factor(self, step: int, steps: int, epoch: Fraction = Fraction(1)) -> float:
        """The learning rate's factor at a step.

        Args:
            step: number of the step, counted from 0.
            steps: steps of the run.
            epoch: steps of one epoch.

        Raises:
            PluginError: the component fails, or gives something else than a finite number of at least 0.
        """
        with attributed_to(f"{self.who}, step {step} of {steps}"):
            factor = float(self.formula(step, steps=steps, epoch=epoch))
        if not 0 <= factor < math.inf:
            raise PluginError(f"{self.who}: a factor must be finite and at least 0, at step {step} it is {factor}")
        return factor


@dataclass(frozen=True)
class BuiltOptimizer:
    """An optimiser as a component built it.

    Attributes:
        choice: the component with its options.
        who: its name in messages.
        optimizer: what it built.
        lr: the learning rate for which it was built.
        groups: the settings of its parameter groups when it was built.
    """

    choice: Choice
    who: str
    optimizer: torch.optim.Optimizer
    lr: float
    groups: list[dict[str, Any]]

    def step(self, lr: float) -> None:
        """One step at a learning rate; a group that was built with a rate of its own keeps its ratio to the others.

        Raises:
            PluginError: the optimiser fails.
        """
        with attributed_to(f"{self.who} fails"):
            for group, built in zip(self.optimizer.param_groups, self.groups, strict=True):
                group["lr"] = lr if built["lr"] == self.lr else lr * float(built["lr"]) / self.lr
            self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """Torch's state, and as ``changed`` what the optimiser itself has changed in each parameter group, by name.

        When a run goes on, settings are those of the configuration, which may be new. But some optimisers keep counters
        among them.
        """
        changed = [
            [key for key, value in group.items() if key not in ("params", "lr") and _differs(key, value, built)]
            for group, built in zip(self.optimizer.param_groups, self.groups, strict=True)
        ]
        return self.optimizer.state_dict() | {"changed": changed}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Puts the optimiser back to a state that `state` gave.

        Raises:
            RunError: it is that of another optimiser.
            ValueError: it is that of other parameters.
        """
        groups: list[dict[str, Any]] = []
        changed = saved.get("changed") or [[] for _ in saved["param_groups"]]  # older versions saved none
        for built, old, keys in zip(self.groups, saved["param_groups"], changed, strict=True):
            groups.append(built | {key: old[key] for key in ("params", "lr", *keys)})
            if groups[-1].keys() != old.keys():
                raise RunError("it was trained with another train.optimizer.name")
        states = {key: value for key, value in saved.items() if key != "changed"}
        self.optimizer.load_state_dict(states | {"param_groups": groups})

    def check_state(self) -> None:
        """Makes sure that a checkpoint can hold the state.

        Raises:
            PluginError: it has more than tensors and plain values.
        """
        file = io.BytesIO()
        try:
            torch.save(tree_map(lambda leaf: None if isinstance(leaf, Tensor) else leaf, self.state()), file)
            file.seek(0)
            torch.load(file, weights_only=True)
        except Exception as error:
            what = "its state_dict must hold tensors and plain values only, or no run could go on with it"
            raise PluginError(f"{self.who}: {what}") from error


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
        built = first.built if first else _built(optimizer, parameters, builder)
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


def _built(choice: Choice, parameters: list[nn.Parameter], builder: Builder) -> BuiltOptimizer:
    optimizer = builder.optimizer(choice, parameters)
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    who = builder.plugins.full_name(choice.kind, choice.name)
    return BuiltOptimizer(choice, who, optimizer, float(choice.options["lr"]), copy.deepcopy(groups))


def _not_shared(choice: Choice, phase: Phase, first: PhaseOptimizer) -> list[str]:
    """A note if a phase that shares the optimiser of another one asks for something else than the other's."""
    one, other = (found.to_dict() | {"lr": None} for found in (choice, first.built.choice))
    if one == other:
        return []
    what = ", ".join(key for key in one if one[key] != other.get(key))
    return [f"phase '{phase.name}' shares the optimiser of phase '{first.phase.name}': its own {what} is not used"]


def _differs(key: str, value: Any, built: Mapping[str, Any]) -> bool:
    """Whether a setting of a parameter group is another one than when it was built."""
    if key not in built:
        return True
    if isinstance(value, Tensor) and isinstance(built[key], Tensor):
        return not torch.equal(value, built[key])
    return bool(value != built[key])
