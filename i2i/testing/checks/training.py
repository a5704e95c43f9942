"""Checks of optimisers and of schedules."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from i2i.api import OptimizerChoice, Phase, ScheduleChoice
from i2i.config import TrainConfig
from i2i.engine.optim.phases import PhaseOptimizer, phase_optimizers
from i2i.plugins.builder import Builder
from i2i.testing.subject import Check, Subject, fail

STEPS = 30
"""Optimiser steps of the small problem."""
RUNS = ((1, Fraction(1)), (2, Fraction(10)), (10, Fraction(7, 2)), (1000, Fraction(40)))
"""Steps of whole runs, each with the steps of one epoch."""


def learning(subject: Subject) -> None:
    """Lowers the loss of a small problem, all parameters finite."""
    net, one = _problem(subject)
    losses = [_step(net, one) for _ in range(STEPS)]
    if not all(torch.isfinite(parameter).all() for parameter in net.parameters()) or not math.isfinite(losses[-1]):
        fail(f"after {STEPS} steps at the default options parameters are not finite")
    if losses[-1] >= losses[0]:
        fail(
            f"the loss of a small network was {losses[0]:.6g} and is {losses[-1]:.6g} after {STEPS} steps at "
            "the default options: it must step against the gradient"
        )


def rate(subject: Subject) -> None:
    """Steps by the learning rate of its groups: nothing moves at 0, and another rate makes another step."""
    ends = []
    for factor in (1.0, 0.5):
        net, one = _problem(subject)
        _step(net, one)
        before = _weights(net)
        _step(net, one, factor=0.0)
        if not torch.equal(before, _weights(net)):
            fail("parameters change at a learning rate of 0: take the rate from param_groups at each step")
        _step(net, one, factor=factor)
        ends.append(_weights(net))
    if torch.equal(*ends):
        fail("half the learning rate makes the same step: take the rate from param_groups at each step")


def resume(subject: Subject) -> None:
    """Goes on from its saved state with the same bits."""
    net, one = _problem(subject)
    for _ in range(3):
        _step(net, one)
    one.built.state()
    file = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": one.built.state()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again, other = _problem(subject)
    again.load_state_dict(saved["net"])
    other.built.load(saved["optimizer"])
    for step in range(3):
        _step(net, one)
        _step(again, other)
        if not torch.equal(_weights(net), _weights(again)):
            fail(
                f"step {step + 1} after a resume is another one: all that it remembers must be in self.state or in "
                "param_groups, in the type of the parameters"
            )


OPTIMIZER: Sequence[Check] = (learning, rate, resume)


def factors(subject: Subject) -> None:
    """Gives a finite factor of at least 0 at every step of a run, and not 0 everywhere."""
    [one] = _phases(subject, nn.Linear(1, 1))
    for steps, epoch in RUNS:
        found = [one.schedule.factor(step, steps, epoch) for step in range(steps)]
        if not any(found):
            fail(f"its factor is 0 at each of {steps} steps: nothing is learned")


def repeatable(subject: Subject) -> None:
    """Gives the same factor for the same step, whatever was asked before."""
    for steps, epoch in RUNS:
        one, other = (_phases(subject, nn.Linear(1, 1))[0].schedule for _ in range(2))
        forwards = [one.factor(step, steps, epoch) for step in range(steps)]
        backwards = [other.factor(step, steps, epoch) for step in reversed(range(steps))]
        again = [one.factor(step, steps, epoch) for step in range(steps)]
        if not forwards == again == backwards[::-1]:
            fail("a step's factor depends on what was asked before: compute it from step, steps and epoch alone")


SCHEDULE: Sequence[Check] = (factors, repeatable)


def _phases(subject: Subject, net: nn.Module) -> list[PhaseOptimizer]:
    """The one phase that trains a network, with the component under test."""
    kind = {"optimizer": OptimizerChoice, "schedule": ScheduleChoice}[subject.kind]
    config = TrainConfig.model_validate({subject.kind: kind(subject.name, subject.options)})
    builder = Builder(subject.plugins, (64, 64))
    return phase_optimizers([Phase("net", trains=("net",))], {"net": net}, config, builder, "the kit")


def _problem(subject: Subject) -> tuple[nn.Module, PhaseOptimizer]:
    """A convolution and a linear layer with the same weights each time, and their optimiser."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    [one] = _phases(subject, net)
    return net, one


def _step(net: nn.Module, one: PhaseOptimizer, factor: float = 1.0) -> float:
    """One step towards targets for images ``(16, 3, 4, 4)``; the loss before it."""
    generator = torch.Generator().manual_seed(1)
    images, targets = torch.randn(16, 3, 4, 4, generator=generator), torch.randn(16, 2, generator=generator)
    one.optimizer.zero_grad(set_to_none=True)
    loss = (net(images) - targets).square().mean()
    loss.backward()
    one.step(factor)
    return loss.item()


def _weights(net: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in net.parameters()])
