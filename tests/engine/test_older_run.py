"""A run folder that version 0.1 wrote: it resumes, exports and translates."""

import json
import shutil

import numpy as np
import pytest

import i2i
from helpers.paths import ROOT

OLD_RUN = ROOT / "tests" / "fixtures" / "run-0.1"
LOSSES = {  # version 0.1 went on with it so
    3: {"discriminator/adversarial": 0.6964370, "generator/adversarial": 0.7153317, "generator/l1": 30.68943},
    4: {"discriminator/adversarial": 0.6946158, "generator/adversarial": 0.7181237, "generator/l1": 34.58167},
}


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """The old run after two more steps."""
    run = shutil.copytree(OLD_RUN, tmp_path_factory.mktemp("older") / "run")
    return i2i.train(out=run, resume=True, steps=4)


def image():
    return np.random.default_rng(0).integers(0, 256, (21, 30, 3), np.uint8)


def test_it_goes_on_as_its_own_version_did(resumed):
    lines = [json.loads(line) for line in (resumed.run / "metrics.jsonl").read_text().splitlines()]
    logged = {line["step"]: line for line in lines if "epoch" in line}
    assert list(logged) == [1, 2, 3, 4]
    for step, losses in LOSSES.items():
        assert {name: logged[step][f"loss/{name}"] for name in losses} == pytest.approx(losses, rel=1e-3)


def test_it_is_exported_after_more_steps(resumed):
    assert (resumed.step, resumed.exported[0].step) == (4, 4)
    assert i2i.load(resumed.run).translate(image()).shape == (21, 30, 3)


def test_its_model_translates_and_an_export_of_its_checkpoint_gives_the_same(tmp_path):
    old = i2i.load(OLD_RUN / "model.onnx").translate(image())
    run = shutil.copytree(OLD_RUN, tmp_path / "run")
    [exported] = i2i.export(run, out=tmp_path / "new.onnx")
    assert exported.step == 2
    new = i2i.load(exported.path).translate(image())
    assert np.abs(old.astype(int) - new).max() <= 1
