"""Signals that come while a command starts."""

import shutil
import signal

import pytest

from helpers.cold import cold
from helpers.command import Command
from helpers.recipes import TINY

SMALL = [word for line in [*TINY, "train.steps=100000"] for word in ("--set", line)]

SEND = """
import os, sys

left = None

def hook(event, arguments):
    global left
    if left is None:
        left = {moment} if event == "import" and arguments[0] == "i2i.cli" else None  # the first import of the entry
    if left is not None:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), {number})

sys.addaudithook(hook)
"""
"""Code after which a process gets a signal at one of the things that Python does, such as an import."""

MOMENTS = (1, 2, 3, 5, 10, 30, 100, 300, 1000, 2000)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("entry", ["module", "script"])
def test_a_signal_at_any_moment_of_the_start_ends_a_command_with_its_code(tmp_path, entry):
    jobs = [
        ("plugins list", SEND.format(moment=moment, number=int(SIGNALS[index % 3])))
        for index, moment in enumerate((*MOMENTS, *MOMENTS[:4]))
    ]
    default = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests may run under nohup
    ended = cold([(line, default + code) for line, code in jobs], cwd=tmp_path, entry=entry)
    for index, done in enumerate(ended):
        assert (done.returncode, done.stderr) == (128 + SIGNALS[index % 3], "i2i: error: interrupted\n"), jobs[index]


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    code = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + SEND.format(moment=100, number=1)
    [done] = cold([("plugins list", code)], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


PLUGIN = """
import i2i, os, sys

left = {moment}

def hook(event, arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), {number})

@i2i.hookimpl
def i2i_metrics():
    sys.addaudithook(hook)
    return []
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that was left after its first step."""
    folder = tmp_path_factory.mktemp("begun")
    done = Command("train", "pix2pix", *SMALL, "--max-hours", "1e-9", "--out", "run", cwd=folder).completed()
    assert "stopped at step 1" in done.stderr, done.stderr
    return folder / "run"


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("moment", [1, 10, 100, 500, 1000])
def test_a_signal_at_any_moment_of_the_start_of_a_training_ends_it(begun, tmp_path, moment, resume):
    """After the imports, too: while layouts are tried, networks are built and a run is opened."""
    number = SIGNALS[moment % 3]
    (tmp_path / "own.py").write_text(PLUGIN.format(moment=moment, number=int(number)))
    if resume:
        shutil.copytree(begun, tmp_path / "run")
    words = [*SMALL, "--max-hours", "0.1", *(["--resume"] if resume else [])]
    process = Command("-p", "own.py", "train", "pix2pix", *words, "--out", "run", cwd=tmp_path)
    assert process.wait(300) == 128 + number
    assert "Traceback" not in process.stderr
    assert process.stderr.splitlines()[-1].startswith(("i2i: error: interrupted", "stopped at step "))
