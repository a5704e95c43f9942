"""Optimisers and schedules that each break one promise; `kit_mutants` says how such a file reads."""

import random
from collections import deque
from functools import partial

import torch
from torch import nn

import i2i
from helpers.kit_mutants import broken, sound


class Rate(i2i.Config):
    lr: float = 0.05
    """Learning rate."""


@sound("optimizer", "sound-optimizer", config=Rate)
class Descent(torch.optim.Optimizer):
    """Gradient descent whose steps become smaller; the counter is in its groups, and a sum in its state."""

    def __init__(self, config, *, params):
        super().__init__(self.groups(params), {"lr": config.lr})
        self.first, self.calls = config.lr, 0

    def groups(self, params):
        return [{"params": params[:1], "lr": 0.01}, {"params": params[1:]}]

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["calls"] = group.get("calls", 0) + 1
            for parameter in group["params"]:
                state = self.state[parameter]
                self.move(parameter, group["lr"] / group["calls"], state)

    def move(self, parameter, rate, state):
        state["moved"] = state.get("moved", 0) + rate * parameter.grad
        parameter.sub_(rate * parameter.grad + 0.1 * rate * state["moved"])


def step_by_calls(self):
    self.calls += 1
    with torch.no_grad():
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(group["lr"] / self.calls * parameter.grad)


def in_doubles(self, parameter, rate, state):
    """Digits that a float32 does not have are part of the step."""
    state["moved"] = state.get("moved", 0) + parameter.grad.double() / 3
    parameter.sub_(rate * (parameter.grad + 1e-3 * (1e9 * state["moved"] % 1).float()))


mutant = partial(broken, Descent, config=Rate)
mutant("not-an-optimizer", "learning", "must build a torch.optim.Optimizer, not a int", __new__=lambda cls, *a, **k: 3)
other = lambda s, params: [nn.Parameter(torch.zeros(1))]
mutant("other-parameters", "learning", "must hold the parameters in params, all of them and no others", groups=other)
mutant("some-parameters", "learning", "must hold the parameters in params", groups=lambda s, params: params[1:])
uphill = lambda s, parameter, rate, state: parameter.add_(rate * parameter.grad)
mutant("uphill", "learning", "it must step against the gradient", move=uphill)
mutant("explodes", "learning", "not finite", move=lambda s, parameter, rate, state: parameter.mul_(1e20))
mutant("needs-closure", "learning", "fails: TypeError", step=lambda s, closure: None)
first_rate = lambda s, parameter, rate, state: parameter.sub_(s.first * parameter.grad)
mutant("first-rate", "rate", "parameters change at a learning rate of 0", move=first_rate)
on_or_off = lambda s, parameter, rate, state: parameter.sub_(0.05 * (rate > 0) * parameter.grad)
mutant("on-or-off", "rate", "half the learning rate makes the same step", move=on_or_off)
mutant("forgets", "resume", "step 1 after a resume is another one: all that it remembers", step=step_by_calls)
mutant("doubles", "resume", "in the type of the parameters", move=in_doubles)
queue = lambda s, parameter, rate, state: Descent.move(s, parameter, rate, state) or state.update(last=deque([1]))
mutant("a-queue", "resume", "must hold tensors and plain values only", move=queue)


@sound("schedule", "sound-schedule")
class Falling:
    """It falls to 0 at the end of the run."""

    def __init__(self, config):
        self.calls = 0

    def __call__(self, step, *, steps, epoch):
        return self.at(step / steps)

    def at(self, share):
        return 1 - share


mutant = partial(broken, Falling)
mutant("not-a-schedule", "factors", "must build a function of the step, not a int", __new__=lambda cls, config: 3)
mutant(
    "below-zero", "factors", "must be finite and at least 0, at step 1 it is -0.25", at=lambda s, share: 0.25 - share
)
mutant("not-finite", "factors", "must be finite and at least 0, at step 0 it is inf", at=lambda s, share: float("inf"))
mutant("always-zero", "factors", "its factor is 0 at each of 1 steps", at=lambda s, share: 0)
mutant("fails-at-zero", "factors", "step 0 of 1: ZeroDivisionError", at=lambda s, share: 1 / share)
mutant("text", "factors", "step 0 of 1: ValueError", at=lambda s, share: "half")
by_calls = lambda s, share: s.__dict__.update(calls=s.calls + 1) or 1 / s.calls
mutant("counts-calls", "repeatable", "depends on what was asked before", at=by_calls)
mutant("random", "repeatable", "depends on what was asked before", at=lambda s, share: random.random())
