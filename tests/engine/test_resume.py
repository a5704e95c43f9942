"""A run that was interrupted ends as one that was not."""

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import i2i
from helpers.command import Command
from helpers.paths import ROOT
from helpers.recipes import TINY, train_only

STEPS = 12
SETS = [*TINY, "train.checkpoint_every=2", "train.batch_size=3", "train.ema=0.9", f"train.steps={STEPS}"]


def start(root: Path, run: Path, *sets: str) -> Command:
    words = [word for line in [*SETS, *sets] for word in ("--set", line)]
    return Command("train", "pix2pix", "--data", root, "--out", run, "--resume", *words)


def wait_for(condition, process: Command) -> None:
    while not condition():
        assert process.poll() is None, process.stderr
        time.sleep(0.01)


def digests(run: Path) -> dict[str, str]:
    """The final networks, averages, and logged losses by step."""
    newest = run / "checkpoints" / f"step-{STEPS:07d}"
    names = ("networks.safetensors", "ema.safetensors")
    found = {name: hashlib.sha256((newest / name).read_bytes()).hexdigest() for name in names}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = {
        line["step"]: {k: v for k, v in line.items() if k.startswith("loss/")} for line in lines if "epoch" in line
    }
    assert sorted(losses) == list(range(1, STEPS + 1))
    return found | {f"step {step}": json.dumps(values) for step, values in losses.items()}


@pytest.fixture(scope="module")
def undisturbed(pairs_root, tmp_path_factory) -> Path:
    """A run that was never interrupted; not to be changed."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    return train_only("pix2pix", data=pairs_root, out=run, sets=SETS).run


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_9_and_resume_ends_with_the_same_bits(pairs_root, tmp_path, undisturbed, workers):
    run, draw = tmp_path / "run", random.Random(workers)
    for _ in range(2):  # once before, once after the first checkpoint; at odd moments
        checkpoints = len(list(run.glob("checkpoints/step-*")))
        process = start(pairs_root, run, f"data.workers={workers}")
        wait_for(lambda seen=checkpoints: len(list(run.glob("checkpoints/step-*"))) > min(seen, 2), process)
        time.sleep(draw.random() * 0.3)
        process.kill()
        process.wait()
    train_only("pix2pix", data=pairs_root, out=run, sets=[*SETS, f"data.workers={workers}"], resume=True)
    assert digests(run) == digests(undisturbed)


def test_sigterm_saves_and_leaves_with_143(pairs_root, tmp_path, undisturbed):
    run = tmp_path / "run"
    process = start(pairs_root, run)
    wait_for(
        lambda: (run / "metrics.jsonl").is_file() and len((run / "metrics.jsonl").read_text().splitlines()) > 3, process
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert "checkpoint saved; go on with: " in process.stderr
    assert list(run.glob("checkpoints/step-*"))
    train_only(resume=True, out=run)
    assert digests(run) == digests(undisturbed)


def test_resume_of_a_run_that_never_began_begins_it(pairs_root, tmp_path):
    assert train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=TINY, steps=1, resume=True).step == 1


def test_resume_can_go_further(pairs_root, tmp_path):
    run = train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=TINY, steps=2).run
    trained = i2i.train(out=run, resume=True, steps=4)
    assert trained.step == trained.exported[0].step == 4
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines() if "epoch" in line]
    assert steps == [1, 2, 3, 4]


def test_a_damaged_newest_checkpoint_is_named_and_passed_over(undisturbed, tmp_path, capfd):
    run = shutil.copytree(undisturbed, tmp_path / "run")
    broken = run / "checkpoints" / f"step-{STEPS:07d}" / "networks.safetensors"
    content = bytearray(broken.read_bytes())
    content[-1] ^= 1
    broken.write_bytes(content)
    train_only(out=run, resume=True)
    assert "damaged" in capfd.readouterr().err
    assert digests(run) == digests(undisturbed)


@pytest.mark.slow
def test_kills_and_signals_at_any_moment_lose_nothing():
    """As tests/stress/kill_training.py does it at length: inside saves and prunes too, one checkpoint kept."""
    words = ["--kills", "6", "--signals", "4", "--steps", "16", "--filters", "16", "--workers", "2"]
    script = ROOT / "tests" / "stress" / "kill_training.py"
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
