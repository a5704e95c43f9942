"""A training that goes wrong is caught in the step, goes back or says why not, and a sick GAN is warned of."""

import copy
import json
import re

import pytest
import torch
from torch import nn

from helpers.paths import HELPERS
from helpers.recipes import OWN, small
from i2i.config import resolve
from i2i.engine import launch
from i2i.engine import train as run_engine
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.health import DivergedError, Health
from i2i.engine.health.diagnosis import diagnose
from i2i.engine.health.window import StepRecord, Window
from i2i.engine.saving import restore, to_checkpoint
from i2i.engine.setup import open_training
from i2i.errors import TrainingError
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder

SICK = HELPERS / "sick.py"
TINY = ["data.size=16", "data.load_size=16", "train.log_every=1", "train.checkpoint_every=2", "train.val_images=1"]


def opened(plugins, recipe, *sets, steps=10):
    config = resolve(plugins, recipe, sets=[*small(recipe), *sets, f"train.steps={steps}"])
    fabric = launch(config.engine)
    training, data = open_training(config, plugins, fabric)
    return training, step_batches(training, data, fabric)


def spoil_losses(training, monkeypatch, how):
    """Changes the losses of every phase in the next step."""
    losses = type(training.recipe).losses

    def spoilt(self, phase, nets, batch, ctx):
        return how(losses(self, phase, nets, batch, ctx))

    monkeypatch.setattr(type(training.recipe), "losses", spoilt)


def nan_loss(losses):
    return {name: loss * float("nan") for name, loss in losses.items()}


def infinite_gradient(losses):
    for loss in losses.values():
        if loss.requires_grad:
            loss.register_hook(lambda gradient: gradient * float("inf"))
    return losses


@pytest.mark.parametrize("recipe", OWN)
def test_numbers_that_are_not_finite_are_caught_in_their_step(plugins, recipe, monkeypatch):
    training, steps = opened(plugins, recipe)
    for _ in range(2):
        training.train_step(next(steps))
    good = copy.deepcopy(to_checkpoint(training, training.context.pools()))

    def caught(pattern, batches=None):
        with pytest.raises(DivergedError, match=rf"{pattern}.* at step 3$") as error:
            training.train_step(batches or next(steps))
        restore(training, copy.deepcopy(good))
        return error.value

    for how, what in ((nan_loss, "loss/.* is nan"), (infinite_gradient, "the gradient of phase '.*', network '.*'")):
        with monkeypatch.context() as patch:
            spoil_losses(training, patch, how)
            caught(what)
    with torch.no_grad():
        next(training.modules[training.phase_optimizers[0].phase.trains[0]].parameters()).flatten()[0] = float("nan")
    caught("(loss|weight)")
    [batch] = next(steps)
    batch["target"][1, 0, 3, 3] = float("nan")
    error = caught(r"'target' of the batch has numbers that are not finite \(sample 1 of 4\)", [batch])
    assert error.in_batch
    training.train_step(next(steps))  # the state that it went back to is whole
    assert training.step == 3


def trained(run, recipe, *sets, root, steps):
    """Trains in a folder, without export."""
    plugins = Plugins([str(SICK)])
    config = resolve(plugins, recipe, sets=[*sets, f"data.root={root}", f"train.steps={steps}"])
    run.mkdir(exist_ok=True)
    run_engine(config, plugins, launch(config.engine), RunFolder(run))
    return run


def sick(run, *sets, root, steps=8):
    return trained(run, "sick", *TINY, *sets, root=root, steps=steps)


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def all_finite(run):
    for path in checkpoints.list_checkpoints(run / "checkpoints"):
        found = checkpoints.load(path)
        states = [*found.networks.values(), *found.ema.values()]
        if not all(bool(tensor.isfinite().all()) for state in states for tensor in state.values()):
            return False
    return True


@pytest.mark.parametrize("where", ["loss", "gradient", "weight"])
def test_a_run_goes_back_to_its_last_checkpoint_with_half_the_rate(pairs_root, tmp_path, capfd, where):
    run = sick(tmp_path / "run", "sick.at=5", f"sick.where={where}", "train.optimizer.lr=0.01", root=pairs_root)
    said = [line for line in capfd.readouterr().err.splitlines() if "went" in line or "back to" in line]
    assert len(said) == 1
    assert (
        "at step 6; nothing of it was saved; back to the checkpoint of step 4 with all learning rates at 0.5" in said[0]
    )
    logged = lines(run)
    assert [line["step"] for line in logged if "epoch" in line] == list(range(1, 9))
    assert [line["lr/p"] for line in logged if "epoch" in line] == [0.01] * 4 + [0.005] * 4
    assert [(line["step"], "back to" in line["warning"]) for line in logged if "warning" in line] == [(4, True)]
    assert all_finite(run)


def test_without_a_checkpoint_it_goes_back_to_the_beginning(pairs_root, tmp_path, capfd):
    calm = sick(tmp_path / "calm", "train.optimizer.lr=0.005", root=pairs_root, steps=3)
    run = sick(tmp_path / "run", "sick.at=1", "train.optimizer.lr=0.01", root=pairs_root, steps=3)
    assert "back to the beginning" in capfd.readouterr().err
    one, other = (checkpoints.load(path / "checkpoints" / "step-0000003").networks for path in (calm, run))
    assert all(torch.equal(one["net"][key], other["net"][key]) for key in one["net"])


def test_after_three_times_it_stops_with_the_reason(pairs_root, tmp_path, capfd):
    with pytest.raises(
        TrainingError, match=r"loss/p/error is nan at step 6; nothing of it was saved, .* 3 times"
    ) as error:
        sick(tmp_path / "run", "sick.at=5", "sick.times=9", root=pairs_root)
    assert error.value.exit_code == 1
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err.count("back to the checkpoint of step 4") == 3
    assert [path.name for path in checkpoints.list_checkpoints(tmp_path / "run" / "checkpoints")] == [
        "step-0000002",
        "step-0000004",
    ]
    assert all_finite(tmp_path / "run")


def test_a_resumed_run_keeps_its_lower_rate(pairs_root, tmp_path):
    whole = sick(tmp_path / "whole", "sick.at=3", root=pairs_root, steps=8)
    halves = sick(tmp_path / "halves", "sick.at=3", root=pairs_root, steps=8)
    for step in (6, 8):
        for path in (halves / "checkpoints" / f"step-{step:07d}").iterdir():
            path.unlink()
        (halves / "checkpoints" / f"step-{step:07d}").rmdir()
    sick(halves, "sick.at=3", root=pairs_root, steps=8)
    one, other = (checkpoints.load(path / "checkpoints" / "step-0000008") for path in (whole, halves))
    assert one.state["rate_scale"] == other.state["rate_scale"] == 0.5
    assert all(torch.equal(one.networks["net"][key], other.networks["net"][key]) for key in one.networks["net"])


def test_steps_at_a_rate_of_zero_are_no_failure():
    found = Window(paired=True)
    for step in range(60):
        found.add(StepRecord(step, {"update/generator/g": 0.0, "update/discriminator/d": 0.0}, {}))
    assert list(diagnose(found)) == []


def window(steps=200, paired=False, **figures):
    """A window over made-up steps: figures are functions of the step; outputs follow their targets."""
    found, noise = Window(paired=paired), torch.Generator().manual_seed(0)
    usual = {
        "accuracy/discriminator/real": lambda step: 0.8,
        "accuracy/discriminator/fake": lambda step: 0.8,
        "adversarial_gradient/1": lambda step: 0.01,
        "grad/discriminator": lambda step: 5.0,
        "grad/generator": lambda step: 30.0,
        "loss/generator/adversarial": lambda step: 1 + 0.3 * (step % 3),
        "output/default/spread": lambda step: 0.3,
        "real/default/spread": lambda step: 0.3,
        "output/default/saturated": lambda step: 0.0,
        "real/default/saturated": lambda step: 0.0,
        "update/discriminator/discriminator": lambda step: 0.002,
        "update/generator/generator": lambda step: 0.001,
    }
    made = figures.pop("made", lambda real, other: real + 0.1 * other)
    for step in range(1, steps + 1):
        real, other = torch.randn(2, 1, 3, 8, 8, generator=noise)
        values = {name: figure(step) for name, figure in (usual | figures).items()}
        found.add(StepRecord(step, values, {"default": (made(real, other), real)}))
    return found


AFTER = 100
FAILURES = {
    "the discriminator learns too fast": {"update/discriminator/discriminator": lambda step: 0.05},
    "the discriminator wins": {
        "accuracy/discriminator/real": lambda step: 1.0,
        "accuracy/discriminator/fake": lambda step: 1.0,
        "adversarial_gradient/1": lambda step: 0.01 if step < AFTER else 1e-4,
    },
    "the generator wins": {
        "accuracy/discriminator/real": lambda step: 0.5,
        "accuracy/discriminator/fake": lambda step: 0.5,
        "grad/discriminator": lambda step: 5.0 if step < AFTER else 0.01,
    },
    "constant output": {"output/default/spread": lambda step: 0.001},
    "saturated output": {"output/default/saturated": lambda step: 0.8},
    "mode collapse": {"made": lambda real, other: 0.05 * other},
    "dead gradients": {"grad/generator": lambda step: 30.0 if step < AFTER else 1e-4},
    "loss spike": {"loss/generator/adversarial": lambda step: 50.0 if step == 190 else 1.0},
}


def test_a_healthy_window_shows_nothing():
    assert list(diagnose(window())) == []
    assert list(diagnose(window(paired=True))) == []


@pytest.mark.parametrize("kind", FAILURES)
def test_every_failure_is_named_and_nothing_else(kind):
    assert [warning.kind for warning in diagnose(window(**FAILURES[kind]))] == [kind]


def test_outputs_that_belong_to_no_input_are_named_for_paired_data():
    found = window(paired=True, made=lambda real, other: other)
    assert [warning.kind for warning in diagnose(found)] == ["the output ignores the input"]
    assert list(diagnose(window(made=lambda real, other: other))) == []


def test_a_warning_has_step_evidence_and_advice_and_is_said_once():
    health = Health(())
    health.window = window(**FAILURES["constant output"])
    said = [line for step in range(200, 1400) for line in health.warnings(step)]
    assert len(said) == 1
    assert re.match(r"step \d+: constant output: values inside an image .* 0\.001, .* 0\.3; .*; try ", said[0])


def test_health_is_logged_and_looking_changes_nothing(pairs_root, tmp_path):
    sets = [*small("pix2pix", drawn=False), "train.log_every=20", "train.metrics=[l1]"]
    run = trained(tmp_path / "run", "pix2pix", *sets, root=pairs_root, steps=60)
    quiet = trained(tmp_path / "quiet", "pix2pix", *sets, "train.health=false", root=pairs_root, steps=60)
    [last] = [line for line in lines(run) if line["step"] == 60 and "epoch" in line]
    for name in ("accuracy/discriminator/real", "accuracy/discriminator/fake", "grad/generator", "diversity/default"):
        assert 0 <= last[name] < 1e4
    assert not [name for line in lines(quiet) for name in line if name.startswith(("accuracy/", "diversity/"))]
    one, other = (checkpoints.load(path / "checkpoints" / "step-0000060").networks for path in (run, quiet))
    for net, state in one.items():
        assert all(torch.equal(tensor, other[net][key]) for key, tensor in state.items())


class Deaf(nn.Module):
    """A generator that learns one picture, whatever it is given."""

    def __init__(self, network):
        super().__init__()
        self.network, self.picture = network, nn.Parameter(0.5 * torch.randn(1, 3, 32, 32))

    def forward(self, *given):
        return torch.tanh(self.picture) + 0 * self.network(*given)


class Flat(Deaf):
    """A generator that gives every pixel the mean."""

    def forward(self, *given):
        return self.network(*given).mean((2, 3), keepdim=True) + 0 * self.picture


def warned(plugins, recipe, monkeypatch, *sets, steps, seed=0, wrap=None):
    """Kinds of the warnings of a run in memory, small, on the drawn samples."""
    if wrap:
        generator = Builder.generator
        monkeypatch.setattr(Builder, "generator", lambda self, *a, **k: wrap(generator(self, *a, **k)))
    training, batches = opened(plugins, recipe, *sets, f"seed={seed}", steps=steps)
    said = []
    for _ in range(steps):
        training.train_step(next(batches))
        said += training.health.warnings(training.step)
    return [line.split(": ")[1] for line in said]


def test_a_small_healthy_run_is_not_warned_of(plugins, monkeypatch):
    assert warned(plugins, "pix2pix", monkeypatch, steps=220) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("recipe", OWN)
def test_healthy_runs_are_not_warned_of(plugins, recipe, seed, monkeypatch):
    assert warned(plugins, recipe, monkeypatch, steps=500, seed=seed) == []


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["pix2pix", "cyclegan", "cgan", "stargan", "srgan"])
def test_a_discriminator_at_a_hundred_times_its_rate_is_named(plugins, recipe, monkeypatch):
    sets = ["train.phases.discriminator.lr=0.02", *(["srgan.pretrain=0"] if recipe == "srgan" else [])]
    assert "the discriminator learns too fast" in warned(plugins, recipe, monkeypatch, *sets, steps=300)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["pix2pix", "cyclegan"])
def test_a_generator_that_ignores_its_input_is_named(plugins, recipe, monkeypatch):
    kind = "the output ignores the input" if recipe == "pix2pix" else "mode collapse"
    assert warned(plugins, recipe, monkeypatch, steps=300, wrap=Deaf) == [kind]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["pix2pix", "cyclegan"])
def test_constant_output_is_named(plugins, recipe, monkeypatch):
    assert warned(plugins, recipe, monkeypatch, steps=300, wrap=Flat) == ["constant output"]
