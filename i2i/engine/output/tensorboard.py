"""TensorBoard's event files, written at once.

torch's `SummaryWriter` has a thread that writes. On a full disk the thread prints a traceback, and the training may end
before it hears of the failure.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary


class EventWriter:
    """Writes curves, pictures and texts for TensorBoard; every method raises OSError when the disk is full.

    Args:
        folder: where the event file goes; made if need be.
        purge_step: events of this step and later ones, in older files, are not shown.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}.{time.monotonic_ns()}"
        self.path = folder / name
        self._write(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._write(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Adds a number to a curve."""
        self._add(summary.scalar(name, value), step)

    def add_image(self, name: str, image: np.ndarray, step: int) -> None:
        """Adds a picture ``(H, W, 3)`` uint8."""
        self._add(summary.image(name, image, dataformats="HWC"), step)

    def add_text(self, name: str, text: str, step: int) -> None:
        """Adds a text."""
        self._add(summary.text(name, text), step)

    def _add(self, values: Any, step: int) -> None:
        self._write(Event(step=step, summary=values))

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        with self.path.open("ab") as file:
            RecordWriter(file).write(event.SerializeToString())
