"""Every recipe from the samples drawn by code to a model that is used, and through a crash."""

import hashlib
import json

import numpy as np
import pytest
import torch

import i2i
from i2i.data.images import image_info, read_image
from i2i.engine.state import Training
from i2i.plugins import Plugins
from i2i.translate.folder import translate_folder
from recipes import OWN, small

STEPS = 6


def train(recipe, out, *sets, **options):
    sets = [*small(recipe), f"train.steps={STEPS}", "train.checkpoint_every=2", *sets]
    return i2i.train(recipe, out=out, sets=sets, **options)


def state(run):
    """Digests of everything that was learned and is kept for going on, and every logged loss."""
    newest = run / "checkpoints" / f"step-{STEPS:07d}"
    digests = [
        hashlib.sha256((newest / f"{name}.safetensors").read_bytes()).hexdigest() for name in ("networks", "ema")
    ]
    pools = torch.load(newest / "training.pt", weights_only=True)["pools"]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [{k: v for k, v in line.items() if k.startswith(("loss/", "lr/", "step"))} for line in lines]
    return digests, {name: images.sum().item() for name, images in pools.items()}, losses


def test_the_settings_here_are_for_all_built_in_recipes():
    assert set(OWN) == set(Plugins().table("recipe"))


@pytest.mark.parametrize("recipe", OWN)
def test_a_crash_changes_nothing(recipe, tmp_path, monkeypatch):
    whole = train(recipe, tmp_path / "whole", "train.ema=0.9")
    step = Training.train_step

    def failing(training, batches):
        if training.step == 3:
            raise MemoryError
        return step(training, batches)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Training, "train_step", failing)
        train(recipe, tmp_path / "crashed", "train.ema=0.9")
    resumed = train(recipe, tmp_path / "crashed", "train.ema=0.9", resume=True)
    assert state(resumed.run) == state(whole.run)
    assert (len(state(whole.run)[1]) == 2) == (recipe == "cyclegan")  # it has two pools
    assert {one.path.name for one in whole.exported} == {path.name for path in whole.run.glob("*.onnx")}
    assert max(one.difference for one in whole.exported) <= 1
    check_use(whole, tmp_path / "used")


@pytest.mark.parametrize("recipe", OWN)
@pytest.mark.parametrize("precision", ["fp64", "bf16"])
def test_every_phase_runs_in_every_precision(recipe, precision):
    assert i2i.train(recipe, sets=[*small(recipe), f"engine.precision={precision}"], dry_run=True).step == 1


def check_use(trained, out):
    """The printed command's work: images of the right number, size and kind."""
    for one in trained.exported:
        model = i2i.load(one.path)
        if "image" not in one.inputs:
            images = model.generate(2, label=model.labels[0] if model.labels else None)
            assert images.shape[0] == 2
            assert images.dtype == np.uint8
            assert f"generate {trained.run}" in trained.next_command()
            continue
        examples = sorted((trained.run / "examples").glob("*.png"))
        label = model.labels[0] if model.labels else None
        assert f"translate {trained.run}" in trained.next_command()
        results = list(translate_folder(model, [str(trained.run / "examples")], out / one.translator, label=label))
        assert [result.status for result in results] == ["written"] * len(examples)
        assert examples
        given, made = image_info(examples[0]), image_info(results[0].output)
        assert (made.width, made.height) == (given.width * model.scale, given.height * model.scale)
        assert read_image(results[0].output).pixels.std() > 0
