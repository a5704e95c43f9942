"""Two processes on the CPU (gloo): the same on every rank, and the same as one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conftest import TINY
from rank_weights import final_state

HERE = Path(__file__).parent
QUIET = ["pix2pix.generator.dropout=0"]  # each process has its own dropout


def two_processes(out: Path, *sets: str, recipe: str = "pix2pix", plugin: str = "") -> list[dict[str, torch.Tensor]]:
    """What each of two processes ends with."""
    out.mkdir()
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    tiny = TINY if recipe == "pix2pix" else [line for line in TINY if not line.startswith("pix2pix")]
    words = [str(HERE / "rank_weights.py"), str(out), recipe, plugin, *tiny, *sets]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    done = subprocess.run([*launcher, *words], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return [load_file(out / f"{rank}.safetensors") for rank in range(2)]


def largest_difference(a, b):
    return max(float((a[key].double() - b[key].double()).abs().max()) for key in a)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_one_and_two_processes_agree_in_float64(tmp_path, pairs_root, norm):
    sets = [f"data.root={pairs_root}", "engine.precision=fp64", "train.batch_size=2", "train.steps=4", *QUIET]
    sets += [f"pix2pix.generator.norm={norm}", f"pix2pix.discriminator.norm={norm}"]
    _, alone = final_state("pix2pix", "", [*TINY, *sets])
    first, second = two_processes(tmp_path / "two", *sets)
    assert largest_difference(first, second) == 0
    assert largest_difference(alone, first) < 1e-9


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_ranks_are_bit_equal(tmp_path, pairs_root, precision):
    sets = [f"data.root={pairs_root}", f"engine.precision={precision}", "train.batch_size=2", "train.steps=4"]
    first, second = two_processes(tmp_path / "two", *sets)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_gradient_penalty_over_two_processes(tmp_path, pairs_root):
    sets = [f"data.root={pairs_root}", "engine.precision=fp64", "train.batch_size=2", "train.steps=2"]
    sets += ["data.size=64", "data.load_size=64"]
    plugin = str(HERE / "wgan.py")
    first, second = two_processes(tmp_path / "two", *sets, recipe="wgan-gp", plugin=plugin)
    assert largest_difference(first, second) == 0


def test_the_command_starts_its_own_processes(tmp_path, pairs_root, cli):
    sets = [word for line in [*TINY, "engine.devices=2", "train.batch_size=2"] for word in ("--set", line)]
    done = cli("train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "run", "--steps", 3, *sets)
    assert done.returncode == 0, done.stderr
    assert "processes 2" in done.stderr
    assert (tmp_path / "run" / "model.onnx").is_file()
    odd = cli("train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "odd", *sets, "--set", "train.batch_size=3")
    assert odd.returncode == 2
    assert "train.batch_size=3 cannot be shared by 2 processes" in odd.stderr
