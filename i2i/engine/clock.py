"""A clock for the parts of a training step; it is off unless somebody wants to know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


class Clock:
    """Measures named parts that follow one another.

    Args:
        device: where work is done that a part waits for; None: nothing is measured.

    Attributes:
        seconds: wall time and CPU time of each part so far, in the order in which they first came.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device
        self.seconds: dict[str, tuple[float, float]] = {}

    def part(self, name: str) -> AbstractContextManager[None]:
        """Measures what is done while the context lasts, under a name; parts must not contain each other."""
        return nullcontext() if self.device is None else self._measured(name)

    def wait(self) -> None:
        """Waits until a GPU has done what it was asked for."""
        if self.device is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @contextmanager
    def _measured(self, name: str) -> Iterator[None]:
        self.wait()
        begin, cpu_begin = time.perf_counter(), time.process_time()
        yield
        self.wait()
        wall, cpu = self.seconds.get(name, (0.0, 0.0))
        self.seconds[name] = (wall + time.perf_counter() - begin, cpu + time.process_time() - cpu_begin)
