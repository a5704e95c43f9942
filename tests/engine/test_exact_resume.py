"""Resuming is exact: networks, averages, optimisers, pools, learning rates and the order of the data."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

import i2i
from helpers.digests import digest
from helpers.recipes import small
from i2i.config import resolve
from i2i.engine import launch
from i2i.engine import train as run_engine
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.setup import open_training
from i2i.runs.folder import new_run

STEPS, LR = 8, 2e-4
EPOCH = 3  # steps: 12 samples in batches of 4
MIDDLE, EDGE = 4, 6
SETS = [
    f"train.steps={STEPS}",
    f"train.optimizer.lr={LR}",
    "train.schedule={name: linear, hold: 0.5, warmup: 2}",
    "train.ema=0.9",
    "train.checkpoint_every=1",
    "train.sample_every=100",
    "train.keep_last=100",
]
RECIPES = ["pix2pix", "cyclegan", "cgan", "stargan", "srgan"]
OTHERS = ["srresnet", "esrgan", "realesrnet", "realesrgan", "bicyclegan", "starganv2", "spade"]


def formula(step: int) -> float:
    """The learning rate at a step, counted from 0: full until half of the run, then falling; two steps of warm-up."""
    fall = 1.0 if step <= STEPS / 2 else (STEPS - step) / (STEPS / 2)
    return LR * fall * min(1.0, (step + 1) / 3)


class Trial:
    """A recipe's undisturbed run, every step of it kept, and runs that were stopped."""

    def __init__(self, recipe, plugins, folder: Path, *sets: str) -> None:
        self.plugins, self.folder = plugins, folder
        self.config = resolve(plugins, recipe, sets=[*small(recipe), *SETS, *sets])
        self.run = new_run(recipe, folder / "undisturbed")
        self.go_on(self.run)
        self.expected = found(self.run)

    def go_on(self, run, workers: int = 0) -> None:
        config = resolve(self.plugins, config=self.config.to_dict(), sets={"data.workers": workers})
        run_engine(config, self.plugins, launch(config.engine), run)

    def resumed(self, step: int, workers: int) -> dict[str, str]:
        """What is found of a run that was killed after a step and went on."""
        path = self.folder / f"{step}-{workers}"
        shutil.copytree(self.run.path, path)
        for checkpoint in (path / "checkpoints").glob("step-*"):
            if int(checkpoint.name.removeprefix("step-")) > step:
                shutil.rmtree(checkpoint)
        run = type(self.run)(path)
        self.go_on(run, workers)
        return found(run)


def found(run) -> dict[str, str]:
    """Digests of the last checkpoint's files, and the logged losses and validations by step."""
    last = run.checkpoints / f"step-{STEPS:07d}"
    digests = {
        name: hashlib.sha256((last / name).read_bytes()).hexdigest()
        for name in ("networks.safetensors", "ema.safetensors")
    }
    digests["training.pt"] = digest(torch.load(last / "training.pt", weights_only=True))
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    for line in lines:
        kind = "validation" if any(key.startswith("val/") for key in line) else "losses"
        digests[f"{kind} {line['step']}"] = json.dumps(
            {key: value for key, value in line.items() if key.startswith(("epoch", "loss/", "lr/", "val/"))},
            sort_keys=True,
        )
    assert [key for key in digests if key.startswith("losses")] == [f"losses {step}" for step in range(1, STEPS + 1)]
    return digests


@pytest.fixture(scope="module")
def trial(plugins, tmp_path_factory):
    """Makes the undisturbed run of a recipe, once."""
    made: dict[tuple[str, ...], Trial] = {}

    def get(recipe: str, *sets: str) -> Trial:
        if (recipe, *sets) not in made:
            made[recipe, *sets] = Trial(recipe, plugins, tmp_path_factory.mktemp(recipe), *sets)
        return made[recipe, *sets]

    return get


@pytest.mark.parametrize(("step", "workers"), [(MIDDLE, 2), (EDGE, 0)], ids=["mid-epoch", "edge"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_resume_is_bit_exact(trial, recipe, step, workers):
    assert trial(recipe).resumed(step, workers) == trial(recipe).expected


def test_resume_is_bit_exact_with_adaptive_augmentation(trial):
    one = trial("cgan", "adversary.augment=ada", "adversary.augment_images=16", "adversary.augment_target=-0.9")
    assert one.resumed(MIDDLE, 0) == one.expected
    probability = i2i.load_networks(one.run.path, "last").recipe.state["adversary.augment"][0]
    assert probability > 0


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", range(1, STEPS))
@pytest.mark.parametrize("recipe", [*RECIPES, *OTHERS])
def test_resume_is_bit_exact_after_every_step(trial, recipe, step, workers, tmp_path):
    path = trial(recipe).folder / f"{step}-{workers}"
    shutil.rmtree(path, ignore_errors=True)
    assert trial(recipe).resumed(step, workers) == trial(recipe).expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "sets",
    [
        ["engine.precision=bf16"],
        ["engine.precision=fp64"],
        ["engine.memory_format=channels_last"],
        ["train.accumulate=2"],
        ["train.optimizer={name: rmsprop, momentum: 0.9}"],
        ["train.optimizer.name=sgd"],
        ["train.schedule={name: cosine}", "train.optimizer.name=adamw"],
        ["train.phases.discriminator.every=2"],
        ["batch_size=5"],
    ],
    ids=lambda sets: sets[0].partition(".")[2],
)
@pytest.mark.parametrize("recipe", ["pix2pix", "cyclegan"])
def test_resume_is_bit_exact_in_every_precision_and_setting(trial, recipe, sets):
    for step, workers in ((MIDDLE, 2), (EDGE, 0)):
        assert trial(recipe, *sets).resumed(step, workers) == trial(recipe, *sets).expected


def test_the_learning_rate_of_every_step_is_the_closed_formula(trial):
    one = trial("pix2pix")
    one.resumed(5, 0)
    run = one.folder / "5-0"
    for step in range(1, STEPS + 1):
        saved = torch.load(run / "checkpoints" / f"step-{step:07d}" / "training.pt", weights_only=True)
        for optimizer in saved["optimizers"].values():
            assert optimizer["param_groups"][0]["lr"] == pytest.approx(formula(step - 1), rel=1e-12)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if "lr/generator" in line:  # of the step that comes, and at the end of the last one
            assert line["lr/generator"] == pytest.approx(formula(min(line["step"], STEPS - 1)), rel=1e-12)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_of_the_data_after_a_resume_is_that_of_the_undisturbed_run(trial, plugins, workers):
    config = resolve(plugins, config=trial("cyclegan").config.to_dict(), sets={"data.workers": workers})
    fabric = launch(config.engine)

    def steps(first: int, count: int) -> list[str]:
        training, data = open_training(config, plugins, fabric)
        training.step = first
        batches = step_batches(training, data, fabric)
        return [digest(next(batches)) for _ in range(count)]

    whole = steps(0, STEPS)
    assert len(set(whole)) == STEPS
    for step in (MIDDLE, EDGE):
        assert steps(step, STEPS - step) == whole[step:]
