"""Ending a run when the system asks for it, with nothing lost."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import distributed


class Stop:
    """Turns SIGINT, SIGTERM and SIGHUP into "finish this step, save, leave"; a second SIGINT leaves at once."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric, self.number = fabric, 0

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
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = number

    def asked(self) -> bool:
        """Whether any process was told to stop; all of them get the same answer."""
        if self.fabric.world_size > 1:
            flag = torch.tensor(self.number, device=self.fabric.device)
            distributed.all_reduce(flag, distributed.ReduceOp.MAX)
            self.number = int(flag)
        return self.number > 0
