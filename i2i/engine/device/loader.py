"""Reading ahead by other processes, when one of them dies."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from i2i.errors import TrainingError

Batches = Iterator[dict[str, Any]]


def outliving(
    load: Callable[[int, int], Batches], workers: int, failed: Callable[[TrainingError], None] | None
) -> Batches:
    """The batches of `load`, also when a loader process dies: the rest is then loaded in this process.

    So the step that needs the batch can be finished, and what was trained can be saved.

    Args:
        load: opens the batches from the given one on, read ahead by so many processes.
        workers: how many.
        failed: is told of the death, before the next batch comes; None: the death ends the batches.

    Raises:
        TrainingError: a loader process died, and there is nobody to be told.
    """
    done, children = 0, list[BaseProcess]()
    try:
        for batch in load(0, workers):
            if done == 0 and workers:
                _hear_of_deaths_only_here()
                children = multiprocessing.active_children()
            done += 1
            yield batch
    except (RuntimeError, OSError, EOFError) as error:
        if not workers or not _is_death(error):
            raise
        death = TrainingError(f"a loader process died{_whose(children)}")
        if failed is None:
            raise death from error
        failed(death)
    yield from load(done, 0)


def _is_death(error: Exception) -> bool:
    """Whether an error is torch's word for it, or what comes of asking a dead process for its images."""
    if isinstance(error, RuntimeError):
        return "DataLoader worker (pid" in str(error)
    asked = isinstance(error, ConnectionError | EOFError | FileNotFoundError)
    return asked and not str(error).startswith("Caught ")  # that is how an error inside a loader process arrives


def _whose(children: Sequence[BaseProcess]) -> str:
    wait([child.sentinel for child in children], 1.0)  # its sockets close a moment before it is gone
    dead = [child for child in children if not child.is_alive()]
    if not dead:
        return ""
    code = dead[0].exitcode or 0
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    memory = ", perhaps for want of memory" if -code == getattr(signal, "SIGKILL", 9) else ""
    return f" (process {dead[0].pid}, {how}{memory})"


def _hear_of_deaths_only_here() -> None:
    """Takes torch's SIGCHLD handler away, which raises wherever the main thread is: in a step, in a save.

    A dead process is then found when its batch does not come, within 5 seconds.
    """
    number = getattr(signal, "SIGCHLD", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        return
    if getattr(signal.getsignal(number), "__module__", "").startswith("torch."):
        signal.signal(number, signal.SIG_DFL)
