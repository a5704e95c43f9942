"""The figures of a run, in metrics.jsonl and for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from i2i.errors import TrainingError
from i2i.files import write_file
from i2i.runs.disk import cannot_write, writing
from i2i.runs.folder import RunFolder


class MetricsLog:
    """Writes figures to the run folder; a line of metrics.jsonl is a JSON object with ``step``.

    Args:
        run: the run's folder.
        step: the step that the run goes on from; later lines of an interrupted run are dropped.
    """

    def __init__(self, run: RunFolder, step: int) -> None:
        from i2i.engine.output.tensorboard import EventWriter  # TensorBoard takes long to import

        self.path = run.metrics
        try:
            _drop_after(self.path, step)
            self.events = EventWriter(run.path / "tensorboard", purge_step=step + 1 if step else None)
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
                self.events.add_scalar(name, value, step)

    def warn(self, step: int, line: str) -> None:
        """Adds a line ``{"step": N, "warning": TEXT}``; raises as `write`."""
        with self._writing():
            self._line({"step": step, "warning": line})
            self.events.add_text("warning", line, step)

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
        with writing(self.events.path):
            self.events.add_image(name, grid, step)


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
