"""Two processes on the CPU (gloo): the same on every rank, and the same as one process."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from helpers.command import server_context, without_main
from helpers.paths import HELPERS
from helpers.rank_weights import final_state, write_final_states
from helpers.recipes import TINY, small

WARM = "forkserver"  # what torchrun does, with processes that have imported torch already
SHARED = ["train.batch_size=2", "train.steps=4"]
EXACT = ["engine.precision=fp64", "pix2pix.generator.dropout=0"]  # each process has its own dropout
ANY_RECIPE = [line for line in TINY if not line.startswith("pix2pix")]


def norm(name: str) -> list[str]:
    return [f"pix2pix.generator.norm={name}", f"pix2pix.discriminator.norm={name}"]


@pytest.fixture(scope="module")
def runs(pairs_root) -> dict[str, tuple[str, str, list[str]]]:
    """Recipe, plugin file and settings by name."""
    pix2pix = [*TINY, *SHARED, f"data.root={pairs_root}"]
    wgan = [
        *ANY_RECIPE,
        *SHARED,
        f"data.root={pairs_root}",
        "engine.precision=fp64",
        "data.size=64",
        "data.load_size=64",
    ]
    augmented = [f"pix2pix.adversary.augment{line}" for line in ("=ada", "_images=16", "_target=-0.9")]
    return {
        "batch": ("pix2pix", "", [*pix2pix, *EXACT, *norm("batch")]),
        "instance": ("pix2pix", "", [*pix2pix, *EXACT, *norm("instance"), *augmented]),
        "bf16": ("pix2pix", "", [*pix2pix, "engine.precision=bf16"]),
        "wgan": ("wgan-gp", str(HELPERS / "wgan.py"), [*wgan, "train.steps=2"]),
    }


@pytest.fixture(scope="module")
def ranks(runs, tmp_path_factory) -> Path:
    """What each of two processes ended with, in a file a run and rank."""
    out = tmp_path_factory.mktemp("ranks")
    server_context()  # whose forks start_method="forkserver" takes
    config = LaunchConfig(1, 1, 2, run_id="ranks", rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method=WARM)
    with without_main():
        elastic_launch(config, write_final_states)(out, runs)
    return out


@pytest.mark.parametrize("name", ["batch", "instance", "bf16", "wgan"])
def test_ranks_are_bit_equal(ranks, name):
    first, second = (load_file(ranks / f"{name}-{rank}.safetensors") for rank in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", ["batch", "instance"])
def test_one_and_two_processes_agree_in_float64(ranks, runs, name):
    _, alone = final_state(*runs[name])
    shared = load_file(ranks / f"{name}-0.safetensors")
    for key, tensor in alone.items():
        torch.testing.assert_close(shared[key], tensor, atol=1e-9, rtol=0)


def test_the_command_starts_its_own_processes(tmp_path, pairs_root, cli):
    sets = [word for line in [*TINY, "engine.devices=2", "train.batch_size=2"] for word in ("--set", line)]
    done = cli("train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "run", "--steps", 3, *sets)
    assert done.returncode == 0, done.stderr
    assert "processes 2" in done.stderr
    assert (tmp_path / "run" / "model.onnx").is_file()


@pytest.mark.slow
def test_image_pools_of_two_processes_survive_a_resume(tmp_path, cli):
    sets = [*small("cyclegan"), "engine.devices=2", "train.checkpoint_every=2", "train.schedule.name=constant"]
    words = [word for line in sets for word in ("--set", line)]
    for run, stops in (("whole", [6]), ("halves", [4, 6])):
        for steps in stops:
            done = cli("train", "cyclegan", "--out", tmp_path / run, "--steps", steps, "--resume", *words)
            assert done.returncode == 0, done.stderr
    newest = [tmp_path / run / "checkpoints" / "step-0000006" for run in ("whole", "halves")]
    pools = [torch.load(path / "training.pt", weights_only=True)["pools"] for path in newest]
    assert pools[0]["A"].shape[:2] == (2, 6)  # two processes, six images each
    assert not torch.equal(pools[0]["A"][0], pools[0]["A"][1])
    assert all(torch.equal(pools[0][side], pools[1][side]) for side in ("A", "B"))
    networks = [load_file(path / "networks.safetensors") for path in newest]
    assert all(torch.equal(networks[0][key], networks[1][key]) for key in networks[0])
