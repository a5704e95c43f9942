"""The training loop."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric

from i2i.config import RunConfig
from i2i.data.batches import SKIPPED, Order, batches, to_device
from i2i.data.loading import Data, open_data
from i2i.engine.grids import sample_grid
from i2i.engine.log import Reporter
from i2i.engine.state import Training, setup
from i2i.engine.stop import Stop
from i2i.engine.validate import Validation
from i2i.engine.writer import Writer
from i2i.errors import ConfigError, RunError
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        step: finished steps.
        steps: steps that were asked for.
        seconds: time in this process, data checks included.
        signal: number of the signal that stopped it early; 0 when it finished.
        metrics: the last validation.
        facts: device, precision, sizes: for the summary.
    """

    step: int
    steps: int
    seconds: float
    signal: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def train(config: RunConfig, plugins: Plugins, fabric: Fabric, run: RunFolder | None) -> Outcome:
    """Trains until the configured step, going on from the run's newest whole checkpoint if there is one.

    Args:
        config: the resolved configuration.
        plugins: where components are looked up.
        fabric: this process, from `launch`.
        run: where everything is written; None tries one step in memory and writes nothing.

    Raises:
        ConfigError: options do not fit each other, the images or the number of processes.
        DataError: the data cannot be used.
        TrainingError: training had begun and cannot go on.
    """
    begin = time.monotonic()
    _check_world(config, fabric)
    recipe = plugins.get("recipe", config.recipe).build(config.options)
    data = open_data(config.data, plugins, needs=recipe.needs, paired=recipe.paired, seed=config.seed)
    training = setup(config, plugins, data, fabric)
    validation = Validation(data, config, plugins, fabric.device)
    facts = _facts(training, fabric)
    if run is None:
        _announce(Reporter(1, 0, enabled=fabric.is_global_zero), training, data, facts)
        sample_grid(training.translators(), validation, 1)
        _ready(
            training,
            fabric,
            training.train_step(
                _next_batches(_loader(training, data, fabric), training, fabric, set()), every_phase=True
            ),
        )
        return Outcome(1, training.steps, time.monotonic() - begin, facts=facts)
    damaged, metrics = _resume(training, run)
    stop = Stop(fabric)
    with Reporter(training.steps, training.step, enabled=fabric.is_global_zero) as reporter, stop:
        for line in damaged:
            reporter.say(f"warning: {line}; the checkpoint before it is used")
        _announce(reporter, training, data, facts)
        writer = Writer(training, validation, run, reporter, metrics) if fabric.is_global_zero else None
        if writer:
            checkpoints.set_aside_after(run.checkpoints, training.step)
            writer.begin()
        _loop(training, data, fabric, writer, stop)
    if writer:
        writer.log.close()
        metrics = writer.metrics
    return Outcome(training.step, training.steps, time.monotonic() - begin, stop.number, metrics, facts)


def _loop(training: Training, data: Data, fabric: Fabric, writer: Writer | None, stop: Stop) -> None:
    """The steps themselves."""
    loader = _loader(training, data, fabric)
    named: set[str] = set()
    while training.step < training.steps:
        batch = _next_batches(loader, training, fabric, named)
        losses = training.train_step(batch)
        stopping = stop.asked()
        pools = training.context.pools() if stopping or training.saves else None
        if writer:
            writer.after_step(losses, named, pools=pools, stopping=stopping)
        if stopping:
            break


def _loader(training: Training, data: Data, fabric: Fabric) -> Iterator[dict[str, Any]]:
    train = training.config.train
    order = Order(
        len(data.train),
        train.batch_size,
        training.config.seed,
        start=training.step * train.accumulate,
        rank=fabric.global_rank,
        world=fabric.world_size,
    )
    on_gpu = fabric.device.type == "cuda"
    workers = training.config.data.workers
    return batches(
        data.train, order, (min(8, _cores()) if on_gpu else 0) if workers is None else workers, pin_memory=on_gpu
    )


def _next_batches(
    loader: Iterator[dict[str, Any]], training: Training, fabric: Fabric, named: set[str]
) -> list[dict[str, Any]]:
    """The batches of one optimiser step on the device; notes samples that had to be replaced."""
    ready = []
    for _ in range(training.config.train.accumulate):
        batch = next(loader)
        named.update(batch[SKIPPED])
        ready.append(to_device(batch, fabric.device, training.context.dtype))
    return ready


def _resume(training: Training, run: RunFolder) -> tuple[list[str], dict[str, float]]:
    """Goes on from the newest whole checkpoint, if any; returns what was damaged, and the validation saved with it."""
    found, damaged = checkpoints.load_newest(run.checkpoints)
    if found:
        training.restore(found)
        return damaged, found.state["metrics"]
    if damaged:
        raise RunError(f"{run.path}: no whole checkpoint is left; {damaged[0]}")
    return [], {}


def _check_world(config: RunConfig, fabric: Fabric) -> None:
    batch, world = config.train.batch_size, fabric.world_size
    if batch % world:
        raise ConfigError(f"train.batch_size={batch} cannot be shared by {world} processes: set a multiple of {world}")


def _ready(training: Training, fabric: Fabric, losses: Mapping[str, torch.Tensor]) -> None:
    for name, loss in losses.items():
        if not math.isfinite(loss):
            raise RunError(f"{name} is {float(loss)} in the first step")
    text = ", ".join(f"{name} {float(loss):.4g}" for name, loss in losses.items())
    Reporter(1, 0, enabled=fabric.is_global_zero).say(f"one step done, nothing written: {text}")


def _announce(reporter: Reporter, training: Training, data: Data, facts: Mapping[str, Any]) -> None:
    for problem in data.problems:
        reporter.say(f"warning: left out {problem}")
    reporter.say(
        f"{training.config.recipe}: {len(data.train)} training and {len(data.val)} validation samples ({data.layout})"
    )
    reporter.say(", ".join(f"{key} {value}" for key, value in facts.items()))
    start = f"from step {training.step} " if training.step else ""
    reporter.say(f"training {start}to step {training.steps}")


def _facts(training: Training, fabric: Fabric) -> dict[str, Any]:
    parameters = {
        name: f"{sum(p.numel() for p in module.parameters()) / 1e6:.2f} M"
        for name, module in training.modules.items()
        if next(module.parameters(), None) is not None
    }
    device = torch.cuda.get_device_name() if fabric.device.type == "cuda" else str(fabric.device)
    return {
        "device": device,
        "processes": fabric.world_size,
        **{f"{name} parameters": text for name, text in parameters.items()},
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
