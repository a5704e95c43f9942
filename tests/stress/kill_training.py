"""Kills and signals at random moments of a training; what is on the disk must be whole, and the end the same bits.

    python tests/stress/kill_training.py --kills 30 --signals 20

First a run is left alone. Then another one is killed (SIGKILL) again and again, every second time while a checkpoint is
being written or an old one removed, and resumed until it is done; after every kill the newest checkpoint must load, and
every line of losses must be that of the run that was left alone. Then trainings get SIGTERM at random moments. Each
training is forked from this process, which has imported everything and computed nothing, so that a cycle is short.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import i2i.engine  # noqa: F401  before the forks
from i2i.cli import main as i2i_main
from i2i.engine.output.writer import Writer
from i2i.engine.validation.validate import Validation
from i2i.runs import checkpoint as checkpoints

WORDS = (
    "data.size=32 data.load_size=36 train.log_every=1 train.val_images=8 train.sample_count=2 engine.threads=1 "
    "engine.precision=fp32 train.ema=0.9 train.checkpoint_every=2 train.keep_last=1 train.batch_size=2"
)
NETWORKS = ["pix2pix.discriminator={name: patch, filters: 8, layers: 2}"]


@dataclass
class Stress:
    """Trainings in a folder, all of the same configuration.

    Attributes:
        folder: where they go.
        steps: of each run.
        filters: of the generator: 32 make a checkpoint of 67 MB.
        workers: loader processes.
    """

    folder: Path
    steps: int
    filters: int
    workers: int
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    failures: list[str] = field(default_factory=list)

    def fork(self, run: Path) -> int:
        """Begins or resumes a training; returns its process number."""
        if (pid := os.fork()) > 0:
            return pid
        os.setsid()
        run.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(run.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _mark_phases(run.with_suffix(".phase"))
        sets = [*WORDS.split(), *NETWORKS, f"pix2pix.generator.filters={self.filters}", f"data.workers={self.workers}"]
        sys.argv = ["i2i", "train", "pix2pix", "--out", str(run), "--resume", "--steps", str(self.steps)]
        sys.argv += [word for line in sets for word in ("--set", line)]
        code = 1
        try:
            i2i_main()
        except SystemExit as error:
            code = int(error.code or 0)
        finally:
            os._exit(code)

    def fail(self, line: str) -> None:
        """Notes what must not be."""
        self.failures.append(line)
        print(f"FAILED: {line}", flush=True)

    def wait_until(self, condition: Callable[[], bool], pid: int, seconds: float) -> bool:
        """Whether it came true in that time and before the process ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            if _ended(pid):
                return False
            time.sleep(0.002)
        return False

    def undisturbed(self) -> dict[str, str]:
        """Digests of the weights and of each step's losses."""
        begin = time.monotonic()
        run = self.folder / "undisturbed"
        if (code := _code(self.fork(run))) != 0:
            raise SystemExit(f"the undisturbed run ended with {code}:\n{run.with_suffix('.log').read_text()}")
        newest = checkpoints.list_checkpoints(run / "checkpoints")[-1]
        size = sum(path.stat().st_size for path in newest.iterdir())
        print(f"undisturbed: {self.steps} steps, checkpoints of {size:,} bytes, {time.monotonic() - begin:.0f} s")
        return figures(run)

    def kill_often(self, kills: int, expected: dict[str, str]) -> None:
        """Kills and resumes one run, then lets it end."""
        run = self.folder / "killed"
        print("kill  while        step  newest  unreadable  left over")
        for number in range(kills):
            pid = self.fork(run)
            seen = newest_step(run)
            self.wait_until(lambda seen=seen: newest_step(run) > seen or newest_step(run) == self.steps, pid, 300)
            if number % 2:
                self.wait_until(lambda: bool(list(run.glob("checkpoints/.i2i-*.tmp"))), pid, 20)
                time.sleep(self.draw.random() * 0.15)
            else:
                time.sleep(self.draw.random() * 1.5)
            ended = _ended(pid)
            if not ended:
                os.kill(pid, signal.SIGKILL)
                _code(pid)
            self._look(run, number, ended, expected)
            if ended:
                shutil.rmtree(run)  # it was done: the next one begins anew
        begin = time.monotonic()
        if (code := _code(self.fork(run))) != 0:
            self.fail(f"the killed run ended with {code}")
        elif figures(run) != expected:
            self.fail("the killed run ended with other weights or losses")
        print(f"the rest took {time.monotonic() - begin:.0f} s; weights and losses of all steps are compared")

    def _look(self, run: Path, number: int, ended: bool, expected: dict[str, str]) -> None:
        found, damaged = checkpoints.load_newest(run / "checkpoints")
        left_over = [path.name for path in run.glob("checkpoints/.step-*")]
        while_ = "ended" if ended else phase(run)
        newest = found.step if found else None
        lines = losses(run)
        print(
            f"{number + 1:4}  {while_:10} {max(lines, default=0):6}  {newest!s:6}  {len(damaged):10}  {left_over}",
            flush=True,
        )
        if found is None or damaged:
            self.fail(f"kill {number + 1}: newest {newest}, damaged {damaged}")
        for step, values in lines.items():
            if values != expected[f"step {step}"]:
                self.fail(f"kill {number + 1}: other losses at step {step}")

    def signal_often(self, count: int) -> None:
        """SIGTERM at random moments: saved, and gone within a step, a save and 2 s."""
        print("signal  while        gone after   allowed  exit  saved step")
        step_s, save_s = _times(self.folder / "undisturbed.phase")
        for number in range(count):
            run = self.folder / f"signalled-{number}"
            pid = self.fork(run)
            self.wait_until(lambda run=run: newest_step(run) > 0, pid, 300)
            wanted = ("step", "validation", "save", "any")[number % 4]
            if wanted != "any":
                self.wait_until(lambda run=run, wanted=wanted: phase(run) == wanted, pid, 20)
            time.sleep(self.draw.random() * {"any": 1.0, "step": step_s, "save": save_s}.get(wanted, 0.1))
            before, while_ = time.monotonic(), phase(run)
            os.kill(pid, signal.SIGTERM)
            code = _code(pid)
            took, allowed = time.monotonic() - before, step_s + save_s + 2
            found, damaged = checkpoints.load_newest(run / "checkpoints")
            step, last = found.step if found else None, max(losses(run), default=0)
            print(f"{number + 1:6}  {while_:10} {took:10.2f} s {allowed:7.2f} s  {code:4}  {step}", flush=True)
            if code != 128 + signal.SIGTERM or damaged or step != last:
                self.fail(f"signal {number + 1}: exit {code}, damaged {damaged}, saved {step} of {last}")
            if took > allowed:
                self.fail(f"signal {number + 1}: took {took:.2f} s, {allowed:.2f} s allowed")
            shutil.rmtree(run)


def figures(run: Path) -> dict[str, str]:
    """Digests of the final weights, and the losses of every step."""
    newest = checkpoints.list_checkpoints(run / "checkpoints")[-1]
    names = ("networks.safetensors", "ema.safetensors")
    found = {name: hashlib.sha256((newest / name).read_bytes()).hexdigest() for name in names}
    return found | {f"step {step}": values for step, values in losses(run).items()}


def losses(run: Path) -> dict[int, str]:
    """The losses by step, as text with every digit."""
    found: dict[int, str] = {}
    if not (run / "metrics.jsonl").exists():
        return found
    for line in (run / "metrics.jsonl").read_text().splitlines():
        try:
            values: dict[str, Any] = json.loads(line)
        except ValueError:  # the line that the kill cut
            continue
        if "epoch" in values:
            found[values["step"]] = json.dumps({k: v for k, v in values.items() if k.startswith("loss/")})
    return found


def newest_step(run: Path) -> int:
    """Step of the newest checkpoint; 0 without any."""
    there = checkpoints.list_checkpoints(run / "checkpoints")
    return checkpoints.step_of(there[-1]) if there else 0


def phase(run: Path) -> str:
    """What the training was last seen to do."""
    try:
        return run.with_suffix(".phase").read_text().splitlines()[-1].split()[0]
    except (OSError, IndexError):
        return "start"


def _mark_phases(file: Path) -> None:
    """From now on this process notes when it validates, saves and steps."""
    file.unlink(missing_ok=True)

    @contextmanager
    def marked(name: str) -> Iterator[None]:
        with file.open("a") as out:
            out.write(f"{name} {time.monotonic()}\n")
        yield
        with file.open("a") as out:
            out.write(f"step {time.monotonic()}\n")

    def wrap(owner: Any, method: str, name: str) -> None:
        original = getattr(owner, method)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            with marked(name):
                return original(*arguments, **options)

        setattr(owner, method, wrapped)

    wrap(Validation, "measure", "validation")
    wrap(checkpoints, "save", "save")
    wrap(checkpoints, "prune", "prune")
    wrap(Writer, "after_step", "after")


def _times(file: Path) -> tuple[float, float]:
    """The longest step and the longest save (with its pruning) of a run, in seconds."""
    marks = [line.split() for line in file.read_text().splitlines()]
    spans: dict[str, list[float]] = {"step": [], "save": [], "prune": []}
    for (name, begin), (_, end) in pairwise(marks):
        spans.setdefault(name, []).append(float(end) - float(begin))
    return max(spans["step"][5:]), max(spans["save"]) + max(spans["prune"])


def _ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _code(pid: int) -> int:
    """Waits for its end; 128 and the signal's number if one ended it, as a shell says."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def main() -> int:
    """Runs what was asked for; 1 if something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--signals", type=int, default=0)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the runs go; by default a temporary folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        stress = Stress(asked.folder or Path(temporary), asked.steps, asked.filters, asked.workers)
        expected = stress.undisturbed()
        if asked.kills:
            stress.kill_often(asked.kills, expected)
        if asked.signals:
            stress.signal_often(asked.signals)
    print(f"{len(stress.failures)} failures")
    return 1 if stress.failures else 0


if __name__ == "__main__":
    sys.exit(main())
