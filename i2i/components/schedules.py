"""Schedules: the learning rate's factor as a closed formula of the step.

In the formulas s is the step, counted from 0, n the number of steps of the run, and h = hold * n. While the warm-up
lasts, each is multiplied by ``(s + 1) / (warmup + 1)``. All but linear-epochs are above 0 at every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from i2i.components.options import MultiStepConfig, ScheduleConfig

Factor = Callable[[int, int, Fraction], float]
"""From step, steps of the run and steps of one epoch to the factor without the warm-up."""


class WarmedUp:
    """A factor with a warm-up."""

    def __init__(self, config: ScheduleConfig | MultiStepConfig, factor: Factor) -> None:
        self.warmup, self.factor = config.warmup, factor

    def __call__(self, step: int, *, steps: int, epoch: Fraction) -> float:
        """The learning rate's factor at a step; see `i2i.plugins.hookspecs.i2i_schedules`."""
        return self.factor(step, steps, epoch) * min(1.0, (step + 1) / (self.warmup + 1))


def constant(config: ScheduleConfig) -> WarmedUp:
    """1 at every step."""
    return WarmedUp(config, lambda step, steps, epoch: 1.0)


def linear(config: ScheduleConfig) -> WarmedUp:
    """``(n - s) / (n - h)`` from step h on, 1 before."""
    return WarmedUp(config, lambda step, steps, epoch: 1 - _done(step, steps, config.hold))


def cosine(config: ScheduleConfig) -> WarmedUp:
    """``(1 + cos(pi * (s - h) / (n - h))) / 2`` from step h on, 1 before (Loshchilov and Hutter, arXiv:1608.03983)."""
    return WarmedUp(config, lambda step, steps, epoch: (1 + math.cos(math.pi * _done(step, steps, config.hold))) / 2)


def step(config: ScheduleConfig) -> WarmedUp:
    """``gamma ** (s // every)``."""
    return WarmedUp(config, lambda step, steps, epoch: config.gamma ** (step // config.every))


def multi_step(config: MultiStepConfig) -> WarmedUp:
    """``gamma ** (number of milestones that are at most s)``."""
    return WarmedUp(
        config, lambda step, steps, epoch: config.gamma ** sum(milestone <= step for milestone in config.milestones)
    )


def linear_epochs(config: ScheduleConfig) -> WarmedUp:
    """The rate of the reference code of pix2pix and CycleGAN, which is set once an epoch.

    With e the step's epoch, counted from 1, and E that of the last step, it is
    ``1 - max(0, e + 1 - hold * E) / (E - hold * E + 1)``: the rate falls from epoch hold * E on, and the last epoch has
    none. A run within one epoch keeps its rate, where the code's is 0.
    """

    def factor(step: int, steps: int, epoch: Fraction) -> float:
        number, last = step // epoch + 1, (steps - 1) // epoch + 1
        kept = config.hold * last
        return 1.0 if last == 1 else 1.0 - max(0.0, number + 1 - kept) / (last - kept + 1)

    return WarmedUp(config, factor)


def _done(step: int, steps: int, hold: float) -> float:
    """The share of the fall that is done, 0 until it begins."""
    begin = hold * steps
    return (step - begin) / (steps - begin) if step > begin else 0.0
