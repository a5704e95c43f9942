"""Progress of a training on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from i2i.files import printable


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
        """Prints one line; control characters in it, as of a path, are escaped."""
        if self.enabled:
            self.console.print(printable(line), markup=False, soft_wrap=True)
