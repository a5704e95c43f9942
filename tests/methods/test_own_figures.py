"""Recipes with validation figures and sample grids of their own: what is written, against the saved networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.classification import binary_auroc

import i2i
from helpers import typed_data
from helpers.recipes import SHARED
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints

FOLDER = Path(__file__).parent / "plugins"
SETS = [
    *SHARED,
    "train.checkpoint_every=1",
    "train.val_images=9",
    "train.keep_last=9",
    "train.ema=0.5",
    "data.jitter=1",
]
STEPS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return typed_data.make(tmp_path_factory.mktemp("data"))


@pytest.fixture
def trained(data, cli, tmp_path):
    """A function that trains a plugin's recipe from the command line; returns the run, its networks and samples."""

    def train(name, images, layout):
        plugin, run = FOLDER / f"{name}.py", tmp_path / "run"
        words = [f"--set={line}" for line in [*SETS, f"data.layout={layout}", "data.val_fraction=0.5"]]
        words += ["--data", data / images, "--out", run, "--steps", STEPS]
        done = cli("-p", plugin, "train", name, *words)
        assert done.returncode == 0, done.stderr
        plugins = Plugins([plugin])
        loaded = i2i.load_networks(run, "last", plugins=plugins)
        opened = open_data(loaded.config.data, plugins, Requirements.of_recipe(loaded.recipe), seed=loaded.config.seed)
        assert len(opened.val) >= 2
        batches = [collate([opened.val[0, index]]) for index in range(len(opened.val))]
        values = [{key: value for key, value in batch.items() if key != SKIPPED} for batch in batches]
        return run, loaded.networks, [to_device(one, torch.device("cpu")) for one in values], done.stderr

    return train


def test_figures_of_the_recipe_are_written_and_choose_the_best_checkpoint(trained):
    run, networks, samples, said = trained("anomaly", "masked/images", "images")
    scores, classes = [], []
    for sample in samples:
        spoiled = sample["target"].clone()
        spoiled[:, :, 8:20, 8:20] = -1
        with torch.no_grad():
            scores += [-networks["discriminator"](image).mean() for image in (sample["target"], spoiled)]
        classes += [0, 1]
    area = float(binary_auroc(torch.stack(scores), torch.tensor(classes)))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logged = {line["step"]: line["val/anomaly.auroc"] for line in lines if "val/anomaly.auroc" in line}
    assert list(logged) == [0, 1, 2, 3]
    assert logged[STEPS] == pytest.approx(area, abs=1e-6)
    assert "validation at step 3: anomaly.auroc" in said
    states = {step: checkpoints.load(run / f"checkpoints/step-{step:07d}", training=False).state for step in (1, 2, 3)}
    assert {step: state["score"] for step, state in states.items()} == {step: logged[step] for step in (1, 2, 3)}
    assert "val/anomaly.auroc" in (run / "report.html").read_text(encoding="utf-8")


def test_the_grid_of_the_recipe_has_a_row_a_sample_and_its_columns(trained):
    run, networks, samples, _ = trained("inpainting", "masked", "masked")
    grid = np.asarray(Image.open(run / f"samples/step-{STEPS:07d}.png")).astype(int)
    assert grid.shape == (2 * 34 + 2, 3 * 34 + 2, 3)
    for row, sample in enumerate(samples[:2]):
        image, mask = sample["target"], sample["mask"]
        with torch.no_grad():
            filled = networks["generator"](image, mask)
        for column, expected in enumerate((image, image * (1 - mask), filled)):
            cell = grid[2 + 34 * row :, 2 + 34 * column :][:32, :32]
            pixels = (expected[0].permute(1, 2, 0).numpy() + 1) * 127.5
            assert np.abs(cell - pixels).max() <= 0.51
    assert (run / "samples/step-0000000.png").is_file()


def test_metrics_come_before_figures_of_the_recipe(data, tmp_path):
    plugins = Plugins([FOLDER / "inpainting.py"])
    components = next(plugin for plugin in plugins.all if plugin.name == "inpainting").components
    recipe = next(component for kind, component in components if kind == "recipe")
    seen = []

    class Measured(recipe.builder):
        def evaluate(self, nets, batches):
            seen.append((torch.is_inference_mode_enabled(), nets["generator"].training, sum(1 for _ in batches)))
            return {"score": 7, "other": np.float32(0.5)}

    components.append(("recipe", i2i.Component("measured", Measured, summary="Measured")))
    sets = [*SETS, "data.layout=masked"]
    run = i2i.train("measured", plugins=plugins, data=data / "masked", out=tmp_path / "run", sets=sets, steps=1).run
    state = checkpoints.load(run / "checkpoints/step-0000001", training=False).state
    assert state["score"] == -state["metrics"]["l1"]
    assert state["metrics"].items() >= {"measured.score": 7.0, "measured.other": 0.5}.items()
    assert [one[:2] for one in seen] == [(True, False)] * 2
    assert seen[0][2] > 0
