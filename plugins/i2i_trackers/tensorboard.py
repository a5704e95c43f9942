"""TensorBoard's event files in the folder ``tensorboard`` of the run, each event written at once.

torch's `SummaryWriter` is not used: it writes in a thread, which on a full disk prints a traceback and leaves the
training to hear of it later, or never.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary

import i2i


class TensorBoardTracker:
    """Writes curves, pictures and texts; a run that goes on begins a new file, which hides later steps of older ones.

    Args:
        config: no options.
        run: the run.
    """

    def __init__(self, config: i2i.Config, *, run: i2i.TrackedRun) -> None:
        folder = run.folder / "tensorboard"
        goes_on = any(folder.glob("events.out.tfevents.*"))
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}.{time.monotonic_ns()}"
        self.path = folder / name
        self._write(Event(file_version="brain.Event:2"))
        if goes_on:  # TensorBoard drops what older files have from this step on
            first = run.step + 1 if run.step else 0
            self._write(Event(step=first, session_log=SessionLog(status=SessionLog.START)))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a point to each curve."""
        for name, value in values.items():
            self._add(step, summary.scalar(name, value))

    def images(self, step: int, name: str, picture: np.ndarray) -> None:
        """Adds a picture ``(H, W, 3)`` uint8."""
        self._add(step, summary.image(name, picture, dataformats="HWC"))

    def text(self, step: int, name: str, text: str) -> None:
        """Adds a text."""
        self._add(step, summary.text(name, text))

    def _add(self, step: int, values: Any) -> None:
        self._write(Event(step=step, summary=values))

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        with self.path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())
