"""Which metrics a training has where none are asked for, and by which feature network."""

import pytest
import torch
import yaml

from helpers.recipes import UNPAIRED, small, train_only
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints
from i2i_metrics.networks import available


@pytest.fixture
def nothing_there(monkeypatch, tmp_path):
    """No weights in torch's folder, and no package with weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(available.efficientnet, "package_file", lambda: None)


def without_metrics(recipe):
    return [line for line in small(recipe) if not line.startswith("train.metrics")]


def trained(recipe, run, *sets, **options):
    train_only(recipe, plugins=Plugins(), out=run, sets=[*without_metrics(recipe), *sets], **options)
    return checkpoints.load_newest(run / "checkpoints")[0].state


def test_pairs_have_l1_and_psnr(tmp_path):
    assert set(trained("pix2pix", tmp_path / "run", steps=1)["metrics"]) == {"l1", "psnr"}


@pytest.mark.parametrize("recipe", UNPAIRED)
def test_images_without_targets_are_compared_as_sets_by_the_network_that_is_there(recipe, tmp_path, nothing_there):
    state = trained(recipe, tmp_path / "run", "train.val_images=3", steps=1)
    assert {"kid-random", "fid-random"} <= state["metrics"].keys()
    assert state["score_of"] in ({"metric": "kid-random", "higher_is_better": False}, None)


def test_a_resumed_run_keeps_the_network_though_a_better_one_is_there(tmp_path, nothing_there, monkeypatch):
    trained("cgan", tmp_path / "run", "train.val_images=3", steps=1)
    metrics = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["train"]["metrics"]
    assert [(one["name"], one["features"]["name"]) for one in metrics] == [("kid", "random"), ("fid", "random")]
    monkeypatch.undo()
    assert available.build(None).settled != "random"
    for words in ([], ["train.metrics=null"]):  # null is what the run was begun with
        train_only(resume=True, out=tmp_path / "run", sets=["train.steps=2", *words], plugins=Plugins())
        state = checkpoints.load_newest(tmp_path / "run/checkpoints")[0].state
        assert {"kid-random", "fid-random"} <= state["metrics"].keys()


def test_the_network_that_is_there_gives_the_features_of_the_component_that_it_names(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = available.build(None)
    assert found.settled == "efficientnet-lite0"
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    named = Plugins().get("features", found.settled)
    assert named.name == found.protocol["network"]
    assert found.embed(images)["features"].shape == (2, 1280)
