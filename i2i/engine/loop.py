"""The training loop."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from i2i.api import Translator
from i2i.config import RunConfig
from i2i.data.batches import SKIPPED, Order, batches, to_device
from i2i.data.loading import Data, open_data
from i2i.engine.device import memory
from i2i.engine.device.loader import outliving
from i2i.engine.device.stop import Stop
from i2i.engine.finetune import begin_from
from i2i.engine.health import DivergedError
from i2i.engine.output.grids import sample_grid
from i2i.engine.output.log import Reporter
from i2i.engine.output.validate import Validation
from i2i.engine.output.writer import Writer
from i2i.engine.rollback import roll_back
from i2i.engine.state import Batch, Training, setup
from i2i.errors import ConfigError, DataError, PluginError, RunError, TrainingError, attributed_to
from i2i.files import printable
from i2i.plugins import Plugins
from i2i.plugins.builder import build_recipe
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
        late: its hours were over before it finished.
        metrics: the last validation.
        facts: device, precision, sizes: for the summary.
    """

    step: int
    steps: int
    seconds: float
    signal: int = 0
    late: bool = False
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
    training, data = open_training(config, plugins, fabric)
    validation = Validation(data, config, plugins, fabric.device)
    facts = _facts(training, fabric)
    if run is None:
        with memory.explained(training):
            _try(training, data, fabric, validation, facts)
        return Outcome(1, training.steps, time.monotonic() - begin, facts=facts)
    damaged, metrics = _resume(training, run)
    started = _start(training)
    stop = Stop(fabric, begin + 3600 * (config.train.max_hours or math.inf))
    validation.stopped = stop.noted
    with Reporter(training.steps, training.step, enabled=fabric.is_global_zero) as reporter, stop:
        for line in damaged:
            reporter.say(f"warning: {line}; the checkpoint before it is used")
        _announce(reporter, training, data, facts, f" in {printable(run.path)}")
        for line in started:
            reporter.say(line)
        with memory.explained(training):
            open_writer = partial(_writer, training, validation, run, reporter, metrics)
            go_back = partial(_go_back, training, plugins, data, fabric, run, reporter)
            writer = _loop(training, data, fabric, open_writer, go_back, stop)
    if stop.error and training.step < training.steps:
        raise TrainingError(f"{stop.error}; step {training.step} is saved: go on with --resume") from stop.error
    if writer:
        metrics = writer.metrics
    late = stop.late and training.step < training.steps
    return Outcome(training.step, training.steps, time.monotonic() - begin, stop.number, late, metrics, facts)


def open_training(config: RunConfig, plugins: Plugins, fabric: Fabric) -> tuple[Training, Data]:
    """Opens the data and builds the networks; raises as `train`."""
    _check_world(config, fabric)
    recipe = build_recipe(plugins, config.recipe, config.options)
    data = open_data(config.data, plugins, needs=recipe.needs, paired=recipe.paired, seed=config.seed)
    return setup(config, plugins, data, fabric), data


def feed(
    training: Training,
    data: Data,
    fabric: Fabric,
    skipped: set[str] | Counter[str],
    failed: Callable[[TrainingError], None] | None = None,
) -> Generator[list[Batch]]:
    """What `Training.train_step` takes, step by step from the training's own on; never ends.

    Args:
        training: its step and configuration.
        data: where samples come from.
        fabric: this process and its device.
        skipped: gets the names of samples that had to be replaced.
        failed: is told when a loader process dies, and the rest is loaded in this one; None: ends with the error.
    """
    train = training.config.train
    on_gpu = fabric.device.type == "cuda"
    start, workers = training.step * train.accumulate, training.config.data.workers
    rank, world = fabric.global_rank, fabric.world_size

    def load(first: int, workers: int) -> Iterator[dict[str, Any]]:
        seed = training.config.seed
        order = Order(len(data.train), train.batch_size, seed, start=start + first, rank=rank, world=world)
        return batches(data.train, order, workers, pin_memory=on_gpu)

    loader = outliving(load, (min(8, _cores()) if on_gpu else 0) if workers is None else workers, failed)
    while True:
        ready = []
        for batch in islice(loader, train.accumulate):
            skipped.update(batch[SKIPPED])
            ready.append(to_device(batch, fabric.device, training.context.dtype))
        yield ready


def _loop(
    training: Training,
    data: Data,
    fabric: Fabric,
    open_writer: Callable[..., Writer],
    go_back: Callable[[DivergedError], str],
    stop: Stop,
) -> Writer | None:
    """The steps themselves.

    The first process writes nothing before one step is done: that it can be done is the check of all that takes part.
    """
    named = Counter[str]()
    writer: Writer | None = None
    begun, steps = training.step, feed(training, data, fabric, named, stop.fail)
    untrained = training.translators() if begun == 0 and fabric.is_global_zero else {}
    while training.step < training.steps:
        try:
            losses = training.train_step(next(steps))
        except DivergedError as error:
            line = go_back(error)
            steps.close()
            steps = feed(training, data, fabric, named, stop.fail)
            if writer:
                writer.go_back(line)
            continue
        except (PluginError, DataError) as error:
            if training.step == begun:
                raise
            raise TrainingError(f"{error}, at step {training.step}; go on with --resume") from error
        if writer is None and fabric.is_global_zero:
            writer = open_writer(begun, untrained)
            untrained = {}  # these copies need memory
        stopping = stop.asked() and (stop.number > 0 or training.step < training.steps)
        pools = training.context.pools() if stopping or training.saves else None
        if writer:
            writer.after_step(losses, named, pools=pools, stopping=stopping)
        # whoever asked while a checkpoint was written need not wait for another step
        if stopping or (pools is not None and stop.asked()):
            break
    return writer


def _go_back(
    training: Training,
    plugins: Plugins,
    data: Data,
    fabric: Fabric,
    run: RunFolder,
    reporter: Reporter,
    error: DivergedError,
) -> str:
    """Goes back to the last good state, or raises; returns the line that was said."""

    def restart() -> None:
        training.restore(setup(training.config, plugins, data, fabric).checkpoint({}))
        _start(training)

    line = roll_back(error, training, fabric, run, restart)
    reporter.say(f"warning: {line}")
    return line


def _writer(
    training: Training,
    validation: Validation,
    run: RunFolder,
    reporter: Reporter,
    metrics: Mapping[str, float],
    begun: int,
    untrained: Mapping[str, Translator],
) -> Writer:
    """Begins to write, or goes on from the step that was `begun` with."""
    measured = validation.measure(untrained) if untrained else {}
    writer = Writer(training, validation, run, reporter, metrics, begun)
    checkpoints.set_aside_after(run.checkpoints, begun)
    if untrained:
        writer.begin(untrained, measured)
    return writer


def _try(training: Training, data: Data, fabric: Fabric, validation: Validation, facts: Mapping[str, Any]) -> None:
    """One step of every phase and one sample grid, in memory."""
    reporter = Reporter(1, 0, enabled=fabric.is_global_zero)
    _announce(reporter, training, data, facts)
    for line in _start(training):
        reporter.say(line)
    untrained = training.translators()
    losses = training.train_step(next(feed(training, data, fabric, set())), every_phase=True)
    validation.measure(untrained)
    with attributed_to(f"{training.who}, translators"):
        sample_grid(untrained, validation, 1)
    text = ", ".join(f"{name} {float(loss):.4g}" for name, loss in losses.items())
    reporter.say(f"one step done, nothing written: {text}")


def _resume(training: Training, run: RunFolder) -> tuple[list[str], dict[str, float]]:
    """Goes on from the newest whole checkpoint, if any; returns what was damaged, and the validation saved with it."""
    found, damaged = checkpoints.load_newest(run.checkpoints)
    if found:
        training.restore(found)
        return damaged, found.state["metrics"]
    if damaged:
        raise RunError(f"{run.path}: no whole checkpoint is left; {damaged[0]}")
    return [], {}


def _start(training: Training) -> list[str]:
    """At the beginning of a run that starts from another one, takes its weights; returns lines to say."""
    train = training.config.train
    if training.step > 0 or train.start_from is None:
        return []
    return begin_from(training, Path(train.start_from), strict=train.start_strict)


def _check_world(config: RunConfig, fabric: Fabric) -> None:
    batch, world = config.train.batch_size, fabric.world_size
    if batch % world:
        raise ConfigError(f"train.batch_size={batch} cannot be shared by {world} processes: set a multiple of {world}")


def _announce(reporter: Reporter, training: Training, data: Data, facts: Mapping[str, Any], where: str = "") -> None:
    for problem in data.problems:
        reporter.say(f"warning: left out {problem}")
    for line in data.warnings:
        reporter.say(f"warning: {line}")
    reporter.say(
        f"{training.config.recipe}: {len(data.train)} training and {len(data.val)} validation samples ({data.layout})"
    )
    reporter.say(", ".join(f"{key} {value}" for key, value in facts.items()))
    start = f"from step {training.step} " if training.step else ""
    reporter.say(f"training {start}to step {training.steps}{where}")


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
        **({"started from": training.config.train.start_from} if training.config.train.start_from else {}),
        **{f"{name} parameters": text for name, text in parameters.items()},
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
