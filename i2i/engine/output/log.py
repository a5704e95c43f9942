"""What a run says of itself while it trains: lines of metrics.jsonl, and the same for its trackers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from i2i.engine.output.progress import Reporter
from i2i.engine.output.trackers import Trackers
from i2i.errors import TrainingError
from i2i.files import write_file
from i2i.runs.disk import cannot_write
from i2i.runs.folder import RunFolder


class RunLog:
    """Writes figures to the run folder and tells trackers; a line of metrics.jsonl is a JSON object with ``step``.

    Args:
        run: the run's folder.
        trackers: where the figures go besides.
        reporter: shows a warning for a tracker that fails.
        step: the step that the run goes on from.
    """

    def __init__(self, run: RunFolder, trackers: Trackers, reporter: Reporter, step: int) -> None:
        self.path, self.trackers, self.reporter, self.step = run.metrics, trackers, reporter, step
        trackers.warn = self._tracker_failed

    def begin(self) -> None:
        """Drops lines of later steps, which a process that was interrupted has left, and builds the trackers.

        Raises:
            TrainingError: the disk is full or cannot be written to.
        """
        try:
            _drop_after(self.path, self.step)
        except OSError as error:
            raise TrainingError(cannot_write(Path(error.filename or self.path), error)) from error
        self.trackers.begin(self.step)

    def go_back(self, step: int) -> None:
        """Begins again at an earlier step; raises as `begin`."""
        self.step = step
        self.begin()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds one line; raises as `begin`."""
        self.step = step
        self._line({"step": step, **values})
        self.trackers.log(step, values)

    def warn(self, step: int, line: str) -> None:
        """Adds a line ``{"step": N, "warning": TEXT}``; raises as `begin`."""
        self.step = step
        self._line({"step": step, "warning": line})
        self.trackers.text(step, "warning", line)

    def images(self, step: int, name: str, grid: np.ndarray) -> None:
        """Shows the trackers a picture ``(H, W, 3)`` uint8; raises as `begin`."""
        self.step = step
        self.trackers.images(step, name, grid)

    def end(self, *, done: bool) -> None:
        """Ends the trackers; raises as `begin`.

        Args:
            done: whether the run has reached its last step.
        """
        self.trackers.finish(done=done)

    def _tracker_failed(self, line: str) -> None:
        self.reporter.say(f"warning: {line}")
        self.warn(self.step, line)

    def _line(self, entry: Mapping[str, Any]) -> None:
        with self._writing(), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TrainingError(f"{cannot_write(self.path, error)}; go on with --resume") from error


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
