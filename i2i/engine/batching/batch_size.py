"""Finds the largest batch that fits in memory, for ``train.batch_size=auto``.

Memory is measured in steps with 1, 2, 4, ... samples until its growth exceeds the noise, and then extrapolated
linearly, as only activations grow with the batch. So no batch is tried that is not expected to fit.
"""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import distributed

from i2i.components.processes import Processes
from i2i.config import RunConfig
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.loading import Data
from i2i.engine.device import memory
from i2i.engine.device.memory import MIB, size_text
from i2i.engine.health import DivergedError
from i2i.engine.setup import open_training
from i2i.engine.state import Training
from i2i.errors import ConfigError
from i2i.plugins import Plugins

MAX_BATCH = 256
MEMORY_SHARE = {"cuda": 0.9, "cpu": 0.7}
"""Share of the free memory that is used; the rest is for validation, loading, fragmentation, and other programs."""
MIN_GROWTH = 256 * MIB
"""Growth between two batch sizes that is certainly more than what allocators and caches hide."""


def fit_batch(config: RunConfig, plugins: Plugins, fabric: Processes) -> tuple[RunConfig, str]:
    """Replaces ``train.batch_size=auto`` by a number.

    Returns:
        The configuration, and one line on what was found.

    Raises:
        ConfigError: the memory of this device or system cannot be measured.
        TrainingError: not even one sample a process fits.
        UserError: the data cannot be used, or networks cannot be built; see `open_training`.
    """
    world = fabric.world_size
    if not memory.known(fabric.device):
        raise ConfigError("train.batch_size=auto can measure the memory of GPUs and of Linux only: give a number")
    training, data = open_training(_with_batch(config, world), plugins, fabric)
    cap = max(1, min(MAX_BATCH, len(data.train)) // world)
    with memory.shortage_explained(training):
        share, why = _largest_share(training, data, fabric, cap)
    del training, data
    gc.collect()
    if fabric.device.type == "cuda":
        torch.cuda.empty_cache()
    return _with_batch(config, share * world), f"train.batch_size=auto: {share * world}, {why}"


def _with_batch(config: RunConfig, batch: int) -> RunConfig:
    return replace(config, train=config.train.model_copy(update={"batch_size": batch}))


def _largest_share(training: Training, data: Data, fabric: Processes, cap: int) -> tuple[int, str]:
    """The most samples a process, `cap` at most, and the reason in words."""
    limit = _byte_limit(fabric)
    peak, batch, growth, slope = _peak_of(training, data, fabric, 1), 1, 0, 0.0
    while batch < cap:
        if peak + slope * batch > limit:  # the next doubling is not expected to fit
            break
        more = min(cap, 2 * batch) - batch
        before, last = peak, growth
        peak = _peak_of(training, data, fabric, batch + more)
        growth = peak - before
        batch, slope = batch + more, max(slope, growth / more)
        if growth > MIN_GROWTH and last > 0:  # two in a row: the first one may hide in memory that was free
            break
    if batch == cap and peak <= limit:
        return cap, "as many as there are samples" if cap * fabric.world_size < MAX_BATCH else "the most that is tried"
    fits = batch + int((limit - peak) / slope) if slope else batch
    text = f"{size_text(slope)} a sample, {size_text(limit)} for training"
    return _first_that_fits(training, data, fabric, max(1, min(cap, fits)), batch), text


def _first_that_fits(training: Training, data: Data, fabric: Processes, batch: int, known: int) -> int:
    """On one GPU, tries `batch` and then smaller ones; returns the first that fits, at least `known`, which did."""
    while fabric.device.type == "cuda" and fabric.world_size == 1 and batch > known:
        try:
            _steps(training, data, batch)
            break
        except Exception as error:
            if not memory.out_of_memory(error):
                raise
        gc.collect()  # outside of the except clause, which keeps the step's tensors alive
        torch.cuda.empty_cache()
        batch = max(known, int(batch * 0.9))
    return batch


def _byte_limit(fabric: Processes) -> int:
    """Most bytes that this process may hold; the least of all processes."""
    device = fabric.device
    neighbours = 1 if device.type == "cuda" else fabric.world_size
    limit = memory.used(device) + int(MEMORY_SHARE[device.type] * memory.available(device) / neighbours)
    return _reduced(limit, fabric, distributed.ReduceOp.MIN)


def _peak_of(training: Training, data: Data, fabric: Processes, batch: int) -> int:
    """Most bytes held in steps with so many samples a process; the most of all processes."""
    memory.forget_peak(fabric.device)
    _steps(training, data, batch)
    return _reduced(memory.peak(fabric.device), fabric, distributed.ReduceOp.MAX)


def _reduced(number: int, fabric: Processes, how: distributed.ReduceOp.RedOpType) -> int:
    if fabric.world_size == 1:
        return number
    tensor = torch.tensor(number, device=fabric.device)
    distributed.all_reduce(tensor, how)
    return int(tensor)


def _steps(training: Training, data: Data, batch: int) -> None:
    """The fullest steps of the run, twice: the first one makes the optimisers' moments."""
    samples = collate([data.train[0, number % len(data.train)] for number in range(batch)])
    samples.pop(SKIPPED)
    ready = to_device(samples, training.context.device, training.context.dtype)
    for step in 2 * list(_fullest(training)):
        training.step = step
        with contextlib.suppress(DivergedError):  # the real training handles it
            training.train_step([ready] * training.batches_per_step)
    for one in training.phase_optimizers:
        one.optimizer.zero_grad(set_to_none=True)


def _fullest(training: Training) -> Iterator[int]:
    """One step for each set of phases that run in the same step, unless a larger set contains it."""
    period = min(1000, math.lcm(*(one.phase.every for one in training.phase_optimizers)))
    begins = {math.ceil(one.phase.start * training.steps) for one in training.phase_optimizers}
    found: dict[frozenset[str], int] = {}
    for step in sorted({begin + offset for begin in begins for offset in range(period)}):
        due = frozenset(p.phase.name for p in training.phase_optimizers if p.phase.due(step, training.steps))
        found.setdefault(due, step)
    for due, step in found.items():
        if due and not any(due < other for other in found):
            yield step
