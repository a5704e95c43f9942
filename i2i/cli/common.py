"""What several commands need, and all of them before anything else."""

from __future__ import annotations

import importlib.metadata
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from i2i.plugins import Plugins


class Stopped(BaseException):
    """A signal asked the command to stop; its number is `args[0]`. No `Exception`, so that nothing takes it for one."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGINT, SIGTERM and SIGHUP raise `Stopped` in the main thread."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Stopped(number)

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def plugins_of(context: typer.Context) -> Plugins:
    """The plugins as the options before the command ask for them."""
    from i2i.plugins import Plugins

    return Plugins(**context.obj)


def forgive_malformed_metadata() -> None:
    """From now on a distribution whose entry points cannot be parsed has none, in this process.

    torch, triton and pydantic ask for the entry points of all packages when they are imported; Python raises for all of
    them if the file of one is malformed. The command line calls this before it imports them.
    """
    original = importlib.metadata.Distribution.entry_points.fget  # type: ignore[attr-defined]

    def entry_points(distribution: importlib.metadata.Distribution) -> importlib.metadata.EntryPoints:
        try:
            return original(distribution)
        except Exception:
            return importlib.metadata.EntryPoints()

    importlib.metadata.Distribution.entry_points = property(entry_points)  # type: ignore[assignment,method-assign]
