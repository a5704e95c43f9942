"""An optimiser and a schedule as components built them: stepped, saved and restored."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from i2i.api import Choice
from i2i.errors import ConfigError, PluginError, RunError, attributed_to, short_repr
from i2i.plugins.builder import Builder


@dataclass(frozen=True)
class Schedule:
    """A schedule as a component built it.

    Attributes:
        name: the component's name.
        who: its name in messages.
        key: the key of the configuration that names it for this phase, such as ``train.schedule``.
        formula: gives the learning rate's factor.
    """

    name: str
    who: str
    key: str
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
                group["lr"] = lr if built["lr"] == self.lr else lr * (float(built["lr"]) / self.lr)
            self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """Torch's state, and as ``changed`` what the optimiser itself has changed in each parameter group, by name.

        When a run goes on, settings are those of the configuration, which may be new. But some optimisers keep counters
        among them.

        Raises:
            PluginError: no checkpoint could hold it: it has more than tensors and plain values, or not torch's entries.
        """
        changed = [
            [key for key, value in group.items() if key not in ("params", "lr") and _differs(key, value, built)]
            for group, built in zip(self.optimizer.param_groups, self.groups, strict=True)
        ]
        with attributed_to(f"{self.who}, state_dict"):
            state = self.optimizer.state_dict() | {"changed": changed}
        if not state.keys() >= {"state", "param_groups"}:
            raise PluginError(f"{self.who}: its state_dict must have 'state' and 'param_groups', as torch's has")
        file = io.BytesIO()
        try:
            torch.save(tree_map(lambda leaf: None if isinstance(leaf, Tensor) else leaf, state), file)
            file.seek(0)
            torch.load(file, weights_only=True)
        except Exception as error:
            what = "its state_dict must hold tensors and plain values only, or no run could go on with it"
            raise PluginError(f"{self.who}: {what}") from error
        return state

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


def build_optimizer(
    choice: Choice,
    parameters: list[nn.Parameter],
    builder: Builder,
    factors: Mapping[nn.Parameter, float] = MappingProxyType({}),
) -> BuiltOptimizer:
    """Builds a choice for these parameters.

    Args:
        choice: the optimiser.
        parameters: what it steps.
        builder: builds it.
        factors: of the learning rate, of parameters that have another one; these get groups of their own.

    Raises:
        ConfigError: an option is unknown or does not fit.
        PluginError: what is built is no optimiser of these parameters.
    """
    optimizer = builder.optimizer(choice, parameters)
    if factors:
        optimizer.param_groups[:] = [part for group in optimizer.param_groups for part in _by_factor(group, factors)]
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    who = builder.plugins.full_name(choice.kind, choice.name)
    return BuiltOptimizer(choice, who, optimizer, learning_rate(choice), copy.deepcopy(groups))


def _by_factor(group: dict[str, Any], factors: Mapping[nn.Parameter, float]) -> list[dict[str, Any]]:
    """A parameter group as one group for each factor of the learning rate."""
    parts: dict[float, list[nn.Parameter]] = {}
    for parameter in group["params"]:
        parts.setdefault(factors.get(parameter, 1.0), []).append(parameter)
    return [{**group, "params": part, "lr": group["lr"] * factor} for factor, part in parts.items()]


def learning_rate(choice: Choice) -> float:
    """The learning rate that a choice of an optimiser has.

    Raises:
        ConfigError: it is no number above 0.
    """
    rate = choice.options["lr"]
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise ConfigError(f"optimizer '{choice.name}': its lr must be a number above 0, not {short_repr(rate)}")
    return float(rate)


def build_schedule(choice: Choice, key: str, builder: Builder) -> Schedule:
    """Builds a choice that this key of the configuration names.

    Raises:
        ConfigError: an option is unknown or does not fit.
        PluginError: what is built is no function.
    """
    return Schedule(choice.name, builder.plugins.full_name(choice.kind, choice.name), key, builder.schedule(choice))


def _differs(key: str, value: Any, built: Mapping[str, Any]) -> bool:
    """Whether a setting of a parameter group is another one than when it was built."""
    if key not in built:
        return True
    if isinstance(value, Tensor) and isinstance(built[key], Tensor):
        return not torch.equal(value, built[key])
    return bool(value != built[key])
