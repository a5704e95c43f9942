"""Trying out a model file of unknown origin in a process that may fail in its place.

onnxruntime runs whatever a file says: it may never end, take all memory, read other files or crash the process. So the
file is first examined, opened and run on two small images by `i2i.runtime.sandbox.child`, whose time and memory are
limited. A file that has passed is not tried again, see `i2i.runtime.sandbox.verdicts`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from i2i.errors import ModelError, system_reason
from i2i.files import printable
from i2i.runtime.sandbox.verdicts import has_passed, remember_passed, verdict_name

_BASE_SECONDS = 3
"""CPU seconds for a small file once all is imported. A small model needs 0.1; one of 218 MB needs 1 and gets 13."""
_BYTES_PER_SECOND = 20_000_000
"""Bytes of the file for which there is one CPU second more."""
_BASE_BYTES = 1 << 30
"""Memory beside four times the file: its bytes, its parsed form and what onnxruntime makes of it."""
_WALL_PER_CPU_SECOND = 10
"""Seconds by the clock for each CPU second: the machine may be busy."""
_MAX_LAST_LINE = 200
"""Characters of the last line on stderr that a message shows."""


@dataclass(frozen=True)
class CheckLimits:
    """Limits of the process that tries a model.

    Attributes:
        seconds: CPU seconds of all threads together, once all is imported.
        memory: bytes of memory.
    """

    seconds: int
    memory: int


@dataclass(frozen=True)
class ProcessEnd:
    """How the process ended.

    Attributes:
        code: its exit code; minus the number of the signal that ended it.
        stdout: all that it wrote to stdout: the answer, a JSON object.
        stderr: the end of what it, or a library, wrote to stderr.
    """

    code: int
    stdout: bytes
    stderr: bytes = b""


def check_model(file: Path) -> str:
    """Makes sure that a model file can be opened and run, at small size, without harm.

    Args:
        file: an ONNX file.

    Returns:
        The name of its verdict, see `i2i.runtime.sandbox.verdicts`; "" where nothing was tried.

    Raises:
        ModelError: it is no ONNX file, i2i did not export it, it needs other files, has NaN as weights, contradicts its
            metadata, does not end, needs too much memory, or crashes onnxruntime; or it could not be tried.
    """
    return start_check(file)()


def start_check(file: Path) -> Callable[[], str]:
    """Begins to check a model file as `check_model` does, beside other work.

    Args:
        file: an ONNX file.

    Returns:
        A function that waits for the end, and returns and raises as `check_model` does. Does nothing where this process
        is no Python that could start another, as in a frozen application.

    Raises:
        ModelError: the file cannot be looked at, or no process can be started.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        return lambda: ""
    try:
        name = verdict_name(file)
        if has_passed(name):
            return lambda: name
        size = file.stat().st_size
        limits = CheckLimits(_BASE_SECONDS + size // _BYTES_PER_SECOND, _BASE_BYTES + 4 * size)
        process = start_child(file, limits)
    except OSError as error:
        raise ModelError(f"cannot be checked: {system_reason(error)}", path=printable(file)) from error
    stderr = _Tail(process)

    def finish() -> str:
        if problem := _outcome(process, stderr, limits):
            raise ModelError(printable(problem), path=printable(file))  # it may quote names that the file made up
        with suppress(OSError):
            if verdict_name(file) == name:  # what was tried is what was looked at
                remember_passed(name)
        return name

    return finish


def start_child(file: Path, limits: CheckLimits) -> subprocess.Popen[bytes]:
    """Starts the process. It finds the same packages as this one, and ends when its stdin pipe from this one breaks."""
    words = [os.fspath(file), str(limits.seconds), str(limits.memory)]
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", "i2i.runtime.sandbox.child", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # an interrupt from the keyboard is ours to handle
    )


def verdict(ending: ProcessEnd, limits: CheckLimits) -> str:
    """Says what is wrong with the file, from how the process ended.

    Args:
        ending: how it ended.
        limits: what it was allowed.

    Returns:
        What is wrong with the file, "" for nothing.
    """
    if ending.code < 0:
        return _killed(ending, limits)
    answer = _parsed(ending.stdout)
    if ending.code or answer is None:
        how = f"the process that tried it ended with code {ending.code}"
        return f"cannot be checked: {how}{_last_line(ending.stderr)}"
    return _too_large(limits) if answer.get("memory") else str(answer.get("refused", ""))


class _Tail:
    """The end of what a process writes to stderr, which is read all the time so that it never has to wait.

    Args:
        process: the process, whose pipe is taken from it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        pipe, process.stderr = process.stderr, None
        self._text = b""
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def text(self) -> bytes:
        """The last 4096 bytes or less; to be called when the process has ended."""
        self._thread.join(1)  # another process that it left behind may hold the pipe
        return self._text

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            while part := os.read(pipe.fileno(), 4096):
                self._text = (self._text + part)[-4096:]


def _outcome(process: subprocess.Popen[bytes], stderr: _Tail, limits: CheckLimits) -> str:
    """Waits for the process, and says what is wrong with the file, "" for nothing."""
    waiting = _WALL_PER_CPU_SECOND * limits.seconds
    with process:
        try:
            code = process.wait(waiting)
            answer = process.stdout.read() if process.stdout else b""
            return verdict(ProcessEnd(code, answer, stderr.text()), limits)
        except subprocess.TimeoutExpired:
            return f"does not finish: {waiting} s were not enough to open it and to run it on a small image"
        finally:
            process.kill()


def _killed(ending: ProcessEnd, limits: CheckLimits) -> str:
    try:
        name = signal.Signals(-ending.code).name
    except ValueError:
        name = f"signal {-ending.code}"
    if name == "SIGXCPU":
        text = f"{limits.seconds} s of computing were not enough to open it and to run it on a small image"
        return f"does not finish: {text}"
    if name == "SIGKILL":  # not by us: the system, out of memory
        return _too_large(limits)
    return f"onnxruntime crashes on it ({name}){_last_line(ending.stderr)}"


def _too_large(limits: CheckLimits) -> str:
    return f"needs more than {limits.memory / 2**30:.1f} GiB of memory to be opened and run on a small image"


def _last_line(stderr: bytes) -> str:
    """The last line that says something, with a colon before it; "" for none."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return f": {lines[-1][:_MAX_LAST_LINE]}" if lines else ""


def _parsed(answer: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
