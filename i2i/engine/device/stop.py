"""Ending a run when the system asks for it, with nothing lost."""

from __future__ import annotations

import math
import os
import signal
import time
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import distributed

from i2i.errors import TrainingError


class Stop:
    """Turns SIGINT, SIGTERM and SIGHUP into "finish this step, save, leave"; a second SIGINT leaves at once.

    A training that can only just finish its step, `fail`, ends in the same way.

    Args:
        fabric: this process.
        deadline: of `time.monotonic`, after which the same is asked for.
    """

    def __init__(self, fabric: Fabric, deadline: float = math.inf) -> None:
        self.fabric, self.deadline = fabric, deadline
        self.number, self.late = 0, False
        self.error: TrainingError | None = None
        self.process = os.getpid()

    def __enter__(self) -> None:
        self.old: dict[int, Any] = {}
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            try:
                self.old[number] = signal.signal(number, self._note)
            except ValueError:  # not in the main thread: whoever started the thread handles signals
                return

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self.process:  # a loader process: it ends when it is no longer needed
            return
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number

    def fail(self, error: TrainingError) -> None:
        """Asks for the end because of an error, which `train` raises after saving; a signal goes before it."""
        if not self.number:
            self.error = error

    def noted(self) -> bool:
        """Whether this process was told to stop by a signal: for what only it does, and can leave undone."""
        return self.number > 0

    def asked(self) -> bool:
        """Whether any process was told to stop, failed, or its time is over; all of them get the same answer."""
        self.late = time.monotonic() > self.deadline
        if self.fabric.world_size > 1:
            flags = torch.tensor([self.number, self.late, self.error is not None], device=self.fabric.device)
            distributed.all_reduce(flags, distributed.ReduceOp.MAX)
            self.number, self.late = int(flags[0]), bool(flags[1])
            if flags[2] and self.error is None:
                self.error = TrainingError("another process of this training had to stop")
        return self.number > 0 or self.late or self.error is not None
