"""Where the time of a training step goes: the real training, in memory, with a clock beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from i2i.components.processes import Processes
from i2i.config import RunConfig
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.clock import Clock
from i2i.engine.device import memory
from i2i.engine.setup import open_training
from i2i.plugins import Plugins

WARM_UP = 2
"""Steps before those that count: the first ones make the optimisers' moments and fill caches."""
OTHER = "other"
"""The part that no other part covers, such as Python between them."""


@dataclass(frozen=True)
class StepPart:
    """A part of the training step.

    Attributes:
        name: what is done, such as ``generator: backward``; ``other`` is the rest.
        seconds: wall time a step, the mean over the steps.
        cpu_seconds: time of this process on the CPU a step, all threads together.
        share: of the whole step's wall time, 0 to 1.
    """

    name: str
    seconds: float
    cpu_seconds: float
    share: float


def step_profile(config: RunConfig, plugins: Plugins, fabric: Processes, steps: int = 20) -> list[StepPart]:
    """Trains a few steps in memory, as `train` does, and measures their parts; nothing is written.

    The parts are: loading of the data, moving it to the device, what phases share, and of each phase its losses (the
    networks' forward passes), backward pass and optimiser; the norms of gradients, the checks for numbers that are not
    finite, moving averages, and the health of the training. On a GPU each part waits for the device.

    Args:
        config: the resolved configuration; ``train.batch_size`` must be a number.
        plugins: where components are looked up.
        fabric: this process, from `i2i.engine.launch`.
        steps: steps that are measured, after `WARM_UP` others; phases that are not due in them are not seen.

    Returns:
        The parts in the order in which they first came, and ``other`` at the end. Their `seconds` add up to a step, and
        their shares to 1.

    Raises:
        UserError: the data cannot be used, networks cannot be built, or memory is not enough.
        DivergedError: a step made numbers that are not finite.
    """
    training, data = open_training(config, plugins, fabric)
    batches = step_batches(training, data, fabric)
    try:
        with memory.shortage_explained(training):
            for _ in range(WARM_UP):
                training.train_step(next(batches))
            clock = training.clock = Clock(fabric.device)
            begin, cpu_begin = time.perf_counter(), time.process_time()
            for _ in range(steps):
                training.train_step(next(batches))
            clock.wait()
            whole, cpu = time.perf_counter() - begin, time.process_time() - cpu_begin
    finally:
        batches.close()
    rows = [(name, *spent) for name, spent in clock.seconds.items()]
    rest = (max(0.0, whole - sum(row[1] for row in rows)), max(0.0, cpu - sum(row[2] for row in rows)))
    return [StepPart(name, a / steps, b / steps, a / whole) for name, a, b in [*rows, (OTHER, *rest)]]
