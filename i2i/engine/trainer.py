"""The training loop."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.components.inference import Inference
from i2i.components.processes import Processes
from i2i.config import RunConfig
from i2i.data.loading import Data
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.device import memory
from i2i.engine.device.stop import StopRequest
from i2i.engine.finetune import load_start_weights
from i2i.engine.health import DivergedError
from i2i.engine.output.data_facts import save_data
from i2i.engine.output.grids import draw_grid
from i2i.engine.output.log import RunLog
from i2i.engine.output.opening import opening_lines, run_facts
from i2i.engine.output.progress import Reporter
from i2i.engine.output.trackers import Trackers
from i2i.engine.output.writer import Writer
from i2i.engine.recipe_state import checked_state
from i2i.engine.rollback import roll_back
from i2i.engine.saving import restore, to_checkpoint
from i2i.engine.setup import build_training, open_training
from i2i.engine.state import Batch, Training
from i2i.engine.validation.validate import open_validation
from i2i.errors import ConfigError, DataError, PluginError, RunError, TrainingError
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder


@dataclass
class Outcome:
    """How a training ended.

    Attributes:
        step: finished steps.
        seconds: time in this process, data checks included.
        signal: number of the signal that stopped it early; 0 when it finished.
        out_of_time: its hours were over before it finished.
        early: why it was complete before its last step, see `train.patience`; empty if it was not.
        metrics: the last validation.
        facts: device, processes and sizes of the networks, for the summary.
    """

    step: int
    seconds: float
    signal: int = 0
    out_of_time: bool = False
    early: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


Chooser = Callable[[RunConfig, Data], tuple[RunConfig, str]]
"""Completes the configuration of a new run once its data is known, and gives a line for the user, or an empty one."""


def train(
    config: RunConfig, plugins: Plugins, fabric: Processes, run: RunFolder, choose: Chooser | None = None
) -> Outcome:
    """Trains until the configured step, going on from the run's newest whole checkpoint if there is one.

    Args:
        config: the resolved configuration.
        plugins: where components are looked up.
        fabric: this process, from `launch`.
        run: where everything is written.
        choose: chooses settings of the engine for a new run; None: the rules do.

    Raises:
        ConfigError: options do not fit each other, the images or the number of processes.
        DataError: the data cannot be used.
        RunError: the run's checkpoints are damaged or do not fit the configuration.
        TrainingError: training had begun and cannot go on.
    """
    return Trainer(config, plugins, fabric, run, choose).train()


def dry_run(config: RunConfig, plugins: Plugins, fabric: Processes) -> Outcome:
    """Tries one step of every phase, a validation and a sample grid in memory, and writes nothing.

    Raises:
        UserError: something of it fails.
    """
    begin = time.monotonic()
    training, data = open_training(config, plugins, fabric)
    validation = open_validation(training, data, plugins)
    facts = run_facts(training, fabric)
    reporter = Reporter(1, 0, enabled=fabric.is_global_zero)
    with memory.shortage_explained(training):
        for line in [*opening_lines(training, data, facts), *_start_from_other_run(training)]:
            reporter.say(line)
        untrained = training.inference()
        losses = training.train_step(next(step_batches(training, data, fabric)), every_phase=True)
        measured = validation.figures(untrained)
        for line in validation.left_out(measured):
            reporter.say(line)
        validation.refuse_unknown_best(measured)
        draw_grid(untrained, validation, 1)
        checked_state(training.recipe, training.owner)  # evaluate and grid may have written to it
    text = ", ".join(f"{name} {float(loss):.4g}" for name, loss in losses.items())
    reporter.say(f"one step done, nothing written: {text}")
    return Outcome(1, time.monotonic() - begin, facts=facts)


class Trainer:
    """Trains a run: steps, going back after numbers that are not finite, ending early.

    There is one in each process; the first process also writes. It writes nothing before the first step is done, which
    shows that data, networks and losses work together.

    Args:
        config: the resolved configuration.
        plugins: where components are looked up.
        fabric: this process.
        run: the run's folder; its newest whole checkpoint is restored.
        choose: see `train`.

    Raises:
        UserError: the data cannot be used, networks cannot be built, or no checkpoint is whole; see `train`.
    """

    def __init__(
        self, config: RunConfig, plugins: Plugins, fabric: Processes, run: RunFolder, choose: Chooser | None = None
    ) -> None:
        self.begin = time.monotonic()
        self.plugins, self.fabric, self.run = plugins, fabric, run
        found, self.damaged = checkpoints.load_newest(run.checkpoints)
        if found is None and self.damaged:
            raise RunError(f"{run.path}: no whole checkpoint is left; {self.damaged[0]}")
        self.start_lines: list[str] = []

        def complete(config: RunConfig, data: Data) -> RunConfig:
            if found or choose is None:  # a run that goes on keeps what it was begun with
                return config
            config, line = choose(config, data)
            self.start_lines += [line] if line else []
            return config

        self.training, self.data = open_training(config, plugins, fabric, found.recipe if found else None, complete)
        self.stop = StopRequest(fabric, self.begin + 3600 * (config.train.max_hours or math.inf))
        self.validation = open_validation(self.training, self.data, plugins, self.stop.signalled)
        self.facts = run_facts(self.training, fabric)
        if found:
            restore(self.training, found)
        self.stop.early = self.training.ended_early
        self.first_step = self.training.step
        self.start_lines += _start_from_other_run(self.training)
        self.reporter = Reporter(self.training.steps, self.first_step, enabled=fabric.is_global_zero)
        self.skipped = Counter[str]()
        self.writer: Writer | None = None

    def train(self) -> Outcome:
        """Trains until the end or until it is to stop; to be called once."""
        with self.reporter, self.stop:
            self._say_opening()
            try:
                if not self.stop.early:
                    with memory.shortage_explained(self.training):
                        self._loop()
            except Exception:  # a second Ctrl-C ends at once
                self._end_log()
                raise
            self._end_log()
        step, unfinished = self.training.step, self.training.step < self.training.steps
        if self.stop.error and unfinished:
            raise TrainingError(f"{self.stop.error}; step {step} is saved: go on with --resume") from self.stop.error
        return Outcome(
            step=step,
            seconds=time.monotonic() - self.begin,
            signal=self.stop.signal,
            out_of_time=self.stop.out_of_time and unfinished and not self.stop.early,
            early=self.stop.early,
            metrics=self.training.validated.values,
            facts=self.facts,
        )

    def _loop(self) -> None:
        batches = self._batches()
        untrained = self.training.inference() if self.first_step == 0 and self.fabric.is_global_zero else None
        while self.training.step < self.training.steps:
            try:
                losses = self.training.train_step(next(batches))
            except DivergedError as error:
                self._roll_back(error)
                batches.close()
                batches = self._batches()
                continue
            except (ConfigError, PluginError, DataError) as error:
                if self.training.step == self.first_step:
                    raise
                raise TrainingError(f"{error}, at step {self.training.step}; go on with --resume") from error
            if self.writer is None and self.fabric.is_global_zero:
                self.writer = self._open_writer(untrained)
                untrained = None  # these copies need memory
            if self._finish_step(losses):
                break

    def _batches(self) -> Generator[list[Batch]]:
        return step_batches(self.training, self.data, self.fabric, self.skipped, self.stop.fail)

    def _finish_step(self, losses: Mapping[str, Tensor]) -> bool:
        """Writes what is due after a step; whether the training is to end here."""
        unfinished = self.training.step < self.training.steps
        stopping = self.stop.requested() and (self.stop.signal > 0 or unfinished)
        saving = stopping or self.training.checkpoint_due
        pools = self.training.context.pools() if saving else None
        if self.writer:
            self.stop.early = self.writer.after_step(losses, self.skipped, pools=pools, stopping=stopping)
        # a request that came while a checkpoint was written need not wait for another step
        return stopping or (saving and self.stop.requested())

    def _roll_back(self, error: DivergedError) -> None:
        """Goes back to the last good state, in every process.

        Raises:
            TrainingError: going back cannot help.
        """
        line = roll_back(error, self.training, self.run, self._restart)
        self.fabric.barrier()  # the first process may now rename damaged checkpoints
        self.reporter.say(f"warning: {line}")
        if self.writer:
            self.writer.go_back(line)

    def _restart(self) -> None:
        """Brings the training back to step 0."""
        new = build_training(self.training.config, self.plugins, self.data, self.fabric)
        restore(self.training, to_checkpoint(new, {}))
        _start_from_other_run(self.training)

    def _say_opening(self) -> None:
        for line in self.damaged:
            self.reporter.say(f"warning: {line}; the checkpoint before it is used")
        where = f" in {self.run.path}"
        if self.stop.early:
            line = f"the run ended early at step {self.training.step}: {self.stop.early}"
            patience = f"a larger train.patience than {self.training.config.train.patience}"
            self.reporter.say(f"{line}; to go on, resume it with {patience}, or null")
            return
        for line in [*opening_lines(self.training, self.data, self.facts, where), *self.start_lines]:
            self.reporter.say(line)

    def _open_writer(self, untrained: Inference | None) -> Writer:
        """Begins to write, or goes on from the step at which this process began."""
        begin = time.monotonic()
        measured = self.validation.figures(untrained) if untrained else {}
        for line in self.validation.left_out(measured) if untrained else self.validation.missing_lines():
            self.reporter.say(line)
        known = measured if untrained else self.training.validated.figures
        if untrained or known:  # a run of an older i2i knows none before its next validation
            self.validation.refuse_unknown_best(known)
        log = RunLog(self.run, Trackers(self.training.config, self.plugins, self.run), self.reporter, self.first_step)
        writer = Writer(self.training, self.validation, self.run, self.reporter, log)
        save_data(self.run, self.data, self.training.config.data)
        checkpoints.set_aside_after(self.run.checkpoints, self.first_step)
        if untrained:
            writer.begin(untrained, measured, time.monotonic() - begin)
        return writer

    def _end_log(self) -> None:
        if self.writer:
            self.writer.log.end(done=self.training.step == self.training.steps or bool(self.stop.early))


def _start_from_other_run(training: Training) -> list[str]:
    """At step 0 of a run that starts from another one, takes its weights; returns lines for the user."""
    train = training.config.train
    if training.step > 0 or train.start_from is None:
        return []
    return load_start_weights(training, Path(train.start_from), strict=train.start_strict)
