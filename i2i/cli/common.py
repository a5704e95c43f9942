"""What several commands need, and all of them before anything else."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from i2i.plugins import Plugins


@contextmanager
def open_stdout() -> Iterator[None]:
    """What is printed inside may find that its reader, such as `head`, has seen enough: the rest is thrown away."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def say(line: str) -> None:
    """Prints a line on stderr; where nobody can read it any more, the work is to be done all the same."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # what is still in the buffer would fail again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def open_closed_streams() -> None:
    """Gives stdin, stdout and stderr something to lead to where they are closed, or a file would get their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


class Stopped(BaseException):
    """A signal asked the command to stop; its number is `args[0]`. No `Exception`, so that nothing takes it for one."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGINT, SIGTERM and SIGHUP raise `Stopped` in the main thread; SIGHUP stays ignored under nohup."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Stopped(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
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
