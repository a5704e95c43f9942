"""Trying out a model file of unknown origin in a process that may fail in its place.

onnxruntime runs whatever a file says: it may never end, take all memory, read other files or crash the process. So the
file is first examined, opened and run on two small images by `i2i.translate.sandbox.probe_child`, whose time and memory
are limited.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from i2i.errors import ModelError
from i2i.files import printable
from i2i.images.errors import reason

_SECONDS = 3  # of computing, once all is imported; a small model needs 0.1, and one of 218 MB, which gets 13, needs 1
_BYTES_A_SECOND = 20_000_000  # of the file, for which there is one second more
_MEMORY = 1 << 30  # beside four times the file: its bytes, its parsed form and what onnxruntime makes of it
_WAITING = 10  # seconds by the clock for each of computing: the machine may be busy


def check_model(file: Path) -> None:
    """Makes sure that a model file can be opened and run, at small size, without harm.

    Args:
        file: an ONNX file.

    Raises:
        ModelError: it is none, not one of i2i, needs other files, has NaN as weights, breaks the promises of its
            metadata, does not end, needs too much memory, or crashes onnxruntime.
    """
    start_check(file)()


def start_check(file: Path) -> Callable[[], None]:
    """Begins what `check_model` does.

    Args:
        file: an ONNX file.

    Returns:
        A function that waits for the end and raises as `check_model` does. Does nothing where this process is no
        Python that could start another, as in a frozen application.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        return lambda: None
    try:
        size = file.stat().st_size
        seconds, memory = _SECONDS + size // _BYTES_A_SECOND, _MEMORY + 4 * size
        process = _start(file, seconds, memory)
    except OSError as error:
        raise ModelError(f"{printable(file)}: cannot be checked: {reason(error)}") from error

    def finish() -> None:
        if problem := _outcome(process, seconds, memory):
            raise ModelError(f"{printable(file)}: {printable(problem)}")  # it may quote names that the file made up

    return finish


def _start(file: Path, seconds: int, memory: int) -> subprocess.Popen[bytes]:
    """The child finds the same packages as this process, and its pipe to us tells it when we are gone."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "i2i.translate.sandbox.probe_child",
        os.fspath(file),
        str(seconds),
        str(memory),
    ]
    return subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # an interrupt from the keyboard is ours to handle
    )


def _outcome(process: subprocess.Popen[bytes], seconds: int, memory: int) -> str:
    """Waits for the child, and says what is wrong with the file, "" for nothing."""
    waiting = _WAITING * seconds
    with process:
        try:
            code = process.wait(waiting)
            answer = process.stdout.read() if process.stdout else b""
        except subprocess.TimeoutExpired:
            return f"does not finish: {waiting} s were not enough to open it and to run it on a small image"
        finally:
            process.kill()
    return verdict(code, answer, seconds, memory)


def verdict(code: int, answer: bytes, seconds: int, memory: int) -> str:
    """What the end of a child says about the file.

    Args:
        code: its exit code; minus the number of the signal that ended it.
        answer: what it wrote.
        seconds: of computing that it was allowed.
        memory: bytes that it was allowed.

    Returns:
        What is wrong with the file, "" for nothing.
    """
    if code < 0:
        return _killed(-code, seconds, memory)
    told = _told(answer)
    if told is None:
        return f"cannot be checked: the process that tried it ended with code {code}"
    return _too_large(memory) if told.get("memory") else str(told.get("refused", ""))


def _killed(number: int, seconds: int, memory: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if name == "SIGXCPU":
        return f"does not finish: {seconds} s of computing were not enough to open it and to run it on a small image"
    if name == "SIGKILL":  # not by us: the system, out of memory
        return _too_large(memory)
    return f"onnxruntime crashes on it ({name})"


def _too_large(memory: int) -> str:
    return f"needs more than {memory / 2**30:.1f} GiB of memory to be opened and run on a small image"


def _told(answer: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(answer)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
