"""What a run says while it trains: metrics.jsonl, TensorBoard, and progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from i2i.errors import TrainingError
from i2i.files import write_file
from i2i.runs.disk import cannot_write, writing
from i2i.runs.folder import RunFolder


class Log:
    """Writes figures to the run folder; a line of metrics.jsonl is a JSON object with ``step``.

    Args:
        run: the run's folder.
        step: the step that the run goes on from; later lines of an interrupted run are dropped.
    """

    def __init__(self, run: RunFolder, step: int) -> None:
        from i2i.engine.output.board import Board  # TensorBoard takes long to import

        self.path = run.metrics
        try:
            _drop_after(self.path, step)
            self.board = Board(run.path / "tensorboard", purge_step=step + 1 if step else None)
        except OSError as error:
            raise TrainingError(cannot_write(Path(error.filename or self.path), error)) from error

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one line.

        Raises:
            TrainingError: the disk is full or cannot be written to.
        """
        with self._writing():
            self._line({"step": step, **values})
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def warn(self, step: int, line: str) -> None:
        """Adds a line ``{"step": N, "warning": TEXT}``; raises as `write`."""
        with self._writing():
            self._line({"step": step, "warning": line})
            self.board.add_text("warning", line, step)

    def _line(self, entry: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(f"{cannot_write(self.path, error)}; go on with --resume") from error

    def images(self, step: int, name: str, grid: np.ndarray) -> None:
        """Adds a picture ``(H, W, 3)`` uint8 to TensorBoard."""
        with writing(self.board.path):
            self.board.add_image(name, grid, step)


def _drop_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if step and json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):  # a line that the interruption cut
            continue
    write_file(path, "".join(kept).encode())


class Reporter:
    """Progress on stderr: a bar on a terminal, a line at every log interval elsewhere.

    Args:
        steps: steps of the run.
        step: the step it begins at.
        enabled: whether anything is shown; only the first process shows.
    """

    def __init__(self, steps: int, step: int, *, enabled: bool = True) -> None:
        self.console = Console(file=sys.stderr, highlight=False)
        self.enabled, self.steps, self.step = enabled, steps, step
        self.begin = time.monotonic()
        self.first = step
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        live = enabled and self.console.is_terminal
        self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console) if live else None

    def __enter__(self) -> Self:
        if self.bar:
            self.bar.start()
            self.task = self.bar.add_task("training", total=self.steps, completed=self.step, figures="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def advance(self, step: int) -> None:
        """Says that `step` steps are done."""
        self.step = step
        if self.bar:
            self.bar.update(self.task, completed=step)

    def figures(self, values: Mapping[str, Any]) -> None:
        """Shows the newest losses and speed."""
        losses = " ".join(
            f"{k.removeprefix('loss/')} {v:.3g}" for k, v in values.items() if k.startswith(("loss/", "val/"))
        )
        speed = f" {values['images_per_second']:.3g} images/s" if "images_per_second" in values else ""
        if self.bar:
            self.bar.update(self.task, figures=speed)
        elif self.enabled:
            done = max(1, self.step - self.first)
            left = (time.monotonic() - self.begin) / done * (self.steps - self.step)
            self.say(f"step {self.step}/{self.steps}  {losses} {speed}  {left:.0f} s left")

    def say(self, line: str) -> None:
        """Prints one line."""
        if self.enabled:
            self.console.print(line, markup=False, soft_wrap=True)
