"""A plugin with optimisers and schedules, and a recipe of one layer whose phases have settings of their own."""

from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn.functional import mse_loss

import i2i


class LionConfig(i2i.Config):
    lr: float = 0.01
    beta: float = 0.9


class Lion(torch.optim.Optimizer):
    """The sign of an averaged gradient, with one decay (Chen et al. 2023)."""

    def __init__(self, config, *, params):
        super().__init__(params, {"lr": config.lr, "beta": config.beta})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                average = self.state[parameter].setdefault("average", torch.zeros_like(parameter))
                average.lerp_(parameter.grad, 1 - group["beta"])
                parameter.sub_(average.sign(), alpha=group["lr"])


class Counting(torch.optim.Optimizer):
    """Plain descent whose steps become smaller: it counts them in its groups, as some published optimisers do."""

    def __init__(self, config, *, params):
        half = len(params) // 2
        groups = [{"params": params[:half], "lr": 2 * config.lr}, {"params": params[half:]}]
        super().__init__(groups, {"lr": config.lr, "beta": config.beta, "sum": 0.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["count"] = group.get("count", 0) + 1
            group["sum"] += group["lr"]
            for parameter in group["params"]:
                parameter.sub_(group["lr"] / group["count"] * parameter.grad)


def nadam(config, *, params):
    return torch.optim.NAdam(params, lr=config.lr)


class AmsConfig(i2i.Config):
    lr: float = 0.01
    eps: float = 1e-8
    amsgrad: bool = False


def ams(config, *, params):
    """Adam that has one tensor more in its state if `amsgrad` is set."""
    return torch.optim.Adam(params, lr=config.lr, eps=config.eps, amsgrad=config.amsgrad)


def with_function(config, *, params):
    made = torch.optim.SGD(params, lr=config.lr)
    made.register_step_post_hook(lambda made, *_: made.param_groups[0].update(hook=lambda: None))
    return made


class Late(torch.optim.SGD):
    """Plain descent that keeps, from its second step on, what no checkpoint can hold."""

    def step(self):
        super().step()
        first = self.param_groups[0]["params"][0]
        self.state[first]["steps"] = self.state[first].get("steps", 0) + 1
        if self.state[first]["steps"] > 1:
            self.state[first]["kept"] = lambda: None


class OwnState(torch.optim.SGD):
    """Plain descent with a state in a form of its own."""

    def state_dict(self):
        return {"base": super().state_dict()}


def late(config, *, params):
    return Late(params, lr=config.lr)


def own_state(config, *, params):
    return OwnState(params, lr=config.lr)


class WordConfig(i2i.Config):
    lr: float | str | None = "fast"


class SawConfig(i2i.Config):
    period: int = 3
    least: float = 0.0


def saw(config):
    """It falls from 1 by equal parts within each period."""
    return lambda step, *, steps, epoch: 1 - (step % config.period) / config.period + config.least


class TwoConfig(i2i.Config):
    optimizer: dict[str, Any] = Field(default_factory=dict)
    """Settings of the first phase."""
    schedule: dict[str, Any] = Field(default_factory=dict)
    """Settings of the first phase."""
    again: dict[str, Any] | None = None
    """Settings of another phase that trains the same network."""


class Two(i2i.Recipe):
    """Two networks, each trained by a phase of its own, and the first by another phase, too."""

    def networks(self, build, sample):
        return {name: nn.Conv2d(3, 3, 3, padding=1) for name in ("first", "second")}

    def phases(self):
        c = self.config
        first = i2i.Phase("first", trains=("first",), optimizer=c.optimizer, schedule=c.schedule)
        again = [] if c.again is None else [i2i.Phase("again", trains=("first",), optimizer=c.again)]
        return [first, i2i.Phase("second", trains=("second",)), *again]

    def losses(self, phase, nets, batch, ctx):
        name = "first" if phase == "again" else phase
        return {"error": mse_loss(nets[name](batch["source"]), batch["target"])}

    def translators(self, nets, sample):
        return {"default": i2i.Translator(nets["first"], {"image": sample["source"][:1]})}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("two", Two, TwoConfig)]


@i2i.hookimpl
def i2i_optimizers():
    return [
        i2i.Component("lion", Lion, LionConfig),
        i2i.Component("nadam", nadam, LionConfig),
        i2i.Component("ams", ams, AmsConfig),
        i2i.Component("counting", Counting, LionConfig),
        i2i.Component("with-function", with_function, LionConfig),
        i2i.Component("late", late, LionConfig),
        i2i.Component("own-state", own_state, LionConfig),
        i2i.Component("word", nadam, WordConfig),
    ]


@i2i.hookimpl
def i2i_schedules():
    return [i2i.Component("saw", saw, SawConfig)]
