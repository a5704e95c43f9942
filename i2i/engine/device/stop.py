"""Ending a training early, on a signal, at its time limit or after a failure, with nothing lost."""

from __future__ import annotations

import math
import os
import signal
import time
from types import FrameType
from typing import Any

import torch
from torch import distributed

from i2i.components.processes import Processes
from i2i.errors import TrainingError
from i2i.signals import ending_signals


class StopRequest:
    """Whether the training is to finish its step, save and end.

    While the context lasts, SIGINT, SIGTERM and SIGHUP (unless it is ignored) request it; a second SIGINT does what it
    did before the context.

    Args:
        fabric: this process.
        deadline: time by `time.monotonic` after which a stop is requested.

    Attributes:
        signal: number of the signal that requested it, or 0.
        out_of_time: whether the deadline had passed when `requested` was asked last.
        error: why the training can only just finish its step, or None.
        early: why the run is complete before its last step, in a few words; empty if it is not.
    """

    def __init__(self, fabric: Processes, deadline: float = math.inf) -> None:
        self.signal, self.out_of_time = 0, False
        self.error: TrainingError | None = None
        self.early = ""
        self._fabric, self._deadline = fabric, deadline
        self._process = os.getpid()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in ending_signals():
            try:
                self._handlers[number] = signal.signal(number, self._handle)
            except ValueError:  # not in the main thread: whoever started the thread handles signals
                return

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked loader process, which the main process ends
            return
        if self.signal and number == signal.SIGINT and callable(before := self._handlers[number]):
            signal.signal(number, before)
            before(number, frame)
        self.signal = number

    def fail(self, error: TrainingError) -> None:
        """Requests the end because of an error, to be raised after saving; a signal that came before goes first."""
        if not self.signal:
            self.error = error

    def signalled(self) -> bool:
        """Whether this process got a signal: for work that only this process does, and can leave undone."""
        return self.signal > 0

    def requested(self) -> bool:
        """Whether any process got a signal, failed, is past its deadline, or found the run to be complete.

        Every process must ask at the same step, and all of them get the same answer.
        """
        self.out_of_time = time.monotonic() > self._deadline
        if self._fabric.world_size > 1:
            reasons = [self.signal, self.out_of_time, self.error is not None, bool(self.early)]
            flags = torch.tensor(reasons, device=self._fabric.device)
            distributed.all_reduce(flags, distributed.ReduceOp.MAX)
            self.signal, self.out_of_time = int(flags[0]), bool(flags[1])
            self.early = self.early or ("the first process knows why" if flags[3] else "")
            if flags[2] and self.error is None:
                self.error = TrainingError("another process of this training had to stop")
        return self.signal > 0 or self.out_of_time or self.error is not None or bool(self.early)
