"""However a training ends, nothing of it is left running, and what it had is on the disk."""

import os
import signal
import time
from pathlib import Path

import pytest

from helpers.command import Command
from helpers.recipes import TINY
from i2i.runs import checkpoint as checkpoints

SETS = [*TINY, "train.checkpoint_every=2", "data.workers=2", "train.val_images=1", "train.steps=100000"]

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


class Session:
    """A training in a session of its own, which all its processes belong to."""

    def __init__(self, root: Path, run: Path) -> None:
        self.run = run
        words = [word for line in SETS for word in ("--set", line)]
        self.main = Command("train", "pix2pix", "--data", root, "--out", run, *words, new_session=True)

    def processes(self) -> set[int]:
        """Those that live."""
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == self.main.pid and state != "Z":
                found.add(int(stat.parent.name))
        return found

    def steps(self) -> list[int]:
        """Of the checkpoints."""
        return [checkpoints.step_of(path) for path in checkpoints.list_checkpoints(self.run / "checkpoints")]

    def ended(self) -> tuple[int, list[str]]:
        """Exit code, and the lines about what went wrong; by then no process is left."""
        code, error = self.main.wait(), self.main.stderr
        while self.processes():  # one that stayed would end this by the timeout of all tests
            time.sleep(0.05)
        assert "Traceback" not in error
        return code, [line for line in error.splitlines() if "error" in line or "stopped" in line]


@pytest.fixture
def session(pairs_root, tmp_path):
    """A training with two loader processes that has saved its first checkpoint."""
    session = Session(pairs_root, tmp_path / "run")
    while not session.steps():
        assert session.main.poll() is None, session.main.stderr
        time.sleep(0.02)
    assert len(session.processes()) >= 3
    yield session
    for pid in session.processes():
        os.kill(pid, signal.SIGKILL)
    session.main.wait()


def test_a_killed_loader_process_is_one_line_and_what_was_trained_is_saved(session):
    worker = max(session.processes() - {session.main.pid})
    os.kill(worker, signal.SIGKILL)
    code, [line] = session.ended()
    assert code == 1, line
    step = max(session.steps())
    assert line.startswith(f"i2i: error: a loader process died (process {worker}, killed by signal 9, perhaps for want")
    assert f"step {step} is saved: go on with --resume" in line
    assert checkpoints.load_newest(session.run / "checkpoints")[0].step == step


@pytest.mark.slow
def test_loader_processes_do_not_outlive_a_killed_training(session):
    session.main.kill()
    assert session.ended()[0] == -signal.SIGKILL


def test_a_signal_to_all_processes_saves_and_leaves(session):
    os.killpg(session.main.pid, signal.SIGTERM)
    code, [line] = session.ended()
    assert code == 143
    assert line.startswith(f"stopped at step {max(session.steps())}, checkpoint saved")


@pytest.mark.slow
def test_a_second_interrupt_leaves_at_once(session):
    os.killpg(session.main.pid, signal.SIGINT)
    os.killpg(session.main.pid, signal.SIGINT)
    assert session.ended()[0] == 130
    assert not checkpoints.load_newest(session.run / "checkpoints")[1]
