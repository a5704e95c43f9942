"""What the first process writes beside training: figures, grids, checkpoints."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping

import torch

from i2i.api import Translator
from i2i.engine.context import Pools
from i2i.engine.grids import image_row, sample_grid, save_grid
from i2i.engine.log import Log, Reporter
from i2i.engine.state import Training
from i2i.engine.validate import Validation, save_examples
from i2i.errors import PluginError, RunError, TrainingError, blaming
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder


class Writer:
    """What the first process writes beside training: figures, grids, checkpoints.

    Args:
        training: the run in memory.
        validation: its validation images.
        run: its folder.
        reporter: where progress is shown.
        metrics: the last validation.
        begun: the step that this process went on from; what was logged after it goes.
    """

    def __init__(
        self,
        training: Training,
        validation: Validation,
        run: RunFolder,
        reporter: Reporter,
        metrics: Mapping[str, float],
        begun: int,
    ) -> None:
        self.training, self.validation, self.run, self.reporter = training, validation, run, reporter
        self.config = training.config.train
        self.metrics = dict(metrics)
        self.losses: dict[str, torch.Tensor] = {}
        self.said: set[str] = set()
        _check_space(training, run)
        try:  # only now: a resume whose settings do not fit must leave the old configuration
            run.write(run.config, training.config.to_yaml())
        except OSError as error:
            raise RunError(f"{run.config}: cannot write: {error.strerror or error}") from error
        self.log = Log(run, begun)
        self.since = time.monotonic()
        self.since_step = training.step

    def begin(self, untrained: Mapping[str, Translator], measured: dict[str, float]) -> None:
        """The untrained networks' figures and grid, to see progress against.

        Args:
            untrained: what `Training.translators` gave before the first step.
            measured: on the validation images.
        """
        save_examples(self.run.examples, self.validation, untrained, self.config.sample_count)
        self._note(0, measured)
        self.grid(0, untrained)

    def after_step(
        self, losses: Mapping[str, torch.Tensor], named: set[str], *, pools: Pools | None, stopping: bool
    ) -> None:
        """Whatever is due after a step: a checkpoint if there are the processes' `pools` to go into it."""
        try:
            self._after_step(losses, named, pools=pools, stopping=stopping)
        except OSError as error:
            raise TrainingError(
                f"{self.run.path}: cannot write: {error.strerror or error}; go on with --resume"
            ) from error

    def _after_step(
        self, losses: Mapping[str, torch.Tensor], named: set[str], *, pools: Pools | None, stopping: bool
    ) -> None:
        step, last = self.training.step, self.training.step == self.training.steps
        self.losses.update(losses)
        self.reporter.advance(step)
        for line in sorted(named - self.said):
            self.reporter.say(f"warning: left out {line}")
        self.said |= named
        if step % self.config.log_every == 0 or last:
            self.figures()
        if step % self.config.sample_every == 0 or last:
            self.grid(step, self.training.translators())
        if pools is not None:
            try:
                if not stopping:
                    self.validate(step, self.training.translators())
            except PluginError as error:
                self.save(pools, validated=False)
                raise TrainingError(f"{error}, at step {step}, which is saved: go on with --resume") from error
            self.save(pools, validated=not stopping)

    def figures(self) -> None:
        """Writes losses, rates and speed."""
        values = self._finite()
        seconds = time.monotonic() - self.since
        images = (self.training.step - self.since_step) * self.config.batch_size * self.config.accumulate
        speed = {"images_per_second": images / seconds} if seconds > 0 and images else {}
        epoch = self.training.step * self.config.batch_size * self.config.accumulate / self.training.epoch_length
        self.log.write(self.training.step, {"epoch": epoch} | values | self.training.rates() | speed)
        self.reporter.figures(values | speed)
        self.losses.clear()  # a phase that does not run until the next line has no figure there
        self.since, self.since_step = time.monotonic(), self.training.step

    def _finite(self) -> dict[str, float]:
        """The newest losses as numbers; stops the run when one is none, before anything of it is saved."""
        values = {name: float(loss) for name, loss in self.losses.items()}
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            raise TrainingError(
                f"{bad[0]} is {values[bad[0]]} at step {self.training.step}; nothing of it was saved: "
                "try a lower train.optimizer.lr, or engine.precision=fp32"
            )
        return values

    def validate(self, step: int, translators: Mapping[str, Translator]) -> None:
        """Measures on the validation images."""
        begin = time.monotonic()
        self._note(step, self.validation.measure(translators))
        self.since += time.monotonic() - begin

    def _note(self, step: int, measured: dict[str, float]) -> None:
        if measured:
            self.metrics = measured
            values = {f"val/{name}": value for name, value in measured.items()}
            self.log.write(step, values)
            text = ", ".join(f"{name} {value:.4g}" for name, value in measured.items())
            self.reporter.say(f"validation at step {step}: {text}")

    def grid(self, step: int, translators: Mapping[str, Translator]) -> None:
        """Draws the sample grid."""
        begin = time.monotonic()
        with blaming(f"{self.training.who}, translators"):
            grid = sample_grid(translators, self.validation, self.config.sample_count)
        if grid is not None:
            save_grid(self.run.samples / f"step-{step:07d}.png", grid)
            self.log.images(step, "samples", grid)
        for name, images in self.training.context.images.items():
            self.log.images(step, name, image_row(images))
        self.since += time.monotonic() - begin

    def save(self, pools: Pools, *, validated: bool) -> None:
        """Writes a checkpoint, then removes what is no longer needed."""
        begin = time.monotonic()
        self._finite()
        checkpoint = self.training.checkpoint(pools)
        metrics = self.metrics if validated else {}
        score = self.validation.score(metrics) if self.training.begun else None
        checkpoint.state |= {"metrics": metrics, "score": score}
        checkpoints.save(self.run.checkpoints, checkpoint)
        checkpoints.prune(self.run.checkpoints, self.config.keep_last)
        self.since += time.monotonic() - begin


def _check_space(training: Training, run: RunFolder) -> None:
    numbers = sum(p.numel() for module in training.modules.values() for p in module.parameters())
    needed = numbers * 4 * 3 + sum(
        p.numel() * 4 for average in training.averages.values() for p in average.parameters()
    )
    free = shutil.disk_usage(run.path).free
    if free < needed:
        what = f"a checkpoint needs about {needed:,} bytes, {free:,} are free"
        raise RunError(f"{run.path}: no disk space: {what}; make room or choose another --out")
