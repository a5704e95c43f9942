"""Goes on with training for a moment when a loader process dies, so that what was trained can be saved."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from threading import current_thread, main_thread
from typing import Any

from torch.utils.data._utils import signal_handling

from i2i.errors import TrainingError, UserError

Batches = Iterator[dict[str, Any]]

DEATH_WAIT_S = 5.0
"""Seconds after an error of unknown cause in which a loader process may still be found dead.

A dying process closes its connections before the system reports its end; on a busy machine that takes a while.
"""


def survive_worker_death(
    load: Callable[[int, int, BaseContext], Batches],
    workers: int,
    on_death: Callable[[TrainingError], None] | None,
) -> Batches:
    """The batches of `load`; when a loader process dies, the rest is loaded in this process.

    So the step that needs the batch can be finished, and what was trained can be saved.

    Args:
        load: called with the number of the first batch, the number of loader processes, and the multiprocessing context
            that makes them.
        workers: number of loader processes.
        on_death: called once a loader process has died, before the next batch comes; None: the batches end.

    Raises:
        TrainingError: a loader process died, and `on_death` is None.
    """
    done, processes = 0, list[BaseProcess]()
    context = _recording_context(processes)
    try:
        with _without_sigchld_handler():
            batches = load(0, workers, context)
        for batch in batches:
            done += 1
            yield batch
        return
    except Exception as error:
        death = None if isinstance(error, UserError) else _death(processes)
        if death is None:
            raise
    batches = iter(())  # the last reference is gone, for the error is, too: the other loader processes end
    if on_death is None:
        raise death
    on_death(death)
    yield from load(done, 0, context)


def _recording_context(processes: list[BaseProcess]) -> BaseContext:
    """The usual multiprocessing context; every process that it makes is appended to `processes`."""
    context = copy(multiprocessing.get_context())
    make = context.Process

    def recorded(*args: Any, **options: Any) -> BaseProcess:
        process = make(*args, **options)
        processes.append(process)
        return process

    context.Process = recorded  # type: ignore[assignment,misc]
    return context


def _death(processes: Sequence[BaseProcess]) -> TrainingError | None:
    """The error that says which process died; None if all of them are alive.

    The errors of broken connections differ with the moment of the death, so the processes themselves are asked.
    """
    started = [process for process in processes if process.pid is not None]
    ready = wait([process.sentinel for process in started], DEATH_WAIT_S) if started else []
    for process in started:
        if process.sentinel in ready:  # a moment before there is an exit code
            process.join(DEATH_WAIT_S)
    dead = [process for process in started if process.exitcode is not None]
    if not dead:
        return None
    code = dead[0].exitcode or 0
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    memory = ", perhaps for want of memory" if -code == getattr(signal, "SIGKILL", 9) else ""
    return TrainingError(f"a loader process died (process {dead[0].pid}, {how}{memory})")


@contextmanager
def _without_sigchld_handler() -> Iterator[None]:
    """Takes away the SIGCHLD handler that torch installs when it first starts loader processes in a program.

    It raises wherever the main thread is: in a step, in a save. Without it a dead process is found when its batch does
    not come, within 5 seconds.
    """
    number = getattr(signal, "SIGCHLD", None)
    before = None if number is None else signal.getsignal(number)
    try:
        yield
    finally:
        # torch installs it in the main thread only; a loader of somebody else may have made it do so earlier
        if number is not None and _is_of_torch(signal.getsignal(number)) and current_thread() is main_thread():
            signal.signal(number, signal.SIG_DFL if before is None or _is_of_torch(before) else before)


def _is_of_torch(handler: object) -> bool:
    return getattr(handler, "__module__", "") == signal_handling.__name__
