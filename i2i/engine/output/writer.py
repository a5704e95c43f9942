"""Writing during a training, by the first process: figures, sample grids, checkpoints."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from i2i.components.inference import Inference
from i2i.engine.context import Pools
from i2i.engine.output.examples import save_examples
from i2i.engine.output.grids import draw_grid, image_row, save_grid
from i2i.engine.output.log import RunLog
from i2i.engine.output.progress import Reporter
from i2i.engine.saving import to_checkpoint
from i2i.engine.state import Training
from i2i.engine.validation.best import Deciding
from i2i.engine.validation.validate import Validation
from i2i.errors import PluginError, TrainingError
from i2i.metrics.figures import Figure
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
        log: where figures and pictures go; begun here, to be ended when the training ends.
    """

    def __init__(
        self,
        training: Training,
        validation: Validation,
        run: RunFolder,
        reporter: Reporter,
        log: RunLog,
    ) -> None:
        self.training, self.validation, self.run, self.reporter = training, validation, run, reporter
        self.config = training.config.train
        self.losses: dict[str, torch.Tensor] = {}
        self.reported: set[str] = set()  # skipped samples that were reported
        self.skipped = 0
        _check_space(training, run)
        try:  # only now: a resume whose settings do not fit must leave the old configuration
            run.write(run.config, training.config.to_yaml())
        except OSError as error:
            raise TrainingError(cannot_write(run.config, error)) from error
        self.log = log
        log.begin()
        self._speed_begin = time.monotonic()
        self._speed_samples = training.samples_seen
        self._begin, self._run_before = self._speed_begin, training.validated.spent.run
        self._share_reported = False
        if log.step:
            self._write_validation()

    def begin(self, untrained: Inference, measured: dict[str, Figure], seconds: float) -> None:
        """Writes example inputs, and the untrained networks' metrics and grid, to see progress against.

        Args:
            untrained: the networks before the first step.
            measured: on the validation images.
            seconds: how long that took.
        """
        save_examples(self.run, self.validation, untrained.translators, self.config.sample_count)
        self.training.validated.spent.add(seconds)
        self._record_validation(0, measured)
        self.grid(0, untrained)

    def after_step(
        self, losses: Mapping[str, torch.Tensor], skipped: Counter[str], *, pools: Pools | None, stopping: bool
    ) -> str:
        """Writes what is due after a step.

        Args:
            losses: of the step.
            skipped: samples that had to be replaced so far.
            pools: the image pools of all processes; given when a checkpoint is to be written.
            stopping: whether this step is the last one of this process, which is then not validated.

        Returns:
            Why the run is complete before its last step, in a few words; empty if it goes on.

        Raises:
            TrainingError: the disk is full or cannot be written to, or a metric fails; the checkpoint is saved.
        """
        try:
            self._after_step(losses, skipped, pools=pools, stopping=stopping)
        except OSError as error:
            path = Path(error.filename) if isinstance(error.filename, str) else self.run.path
            raise TrainingError(f"{cannot_write(path, error)}; go on with --resume") from error
        return self.training.ended_early

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
                if not stopping and self.training.validation_due and self._has_time(last=last):
                    self.validate(step, self.training.inference())
            except PluginError as error:
                self.save(pools)
                raise TrainingError(f"{error}, at step {step}, which is saved: go on with --resume") from error
            self.save(pools)

    def go_back(self, line: str) -> None:
        """Forgets what was written after the step that the training went back to.

        Args:
            line: why it did.
        """
        step = self.training.step
        checkpoints.set_aside_after(self.run.checkpoints, step)
        self.log.go_back(step)
        self.log.warn(step, line)
        self._write_validation()
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

    def validate(self, step: int, inference: Inference) -> None:
        """Measures on the validation images and records the figures."""
        begin = time.monotonic()
        measured = self.validation.figures(inference)
        seconds = time.monotonic() - begin
        self.training.validated.spent.add(seconds)
        if measured and self.training.all_phases_begun:
            record = self.training.validated
            record.best = record.best.after(step, measured, self._deciding(measured))
        self._record_validation(step, measured)
        self._speed_begin += seconds

    def _deciding(self, measured: Mapping[str, Figure]) -> Deciding | None:
        """The figure that decides: unless one is asked for, that which has decided so far."""
        known = self.training.validated.best.figure
        asked = self.config.best_metric is not None or self.config.best_direction != "auto"
        return self.validation.deciding(measured) if asked or known is None else known

    def _has_time(self, *, last: bool) -> bool:
        """Whether there is time for a validation; that of the last step, and those asked for, have theirs."""
        train, spent = self.config, self.training.validated.spent
        spent.run = self._run_before + time.monotonic() - self._begin
        if last or spent.allows(train.validate_share):
            return True
        if train.validate_every is not None or train.validate_epochs is not None or train.patience is not None:
            return True
        if not self._share_reported:
            self._share_reported = True
            self.reporter.say(
                f"note: validation took {spent.validation:.0f} s of {spent.run:.0f} s: the next ones are left out "
                f"until they fit into train.validate_share={train.validate_share:g}; to have all of them, set "
                f"train.validate_every={train.checkpoint_every}; fewer train.val_images take less time"
            )
        return False

    def _record_validation(self, step: int, measured: dict[str, Figure]) -> None:
        if not measured:
            return
        record = self.training.validated
        record.step, record.figures = step, measured
        errors = {f"val_error/{name}": one.error for name, one in measured.items() if one.error is not None}
        self.log.write(step, {f"val/{name}": value for name, value in record.values.items()} | errors)
        for line in validation_lines(step, measured):
            self.reporter.say(line)
        self._write_validation()

    def _write_validation(self) -> None:
        """Writes ``validation.json``, or removes it where there is nothing to tell."""
        record = self.training.validated
        if record.step is None:
            self.run.validation.unlink(missing_ok=True)
        else:
            text = json.dumps(record.report(self.training.ended_early), indent=2)
            self.run.write(self.run.validation, text + "\n")

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

    def save(self, pools: Pools) -> None:
        """Writes a checkpoint, then removes what is no longer needed."""
        begin = time.monotonic()
        record = self.training.validated
        record.spent.run = self._run_before + begin - self._begin
        figures = record.figures if record.step == self.training.step else {}
        figure = record.best.figure if self.training.all_phases_begun else None
        score = figure.score(figures) if figure else None
        checkpoint = to_checkpoint(self.training, pools)
        checkpoint.state |= {
            "metrics": {name: one.value for name, one in figures.items()},
            "score": score,
            "score_of": asdict(figure) if figure and score is not None else None,
        }
        checkpoints.save(self.run.checkpoints, checkpoint)
        checkpoints.prune(self.run.checkpoints, self.config.keep_last, self.config.keep_every)
        self._speed_begin += time.monotonic() - begin


def validation_lines(step: int, figures: Mapping[str, Figure]) -> list[str]:
    """The figures for the terminal: a line for those of all images, and one for each metric's figures by class.

    Args:
        step: the step that was validated.
        figures: by name; see `SampleMetrics.figures`.
    """
    found = {name: str(one) for name, one in figures.items() if not one.problem}
    whole = ", ".join(f"{name} {text}" for name, text in found.items() if "/class/" not in name)
    by_class: dict[str, list[str]] = {}
    for name, text in found.items():
        metric, of_class, label = name.partition("/class/")
        if of_class:
            by_class.setdefault(metric, []).append(f"{label} {text}")
    lines = [f"validation at step {step}: {whole}"] if whole else []
    return lines + [f"  {metric} by class: {', '.join(texts)}" for metric, texts in by_class.items()]


def _check_space(training: Training, run: RunFolder) -> None:
    # the optimiser of a phase that has not run yet holds nothing: assume Adam's two moments
    new = {id(one.optimizer): one.parameters for one in training.phase_optimizers if not one.optimizer.state}
    moments = sum(2 * p.nbytes for parameters in new.values() for p in parameters)
    needed = checkpoints.size_of(to_checkpoint(training, {})) + moments
    if (free := free_bytes(run.path)) < needed:
        what = f"a checkpoint needs about {needed:,} bytes, {free:,} are free"
        raise TrainingError(f"{run.path}: no disk space: {what}; make room or choose another --out")
