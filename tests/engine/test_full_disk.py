"""A full disk: one line with path, needed and free bytes, exit code 1, and the checkpoint before it is whole."""

import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import i2i
from helpers.recipes import TINY
from i2i.config import resolve
from i2i.engine import launch
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.saving import to_checkpoint
from i2i.engine.setup import open_training
from i2i.engine.state import Training
from i2i.errors import TrainingError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.checkpoint import Checkpoint

SETS = [*TINY, "train.checkpoint_every=2", "train.keep_last=1"]


@pytest.fixture
def disk(tmp_path):
    """Mounts a file system of so many bytes."""
    made = []

    def mount(size: int) -> Path:
        folder = tmp_path / f"disk-{len(made)}"
        folder.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True) if shutil.which("mount") else None
        if done is None or done.returncode:
            pytest.skip("mounting a small file system needs Linux and the rights of root")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def checkpoint_bytes(pairs_root, plugins) -> int:
    """What the tensors of one checkpoint take."""
    config = resolve(plugins, "pix2pix", sets=[*SETS, f"data.root={pairs_root}", "train.steps=8"])
    fabric = launch(config.engine)
    training, data = open_training(config, plugins, fabric)
    training.train_step(next(step_batches(training, data, fabric)))
    return checkpoints.size_of(to_checkpoint(training, {}))


def fill(folder: Path) -> None:
    """What another program does to the disk."""
    with (folder / "filler").open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))


def newest_step(run: Path) -> int:
    found, damaged = checkpoints.load_newest(run / "checkpoints")
    assert not damaged
    return found.step


def test_a_disk_of_one_and_a_half_checkpoints_keeps_the_first(pairs_root, disk, checkpoint_bytes, cli):
    run = disk(int(checkpoint_bytes * 1.5) + 300_000) / "run"  # and logs, examples, samples
    sets = [word for line in SETS for word in ("--set", line)]
    done = cli("train", "pix2pix", "--data", pairs_root, "--out", run, "--steps", 8, *sets)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if "error" in line]
    wanted = rf"i2i: error: {re.escape(str(run))}/checkpoints/step-0000004: cannot write: No space left on device"
    needed, free = re.fullmatch(wanted + r"; it needs ([\d,]+) bytes, ([\d,]+) are free; .* --resume", line).groups()
    assert int(needed.replace(",", "")) == checkpoint_bytes
    assert 0 < int(free.replace(",", "")) < checkpoint_bytes
    assert "Traceback" not in done.stderr
    assert newest_step(run) == 2
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-0000002"]


@pytest.mark.parametrize(
    ("hit", "first", "sets"),
    [
        ("samples", 2, ["train.checkpoint_every=2", "train.sample_every=3", "train.log_every=1000"]),
        # a file's last block has room left, which lines must fill first
        ("logs", 40, ["train.checkpoint_every=40", "train.val_images=1"]),
    ],
)
def test_a_disk_that_others_fill_is_one_line_and_the_checkpoint_stays(pairs_root, disk, monkeypatch, hit, first, sets):
    folder, step = disk(64 * 2**20), Training.train_step

    def filling(self: Training, *arguments, **options):
        losses = step(self, *arguments, **options)
        if self.step == first + 1:
            fill(folder)
        return losses

    monkeypatch.setattr(Training, "train_step", filling)
    with pytest.raises(TrainingError) as error:
        i2i.train("pix2pix", data=pairs_root, out=folder / "run", sets=[*TINY, *sets], steps=79)
    where = "samples/step-0000003.png" if hit == "samples" else "metrics.jsonl"
    line = rf"{folder}/run/{where}: cannot write: No space left on device; [\d,]+ bytes are free; .*--resume"
    assert re.fullmatch(line, str(error.value))
    assert newest_step(folder / "run") == first


def test_a_finished_training_whose_model_finds_no_room_says_so(pairs_root, disk, monkeypatch):
    folder, prune = disk(64 * 2**20), checkpoints.prune

    def pruned(*arguments, **options):
        prune(*arguments, **options)
        fill(folder)

    monkeypatch.setattr(checkpoints, "prune", pruned)
    with pytest.raises(TrainingError, match=r"run: trained, but .*No space left on device"):
        i2i.train("pix2pix", data=pairs_root, out=folder / "run", sets=SETS, steps=2)
    assert newest_step(folder / "run") == 2


def test_a_file_that_may_not_grow_leaves_the_checkpoint_before_it(tmp_path):
    def made(step: int) -> Checkpoint:
        return Checkpoint(step, {"net": {"weight": torch.randn(100_000)}}, training={"moments": torch.randn(200_000)})

    checkpoints.save(tmp_path, made(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(
            TrainingError, match=r"step-0000002: cannot write: .*; it needs 1,200,000 bytes, [\d,]+ are"
        ):
            checkpoints.save(tmp_path, made(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000001"]
    assert checkpoints.load_newest(tmp_path)[0].step == 1
