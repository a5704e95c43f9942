"""Writing during a training, by the first process: figures, sample grids, checkpoints."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch

from i2i.components.inference import Inference
from i2i.engine.context import Pools
from i2i.engine.output.examples import save_examples
from i2i.engine.output.grids import draw_grid, image_row, save_grid
from i2i.engine.output.log import MetricsLog
from i2i.engine.output.progress import Reporter
from i2i.engine.output.validate import Validation
from i2i.engine.saving import to_checkpoint
from i2i.engine.state import Training
from i2i.errors import PluginError, TrainingError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.disk import cannot_write, free_bytes
from i2i.runs.folder import RunFolder


class Writer:
    """Writes into the run folder what is due after each step: figures, sample grids, checkpoints.

    Args:
        training: the run in memory.
        validation: its validation images.
        run: its folder.
        reporter: where progress is shown.
        metrics: the last validation.
        first_step: the step at which this process began; log lines of later steps are dropped.
    """

    def __init__(
        self,
        training: Training,
        validation: Validation,
        run: RunFolder,
        reporter: Reporter,
        metrics: Mapping[str, float],
        first_step: int,
    ) -> None:
        self.training, self.validation, self.run, self.reporter = training, validation, run, reporter
        self.config = training.config.train
        self.metrics = dict(metrics)
        self.losses: dict[str, torch.Tensor] = {}
        self.reported: set[str] = set()  # skipped samples that were reported
        self.skipped = 0
        _check_space(training, run)
        try:  # only now: a resume whose settings do not fit must leave the old configuration
            run.write(run.config, training.config.to_yaml())
        except OSError as error:
            raise TrainingError(cannot_write(run.config, error)) from error
        self.log = MetricsLog(run, first_step)
        self._speed_begin = time.monotonic()
        self._speed_samples = training.samples_seen

    def begin(self, untrained: Inference, measured: dict[str, float]) -> None:
        """Writes example inputs, and the untrained networks' metrics and grid, to see progress against.

        Args:
            untrained: the networks before the first step.
            measured: on the validation images.
        """
        save_examples(self.run, self.validation, untrained.translators, self.config.sample_count)
        self._record_validation(0, measured)
        self.grid(0, untrained)

    def after_step(
        self, losses: Mapping[str, torch.Tensor], skipped: Counter[str], *, pools: Pools | None, stopping: bool
    ) -> None:
        """Writes what is due after a step.

        Args:
            losses: of the step.
            skipped: samples that had to be replaced so far.
            pools: the image pools of all processes; given when a checkpoint is to be written.
            stopping: whether this step is the last one of this process, which is then not validated.

        Raises:
            TrainingError: the disk is full or cannot be written to, or a metric fails; the checkpoint is saved.
        """
        try:
            self._after_step(losses, skipped, pools=pools, stopping=stopping)
        except OSError as error:
            path = Path(error.filename) if isinstance(error.filename, str) else self.run.path
            raise TrainingError(f"{cannot_write(path, error)}; go on with --resume") from error

    def _after_step(
        self, losses: Mapping[str, torch.Tensor], skipped: Counter[str], *, pools: Pools | None, stopping: bool
    ) -> None:
        step, last = self.training.step, self.training.step == self.training.steps
        self.losses.update(losses)
        self.reporter.advance(step)
        for line in sorted(skipped.keys() - self.reported):
            self.reporter.say(f"warning: left out {line}")
        self.reported |= skipped.keys()
        self.skipped = skipped.total()
        for line in self.training.health.warnings(step):
            self.reporter.say(f"warning: {line}")
            self.log.warn(step, line)
        if step % self.config.log_every == 0 or last:
            self.figures()
        if step % self.config.sample_every == 0 or last:
            self.grid(step, self.training.inference())
        if pools is not None:
            try:
                validated = not stopping and self.validate(step, self.training.inference())
            except PluginError as error:
                self.save(pools, validated=False)
                raise TrainingError(f"{error}, at step {step}, which is saved: go on with --resume") from error
            self.save(pools, validated=validated)

    def go_back(self, line: str) -> None:
        """Forgets what was written after the step that the training went back to.

        Args:
            line: why it did.
        """
        step = self.training.step
        checkpoints.set_aside_after(self.run.checkpoints, step)
        self.log = MetricsLog(self.run, step)
        self.log.warn(step, line)
        self.losses.clear()
        self.reporter.advance(step)
        self._speed_begin, self._speed_samples = time.monotonic(), self.training.samples_seen

    def figures(self) -> None:
        """Writes losses, rates and speed."""
        values = {name: float(loss) for name, loss in self.losses.items()} | self.training.health.figures()
        seconds = time.monotonic() - self._speed_begin
        images = self.training.samples_seen - self._speed_samples
        speed = {"images_per_second": images / seconds} if seconds > 0 and images else {}
        epoch = float(self.training.step / self.training.epoch_length)
        skipped = {"data/skipped": float(self.skipped)} if self.skipped else {}
        self.log.write(self.training.step, {"epoch": epoch} | values | self.training.rates() | speed | skipped)
        self.reporter.figures(values | speed)
        self.losses.clear()  # a phase that does not run until the next line has no figure there
        self._speed_begin, self._speed_samples = time.monotonic(), self.training.samples_seen

    def validate(self, step: int, inference: Inference) -> bool:
        """Measures on the validation images and logs the metrics; whether there are any."""
        begin = time.monotonic()
        measured = self.validation.figures(inference)
        self._record_validation(step, measured)
        self._speed_begin += time.monotonic() - begin
        return bool(measured)

    def _record_validation(self, step: int, measured: dict[str, float]) -> None:
        if measured:
            self.metrics = measured
            values = {f"val/{name}": value for name, value in measured.items()}
            self.log.write(step, values)
            text = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
            self.reporter.say(f"validation at step {step}: {text}")

    def grid(self, step: int, inference: Inference) -> None:
        """Draws the sample grid."""
        begin = time.monotonic()
        grid = draw_grid(inference, self.validation, self.config.sample_count)
        if grid is not None:
            save_grid(self.run.samples / f"step-{step:07d}.png", grid)
            self.log.images(step, "samples", grid.pixels)
        for name, images in self.training.context.images.items():
            self.log.images(step, name, image_row(images))
        self._speed_begin += time.monotonic() - begin

    def save(self, pools: Pools, *, validated: bool) -> None:
        """Writes a checkpoint, then removes what is no longer needed."""
        begin = time.monotonic()
        checkpoint = to_checkpoint(self.training, pools)
        metrics = self.metrics if validated else {}
        score = self.validation.score(metrics) if self.training.all_phases_begun else None
        checkpoint.state |= {"metrics": metrics, "score": score}
        checkpoints.save(self.run.checkpoints, checkpoint)
        checkpoints.prune(self.run.checkpoints, self.config.keep_last, self.config.keep_every)
        self._speed_begin += time.monotonic() - begin


def _check_space(training: Training, run: RunFolder) -> None:
    # the optimiser of a phase that has not run yet holds nothing: assume Adam's two moments
    new = {id(one.optimizer): one.parameters for one in training.phase_optimizers if not one.optimizer.state}
    moments = sum(2 * p.nbytes for parameters in new.values() for p in parameters)
    needed = checkpoints.size_of(to_checkpoint(training, {})) + moments
    if (free := free_bytes(run.path)) < needed:
        what = f"a checkpoint needs about {needed:,} bytes, {free:,} are free"
        raise TrainingError(f"{run.path}: no disk space: {what}; make room or choose another --out")
