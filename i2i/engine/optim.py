"""Optimisers and the learning rate as closed formulas of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from i2i.api import Phase
from i2i.config import OptimizerConfig, ScheduleConfig, TrainConfig
from i2i.errors import ConfigError, PluginError, short_repr
from i2i.plugins import nearest


@dataclass
class PhaseOptimizer:
    """A phase with the optimiser of what it trains.

    Attributes:
        phase: the recipe's phase, `every` already as the user configured it.
        parameters: what it trains.
        optimizer: shared by the phases that train the same networks.
        lr: the learning rate before the schedule.
    """

    phase: Phase
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    lr: float

    def step(self, rate_factor: float) -> None:
        """One optimiser step at the learning rate times `rate_factor`, between the phase's clippings."""
        if self.phase.clip_grad is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.phase.clip_grad)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * rate_factor
        self.optimizer.step()
        if (limit := self.phase.clip_weights) is not None:
            with torch.no_grad():
                for parameter in self.parameters:
                    parameter.clamp_(-limit, limit)


def phase_optimizers(
    phases: list[Phase], networks: Mapping[str, nn.Module], config: TrainConfig, device: torch.device, owner: str
) -> list[PhaseOptimizer]:
    """One `PhaseOptimizer` for each phase.

    Settings are taken, from strong to weak, from ``train.phases``, the recipe's phase and ``train.optimizer``. Phases
    that train the same networks share the optimiser of the first one, each with its own learning rate.

    Args:
        phases: the recipe's.
        networks: the recipe's, by name.
        config: the section ``train``.
        device: where the networks are.
        owner: the recipe as messages name it.

    Raises:
        ConfigError: ``train.phases`` names no phase of the recipe.
        PluginError: a phase trains a network that there is not, or one without parameters, or names are not unique.
    """
    _check_names([phase.name for phase in phases], config, owner)
    made: list[PhaseOptimizer] = []
    optimizers: dict[tuple[str, ...], torch.optim.Optimizer] = {}
    for phase in phases:
        parameters = _trained_parameters(phase, networks, owner)
        user = config.phases[phase.name].model_dump(exclude_none=True) if phase.name in config.phases else {}
        every = user.pop("every", phase.every)
        values = config.optimizer.model_dump() | dict(phase.optimizer) | user
        settings = _settings(values, f"{owner}: phase '{phase.name}'")
        if phase.trains not in optimizers:
            optimizers[phase.trains] = _optimizer(parameters, settings, device)
        made.append(PhaseOptimizer(replace(phase, every=every), parameters, optimizers[phase.trains], settings.lr))
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


def _settings(values: dict[str, Any], who: str) -> OptimizerConfig:
    try:
        return OptimizerConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise PluginError(
            f"{who}, optimizer, {key}: {first['msg'].lower()}, got {short_repr(first['input'])}"
        ) from error


def _optimizer(parameters: list[nn.Parameter], config: OptimizerConfig, device: torch.device) -> torch.optim.Optimizer:
    fused: dict[str, Any] = {"fused": True} if device.type in ("cpu", "cuda") else {}
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.name == "adam":
        return torch.optim.Adam(parameters, betas=config.betas, eps=config.eps, **common, **fused)
    if config.name == "adamw":
        return torch.optim.AdamW(parameters, betas=config.betas, eps=config.eps, **common, **fused)
    if config.name == "rmsprop":
        return torch.optim.RMSprop(parameters, eps=config.eps, momentum=config.momentum, **common)
    return torch.optim.SGD(parameters, momentum=config.momentum, **common, **fused)


def rate_factor(step: int, steps: int, config: ScheduleConfig, epoch: Fraction = Fraction(1)) -> float:
    """The learning rate's factor at a step, counted from 0.

    With s the step, n the steps of the run and h = hold * n: linear ``(n - s) / (n - h)`` and cosine
    ``(1 + cos(pi * (s - h) / (n - h))) / 2`` from step h on, 1 before; step ``gamma ** (s // every)``. While the
    warm-up lasts, all are multiplied by ``(s + 1) / (warmup + 1)``. These are above 0 at every step.

    The reference code of pix2pix and CycleGAN sets the rate once an epoch. With e the step's epoch, counted from 1, and
    E that of the last step, linear-epochs is ``1 - max(0, e + 1 - hold * E) / (E - hold * E + 1)``: the rate falls from
    epoch hold * E on, and the last epoch has none. A run within one epoch keeps its rate, where the code's is 0.

    Args:
        step: number of the step.
        steps: steps of the run.
        config: the schedule.
        epoch: steps of one epoch.
    """
    factor = 1.0
    hold = config.hold * steps
    if config.name == "step":
        factor = config.gamma ** (step // config.every)
    elif config.name == "linear-epochs":
        number, last = step // epoch + 1, (steps - 1) // epoch + 1
        kept = config.hold * last
        factor = 1.0 if last == 1 else 1.0 - max(0.0, number + 1 - kept) / (last - kept + 1)
    elif config.name != "constant" and step > hold:
        done = (step - hold) / (steps - hold)
        factor = 1 - done if config.name == "linear" else (1 + math.cos(math.pi * done)) / 2
    return factor * min(1.0, (step + 1) / (config.warmup + 1))
