"""The `i2i` command in a process of its own that begins warm: a fork of a server that has imported torch already.

A cold ``python -m i2i train`` spends ten seconds of CPU time on imports, a fork of the server none. The server is that
of `multiprocessing`, which the conformance kit uses too; it started clean, so its forks are, too: no thread but the
first, nothing computed. Signals, exit codes, streams and the process's own children are as in a cold start.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import forkserver
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

PRELOADED = ["helpers.command_imports"]
"""What the server imports before its first fork."""


def server_context():
    """The context of `multiprocessing` whose processes are forks of the server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path), OMP_NUM_THREADS="1"):
        forkserver.ensure_running()
    return context


@contextmanager
def without_main():
    """Meanwhile new processes do not import the main program, which is pytest's."""
    with patch.dict(sys.modules, __main__=ModuleType("__main__")):
        yield


class Command:
    """A started command; the methods of `subprocess.Popen` that the tests need."""

    def __init__(self, *words: object, cwd: Path | None = None, new_session: bool = False, **environment: str) -> None:
        self.args = ["i2i", *map(str, words)]
        self.returncode: int | None = None
        folder = tempfile.mkdtemp(prefix="i2i-command-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        streams = [Path(folder, name) for name in ("stdout", "stderr")]
        for stream in streams:
            stream.touch()
        variables = dict(os.environ) | {"OMP_NUM_THREADS": "1"} | environment
        options = (self.args, str(cwd or Path.cwd()), variables, list(map(str, streams)), new_session)
        self._process = server_context().Process(target=_run, args=options)
        with without_main():
            self._process.start()
        self.pid = self._process.pid
        self._streams = streams

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._streams[0].read_text(errors="surrogateescape")

    @property
    def stderr(self) -> str:
        """What it has printed to stderr so far."""
        return self._streams[1].read_text(errors="surrogateescape")

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        """Waits for the end and returns the exit code."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout, self.stdout, self.stderr)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def completed(self, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Waits for the end; exit code and streams."""
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return subprocess.CompletedProcess(self.args, self.returncode, self.stdout, self.stderr)


def _run(words: list[str], folder: str, variables: dict[str, str], streams: list[str], new_session: bool) -> None:
    """The command, in the fork."""
    if new_session:
        os.setsid()
    for number, stream in enumerate(streams, start=1):
        file = os.open(stream, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    sys.path[:0] = ["", *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = words
    sys.modules["__main__"].__spec__ = find_spec("i2i.__main__")  # by which it starts the other processes of a training
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    from i2i.cli import main

    try:
        main()
    except SystemExit:
        raise
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
