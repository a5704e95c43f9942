"""Figures of several runs in one file of JSON lines, for people who collect runs.

A line is an object with ``run`` (the run folder), ``recipe``, ``step`` and the figures by name; a warning is one with
``warning`` in their place. Runs that train at the same time take turns by a lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

import i2i
from i2i_trackers.options import JsonLinesConfig

MAX_WAIT = 60
"""Seconds to wait for another run that writes to the file."""


class JsonLinesTracker:
    """Appends lines; of a run that goes on, its own lines of later steps are dropped.

    Args:
        config: the options.
        run: the run.
    """

    def __init__(self, config: JsonLinesConfig, *, run: i2i.TrackedRun) -> None:
        folder = run.folder.resolve()
        self.path = Path(config.path).expanduser() if config.path else folder.parent / "figures.jsonl"
        self.head = {"run": str(folder), "recipe": run.recipe}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=MAX_WAIT)
        with self._lock:
            self._drop_after(run.step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a line with figures."""
        self._add({"step": step, **values})

    def text(self, step: int, name: str, text: str) -> None:
        """Adds a line with a text."""
        self._add({"step": step, name: text})

    def _add(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(self.head | dict(entry)).encode()
        with self._lock, self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read() == b"\n" else b"\n" + line  # another run's last line was cut
            file.write(line + b"\n")

    def _drop_after(self, step: int) -> None:
        """Removes this run's lines of later steps, all if it begins, and what a kill has left of a last line."""
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        lines = data.split(b"\n")[:-1]
        kept = b"".join(line + b"\n" for line in lines if not self._is_late(line, step))
        if kept != data:
            new = self.path.with_name(f".{self.path.name}.new")
            new.write_bytes(kept)
            new.replace(self.path)

    def _is_late(self, line: bytes, step: int) -> bool:
        try:
            entry = json.loads(line)
        except ValueError:  # not of a tracker
            return False
        if not isinstance(entry, dict) or entry.get("run") != self.head["run"]:
            return False
        return not step or not isinstance(entry.get("step"), int) or entry["step"] > step
