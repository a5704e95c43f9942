"""Phases that repeat or shorten their gradients, and what recipes do after each step."""

import shutil

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

import i2i
from helpers.recipes import SHARED, train_only
from i2i.config import resolve
from i2i.engine import launch
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.setup import open_training
from i2i.plugins import Plugins
from i2i.timing import tuning

RECIPE = """
import torch
from copy import deepcopy
from torch import nn
from torch.nn.functional import mse_loss
import i2i

class Two(i2i.Recipe):
    def networks(self, build, sample):
        student = nn.Conv2d(3, 3, 3, padding=1)
        return {{"student": student, "other": nn.Conv2d(3, 3, 1), "teacher": deepcopy(student).requires_grad_(False)}}
    def phases(self):
        sgd = {{"name": "sgd", "lr": 0.5}}
        return [
            i2i.Phase("student", trains=("student",), optimizer=sgd, {options}),
            i2i.Phase("other", trains=("other",), optimizer=sgd),
        ]
    def losses(self, phase, nets, batch, ctx):
        self.state[f"turns-{{phase}}"] = ctx.turn
        return {{"error": mse_loss(nets[phase](batch["source"]), batch["target"])}}
    def after_step(self, nets, ctx):
        assert not torch.is_grad_enabled()
        for slow, fast in zip(nets["teacher"].parameters(), nets["student"].parameters()):
            slow.lerp_(fast, 0.25)
    def translators(self, nets, sample):
        return {{"default": i2i.Translator(nets["teacher"], {{"image": sample["source"][:1]}})}}

@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("two", Two, i2i.Config, "Two networks and a teacher")]
"""
SETS = [*SHARED, "data.layout=facades", "train.batch_size=2", "train.checkpoint_every=1", "train.keep_last=9"]


def plugins(folder, options=""):
    (folder / "two.py").write_text(RECIPE.format(options=options), encoding="utf-8")
    return Plugins([folder / "two.py"])


def opened(folder, options, *sets):
    config = resolve(plugins(folder, options), "two", sets=[*SETS, "train.steps=4", *sets])
    fabric = launch(config.engine)
    training, data = open_training(config, plugins(folder, options), fabric)
    return training, step_batches(training, data, fabric)


def by_hand(module, groups, *, clip=None):
    """The weights after steps of plain SGD on the mean of each group's batches; gradients no longer than `clip`."""
    for batches in groups:
        losses = torch.stack([mse_loss(module(batch["source"]), batch["target"]) for batch in batches])
        gradients = torch.autograd.grad(losses.mean(), list(module.parameters()))
        norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        factor = min(1.0, clip / float(norm)) if clip else 1.0
        with torch.no_grad():
            for parameter, gradient in zip(module.parameters(), gradients, strict=True):
                parameter -= 0.5 * factor * gradient
    return [parameter.detach() for parameter in module.parameters()]


def conv(module):
    copy = nn.Conv2d(module.in_channels, module.out_channels, module.kernel_size, padding=module.padding)
    copy.load_state_dict(module.state_dict())
    return copy


def equal(module, weights):
    return all(torch.allclose(one, other, atol=1e-6) for one, other in zip(module.parameters(), weights, strict=True))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_repeat_is_a_step_on_a_batch_of_its_own(tmp_path, accumulate):
    training, steps = opened(tmp_path, "repeats=3", f"train.accumulate={accumulate}")
    student, other = conv(training.modules["student"]), conv(training.modules["other"])
    batches = next(steps)
    assert len(batches) == 3 * accumulate
    training.train_step(batches)
    groups = [batches[place::3] for place in range(3)]
    assert equal(training.modules["student"], by_hand(student, groups))
    assert equal(training.modules["other"], by_hand(other, groups[:1]))
    assert (training.recipe.state["turns-student"], training.recipe.state["turns-other"]) == (2, 0)


def test_an_epoch_counts_the_batches_of_repeats(tmp_path):
    plain, _ = opened(tmp_path, "", "train.steps=null", "train.epochs=3")
    repeated, _ = opened(tmp_path, "repeats=3", "train.steps=null", "train.epochs=3")
    assert (repeated.steps, repeated.samples_seen) == (round(plain.steps / 3), 0)


def test_a_trial_of_settings_counts_the_steps_as_the_training_does(tmp_path, monkeypatch):
    """Repeats make a run of epochs shorter, and short runs are not tried."""
    tried = []
    monkeypatch.setattr(tuning, "_measure", lambda *given: tried.append(given) or (1.0, 1.0))
    given = plugins(tmp_path, "repeats=3")
    config = resolve(given, "two", sets=[*SETS, "train.steps=null", "train.epochs=30"])
    fabric = launch(config.engine)
    training, data = open_training(config, given, fabric)
    for limit, expected in ((training.steps + 1, False), (training.steps, True)):
        monkeypatch.setattr(tuning, "MIN_STEPS", limit)
        tuning.tune(config, data, given, fabric)
        assert bool(tried) is expected


@pytest.mark.parametrize("clip", [0.01, 1000.0])
def test_gradients_are_shortened_to_the_limit_and_never_made_longer(tmp_path, clip):
    training, steps = opened(tmp_path, f"clip_grad={clip}")
    student, batches = conv(training.modules["student"]), next(steps)
    training.train_step(batches)
    assert equal(training.modules["student"], by_hand(student, [batches], clip=clip))


def test_a_teacher_that_moves_after_each_step_resumes_with_the_same_bits(tmp_path):
    given = plugins(tmp_path, "repeats=2")
    whole = i2i.train("two", out=tmp_path / "whole", sets=SETS, steps=4, plugins=given).run
    shutil.copytree(whole, tmp_path / "halved")
    for step in (3, 4):
        shutil.rmtree(tmp_path / f"halved/checkpoints/step-{step:07d}")
    train_only(out=tmp_path / "halved", resume=True, plugins=given)
    files = [run / "checkpoints/step-0000004/networks.safetensors" for run in (whole, tmp_path / "halved")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(("options", "says"), [("repeats=0", "repeats must be"), ("clip_grad=0", "clip_grad must be")])
def test_values_that_make_no_sense_are_refused(tmp_path, options, says):
    with pytest.raises(i2i.PluginError, match=says):
        opened(tmp_path, options)
