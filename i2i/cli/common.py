"""Standard streams, signals and plugins of the command line."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import typer

from i2i.files import printable_lines
from i2i.signals import ending_signals, exit_at_once

if TYPE_CHECKING:
    from i2i.plugins import Plugins


@contextmanager
def closed_stdout_ignored() -> Iterator[None]:
    """Throws away what is printed to stdout once its reader, such as `head`, has closed the pipe."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def show(text: str) -> None:
    """Prints lines on stdout; control characters in them, as of a path or a plugin, are escaped.

    Raises:
        BrokenPipeError: its reader has closed the pipe.
    """
    print(printable_lines(text), flush=True)


def say(text: str) -> None:
    """Prints lines on stderr, escaped as by `show`; does nothing where stderr is closed."""
    try:
        print(printable_lines(text), file=sys.stderr, flush=True)
    except OSError:  # what is still in the buffer would fail again when the program ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def open_closed_streams() -> None:
    """Opens the null device as stdin, stdout or stderr where they are closed.

    Otherwise the next file that is opened would get their number, and messages would be written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


class SignalReceived(BaseException):
    """A signal asked the command to end; not an `Exception`, so that no handler of errors catches it.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def signals_raised() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise `SignalReceived` in the main thread; SIGHUP stays ignored under nohup.

    During an import they end the process at once: an exception inside the import of torch aborts the process or leaves
    half a module, on which the next import fails with an error of its own.
    """

    def raise_it(number: int, frame: FrameType | None) -> None:
        if _importing(frame):
            exit_at_once(128 + number)
        raise SignalReceived(number)

    before = {number: signal.signal(number, raise_it) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _importing(frame: FrameType | None) -> bool:
    """Whether a frame is part of the import of a module."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def plugins_of(context: typer.Context) -> Plugins:
    """The plugins, as ``--plugin`` and ``--disable`` before the command's name say; the same at every call."""
    from i2i.plugins import Plugins

    found: Plugins = context.meta.setdefault("i2i.plugins", Plugins(**(context.obj or {})))  # no obj: shell completion
    return found


def ignore_malformed_metadata() -> None:
    """Makes distributions whose entry points cannot be parsed have none, for the rest of this process.

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
