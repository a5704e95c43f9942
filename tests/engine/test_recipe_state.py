"""What a recipe keeps in `state` is saved, restored before anything is built, exported, and never averaged."""

import json
import shutil

import numpy as np
import pytest
import torch

import i2i
from helpers import stateful
from helpers.recipes import SHARED, train_only
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints

PLUGINS = Plugins(["helpers.stateful"])
SETS = [*SHARED, "train.checkpoint_every=1", "train.keep_last=9", "train.ema=0.9", "data.layout=facades"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 4 steps, every step of it kept, and exported."""
    return i2i.train("stateful", out=tmp_path_factory.mktemp("whole") / "run", sets=SETS, steps=4, plugins=PLUGINS)


def state(run, step):
    kept = checkpoints.load(run / "checkpoints" / f"step-{step:07d}", training=False).recipe
    return {name: value.item() if isinstance(value, torch.Tensor) else value for name, value in kept.items()}


def test_every_checkpoint_has_it_as_it_was(whole):
    found = [state(whole.run, step) for step in (1, 2, 3, 4)]
    assert [(one["steps"], one["stage"]) for one in found] == [(1, "early"), (2, "early"), (3, "late"), (4, "late")]
    lines = [json.loads(line) for line in (whole.run / "metrics.jsonl").read_text().splitlines()]
    strength, mean = 1.0, 0.0
    losses = [line["loss/generator/l1"] for line in lines if "loss/generator/l1" in line]
    for loss, kept in zip(losses, found, strict=True):
        strength, mean = strength * 0.9 + loss * 0.1, mean * 0.5 + loss * 0.5
        assert kept["strength"] == pytest.approx(strength, rel=1e-4)
        assert kept["mean"] == pytest.approx(mean, rel=1e-4)


def test_a_resumed_run_builds_its_networks_with_it_and_ends_with_the_same_bits(whole, tmp_path):
    shutil.copytree(whole.run, tmp_path / "run")
    for step in (3, 4):
        shutil.rmtree(tmp_path / "run/checkpoints" / f"step-{step:07d}")
    stateful.SEEN.clear()
    train_only(out=tmp_path / "run", resume=True, plugins=PLUGINS)
    assert stateful.SEEN[0]["steps"] == 2
    assert state(tmp_path / "run", 4) == state(whole.run, 4)
    files = [run / "checkpoints/step-0000004/networks.safetensors" for run in (whole.run, tmp_path / "run")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_export_has_it_before_networks_and_translators(whole, tmp_path):
    stateful.SEEN.clear()
    for step, level in ((4, 0.4), (1, 0.1)):
        [exported] = i2i.export(whole.run, out=tmp_path / f"{step}.onnx", checkpoint=str(step), plugins=PLUGINS)
        image = i2i.load(exported.path).translate(np.zeros((32, 32, 3), np.uint8))
        assert np.unique(image).tolist() == [round((level + 1) / 2 * 255)]
    assert [one["steps"] for one in stateful.SEEN] == [4, 1]


def test_a_new_run_from_its_weights_begins_with_an_empty_one_and_says_so(whole, tmp_path, capsys):
    sets = [*SETS, f"train.start_from={whole.run}"]
    train_only("stateful", out=tmp_path / "run", sets=sets, steps=1, plugins=PLUGINS)
    assert state(tmp_path / "run", 1)["steps"] == 1
    assert "not taken: what its recipe had in its state (mean; stage; steps; strength)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "reason"), [("list", r"state holds 'spoilt': \[1, 2\]; its names"), ("gradient", "detach it")]
)
def test_what_cannot_be_kept_is_refused_at_the_first_step(spoil, reason, tmp_path):
    sets = [*SETS, f"stateful.spoil={spoil}"]
    with pytest.raises(i2i.PluginError, match=rf"recipe 'stateful' of plugin .*stateful.*{reason}") as error:
        train_only("stateful", out=tmp_path / "run", sets=sets, steps=4, plugins=PLUGINS)
    assert error.value.exit_code == 2
    assert not (tmp_path / "run").exists()
