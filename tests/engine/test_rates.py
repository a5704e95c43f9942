"""Optimisers and schedules of plugins: chosen, stepped, resumed, a phase's own, and what is said of broken ones."""

import json
import math
import shutil

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

import i2i
from helpers.command import Command
from helpers.paths import HELPERS
from helpers.recipes import SHARED, train_only
from i2i.config import resolve
from i2i.engine import launch
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.output.opening import opening_lines
from i2i.engine.setup import open_training
from i2i.plugins import Plugins

FILE = HELPERS / "rates.py"
GIVEN = Plugins([FILE])
SETS = [*SHARED, "data.layout=facades", "train.batch_size=2", "train.checkpoint_every=1", "train.keep_last=9"]


def configured(*sets):
    return resolve(GIVEN, "two", sets=[*SETS, "train.steps=6", *sets])


def opened(*sets):
    config = configured(*sets)
    fabric = launch(config.engine)
    training, data = open_training(config, GIVEN, fabric)
    return training, step_batches(training, data, fabric), data


def lion(parameters, gradients, memory, rate):
    """One step of Lion with one decay, 0.9."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        average = memory[parameter] = 0.9 * memory.get(parameter, 0) + 0.1 * gradient
        parameter.data -= rate * average.sign()


def counting(parameters, gradients, memory, rate):
    memory["count"] = count = memory.get("count", 0) + 1
    for ratio, parameter, gradient in zip((2, 1), parameters, gradients, strict=True):
        parameter.data -= ratio * rate / count * gradient


def nadam(parameters, gradients, memory, rate):
    made = memory.setdefault("made", torch.optim.NAdam(parameters))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    made.param_groups[0]["lr"] = rate
    made.step()


@pytest.mark.parametrize("by_hand", [lion, counting, nadam])
def test_steps_are_those_computed_by_hand_at_the_rates_of_the_schedule(by_hand):
    name = by_hand.__name__
    training, steps, _ = opened(f"train.optimizer={{name: {name}, lr: 0.02}}", "train.schedule=saw")
    copy, memory = nn.Conv2d(3, 3, 3, padding=1), {}
    copy.load_state_dict(training.modules["first"].state_dict())
    for step in range(5):
        batches = next(steps)
        training.train_step(batches)
        rate = 0.02 * (1 - step % 3 / 3)
        loss = mse_loss(copy(batches[0]["source"]), batches[0]["target"])
        by_hand(list(copy.parameters()), torch.autograd.grad(loss, list(copy.parameters())), memory, rate)
    for one, other in zip(training.modules["first"].parameters(), copy.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["lion", "counting", "nadam", "adamw"])
def test_a_resume_repeats_the_bits(tmp_path, name):
    sets = [*SETS, f"train.optimizer.name={name}", "train.schedule={name: saw, period: 4}"]
    whole = train_only("two", out=tmp_path / "whole", sets=sets, steps=4, plugins=GIVEN).run
    shutil.copytree(whole, tmp_path / "halved")
    for step in (3, 4):
        shutil.rmtree(tmp_path / f"halved/checkpoints/step-{step:07d}")
    train_only(out=tmp_path / "halved", resume=True, plugins=GIVEN)
    for file in ("networks.safetensors", "training.pt"):
        one, other = (run / "checkpoints/step-0000004" / file for run in (whole, tmp_path / "halved"))
        assert one.read_bytes() == other.read_bytes(), file


def test_on_the_command_line_they_are_chosen_as_any_component(tmp_path):
    words = [
        f"--set={text}" for text in [*SETS, "train.optimizer=lion", "train.optimizer.lr=0.5", "train.schedule=saw"]
    ]
    done = Command("-p", FILE, "train", "two", *words, "--dry-run", cwd=tmp_path)
    assert done.wait() == 0, done.stderr


def last_group(training, batches):
    training.train_step(batches)
    return {one.phase.name: one.optimizer.param_groups[0] for one in training.phase_optimizers}


def test_a_phase_may_have_its_own_optimiser_and_schedule():
    training, steps, _ = opened(
        "train.phases.first.optimizer=lion",
        "train.phases.first.optimizer.lr=0.5",
        "train.phases.second.schedule={name: saw, least: 1}",
        "train.schedule={name: step, every: 1, gamma: 0.5}",
    )
    first, second = training.phase_optimizers
    assert (type(first.optimizer).__name__, type(second.optimizer).__name__) == ("Lion", "Adam")
    next_batches = next(steps)
    last_group(training, next_batches)
    groups = last_group(training, next_batches)
    assert [groups[name]["lr"] for name in ("first", "second")] == pytest.approx([0.25, 2e-4 * (5 / 3)])
    assert training.rates() == {"lr/first": 0.125, "lr/second": pytest.approx(2e-4 * (4 / 3))}


def test_users_come_before_the_recipe_and_the_recipe_before_what_is_for_every_phase():
    recipe = ["two.optimizer={name: rmsprop, lr: 0.25}", "two.schedule={name: constant}", "train.optimizer.eps=0.5"]
    training, steps, _ = opened(*recipe, "train.schedule=linear", "train.optimizer.lr=0.125")
    groups = last_group(training, next(steps))
    assert isinstance(training.phase_optimizers[0].optimizer, torch.optim.RMSprop)
    assert (groups["first"]["lr"], groups["first"]["eps"], groups["second"]["lr"]) == (0.25, 0.5, 0.125)
    assert [one.schedule.name for one in training.phase_optimizers] == ["constant", "linear"]
    user = ["train.phases.first.optimizer=sgd", "train.phases.first.schedule=cosine", "train.phases.first.lr=2"]
    first = opened(*recipe, *user)[0].phase_optimizers[0]
    assert (type(first.optimizer).__name__, first.lr, first.schedule.name) == ("SGD", 2.0, "cosine")


def test_what_the_recipe_sets_and_the_optimiser_lacks_is_noted():
    training, _, data = opened("train.optimizer=lion", "two.optimizer={betas: [0, 0.9], lr: 0.5}")
    note = "phase 'first' sets betas, which optimizer 'lion' does not have: not used"
    assert [line for line in opening_lines(training, data, {}) if note in line and line.startswith("note: ")]
    assert training.phase_optimizers[0].lr == 0.5


def test_what_a_phase_asks_of_an_optimiser_that_it_shares_is_noted():
    for again, notes in (("{lr: 1}", []), ("{betas: [0.5, 0.999]}", []), ("{betas: [0, 0.9]}", ["betas"])):
        shared = opened(f"two.again={again}")[0].phase_optimizers[2]
        says = "phase 'again' shares the optimiser of phase 'first': its own %s is not used"
        assert shared.notes == [says % name for name in notes]
    shared = opened("two.again={lr: 1}", "train.phases.again.optimizer=lion")[0].phase_optimizers[2]
    assert shared.notes[-1].endswith("its own name is not used")
    user = ["train.phases.again.optimizer.eps=0.5", "train.phases.again.optimizer.lr=1"]
    shared = opened("two.again={}", *user)[0].phase_optimizers[2]
    assert (shared.notes, shared.lr) == ([says % "eps"], 1.0)
    shared = opened("two.again={}", "train.phases.first.optimizer=lion")[0].phase_optimizers[2]
    assert shared.notes == []  # it asks for nothing


def first_phase(*sets):
    training, _, _ = opened(*sets)
    return training.phase_optimizers[0]


def test_another_name_keeps_options_of_the_same_class_in_every_layer():
    recipe = ["train.optimizer={lr: 0.5, eps: 0.25}", "two.optimizer={weight_decay: 0.125}"]
    kept = {"lr": 0.5, "betas": (0.5, 0.999), "eps": 0.25, "weight_decay": 0.125, "momentum": 0.0}
    for sets in (["train.phases.first.optimizer=sgd"], ["train.optimizer.name=sgd"]):
        one = first_phase(*recipe, *sets)
        assert (one.built.choice.name, one.built.choice.options, one.notes) == ("sgd", kept, [])
    one = first_phase("train.optimizer={lr: 0.5}", "two.optimizer={name: sgd}")
    assert (one.built.choice.name, one.lr) == ("sgd", 0.5)
    one = first_phase(*recipe, "train.phases.first.optimizer=lion")
    assert one.built.choice.options == {"lr": 0.01, "beta": 0.9}
    says = "phase 'first' sets weight_decay for optimizer 'adam', not for 'lion': not used"
    assert len(one.notes) == 1 and one.notes[0].endswith(says)


def test_options_of_a_schedule_survive_another_name_in_a_phase():
    every = ["train.steps=8", "train.schedule={name: linear, warmup: 2, hold: 0.75}", "two.schedule={hold: 0.5}"]
    for sets, factors in (
        ([], [1 / 3, 2 / 3, 1, 1, 1, 0.75, 0.5, 0.25]),
        (["train.phases.first.schedule=constant"], [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1]),
        (["train.phases.first.schedule.warmup=0"], [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
        (["train.phases.first.schedule={name: saw, period: 8}"], [1 - step / 8 for step in range(8)]),
    ):
        schedule = first_phase(*every, *sets).schedule
        assert [schedule.factor(step, 8) for step in range(8)] == pytest.approx(factors), sets


def test_a_phase_may_have_options_without_a_name():
    one = first_phase("train.optimizer.name=rmsprop", "train.phases.first.optimizer={lr: 0.5, eps: 0.25}")
    group = one.optimizer.param_groups[0]
    assert isinstance(one.optimizer, torch.optim.RMSprop) and (group["lr"], group["eps"]) == (0.5, 0.25)
    for sets in (
        ["optimizer.lr=0.5", "optimizer=sgd"],
        ["optimizer=sgd", "optimizer.lr=0.5"],
        ["lr=0.5", "optimizer=lion"],
    ):
        one = first_phase(*(f"train.phases.first.{text}" for text in sets))
        assert one.lr == 0.5 and type(one.optimizer).__name__.lower() in sets[0] + sets[1]


def test_settings_of_a_phase_are_written_as_they_were_set():
    config = configured("train.phases.first.optimizer.lr=0.5", "train.phases.first.schedule=cosine")
    first = config.to_dict()["train"]["phases"]["first"]
    assert (first["optimizer"], first["schedule"]) == ({"lr": 0.5}, {"name": "cosine"})
    assert resolve(GIVEN, config=config.to_dict()) == config


@pytest.mark.parametrize(
    ("sets", "error", "says"),
    [
        (
            ["train.optimizer=lionn"],
            i2i.PluginError,
            r"unknown optimizer 'lionn' \(did you mean 'lion'\?\); known: adam",
        ),
        (["train.schedule.name=cosin"], i2i.PluginError, r"unknown schedule 'cosin' \(did you mean 'cosine'\?\)"),
        (["train.optimizer=3"], i2i.ConfigError, "train.optimizer: expected the name of an optimizer, or a mapping"),
        (["train.optimizer=lion", "train.optimizer.beat=1"], i2i.ConfigError, "did you mean train.optimizer.beta?"),
        (["train.phases.first.schedule=saww"], i2i.PluginError, r"unknown schedule 'saww' \(did you mean 'saw'\?\)"),
        (
            ["train.phases.first.optimizer={name: 3}"],
            i2i.ConfigError,
            "first.optimizer={name: 3}: .* expected the name",
        ),
        (
            ["train.phases.first.optimizer.beats=1"],
            i2i.ConfigError,
            r"train.phases.first: optimizer 'adam', option beats: .* \(did you mean 'betas'",
        ),
        (
            ["train.phases.first.schedule.hold=2"],
            i2i.ConfigError,
            "train.phases.first: schedule 'constant', option hold: input should be less",
        ),
        (
            ["train.phases.first.optimizer.lr=1", "train.phases.first.lr=2"],
            i2i.ConfigError,
            "--set train.phases.first.lr=2: .*lr of a phase is also optimizer.lr: leave one of them out",
        ),
        (
            ["train.optimizer=lion", "train.phases.first.betas=[0, 0]"],
            i2i.ConfigError,
            "train.phases.first: optimizer 'lion', option betas: ",
        ),
        (
            ["two.optimizer={beats: 1}"],
            i2i.PluginError,
            r"phase 'first': optimizer 'adam', option beats: .* \(did you mean 'betas'",
        ),
        (["two.optimizer={eps: -1}"], i2i.PluginError, "phase 'first': optimizer 'adam', option eps: input should be"),
        (["two.schedule={name: lin}"], i2i.PluginError, r"unknown schedule 'lin' \(did you mean 'linear'\?\)"),
    ],
)
def test_names_and_options_that_there_are_not(sets, error, says):
    with pytest.raises(error, match=says):
        opened(*sets)


def test_a_factor_that_makes_no_sense_stops_the_training_with_the_components_name():
    training, steps, _ = opened("train.schedule={name: saw, least: -0.5}")
    with pytest.raises(i2i.PluginError, match=r"schedule 'saw' of plugin \S*rates.*at least 0, at step 2 it is -0.16"):
        for _ in range(3):
            training.train_step(next(steps))


def test_a_state_that_no_checkpoint_can_hold_is_refused_in_the_first_step():
    training, steps, _ = opened("train.optimizer=with-function")
    with pytest.raises(i2i.PluginError, match=r"'with-function' of plugin .* must hold tensors and plain values only"):
        training.train_step(next(steps))


def test_a_state_in_another_form_than_torchs_is_refused_in_the_first_step():
    training, steps, _ = opened("train.optimizer=own-state")
    with pytest.raises(
        i2i.PluginError, match=r"'own-state' of .* must have 'state' and 'param_groups', as torch's has"
    ):
        training.train_step(next(steps))


def test_a_state_that_no_checkpoint_can_hold_any_more_leaves_the_checkpoints_of_before(tmp_path):
    with pytest.raises(i2i.UserError, match=r"'late' of plugin .* must hold tensors and plain values only"):
        train_only("two", out=tmp_path / "run", sets=[*SETS, "train.optimizer=late"], steps=3, plugins=GIVEN)
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["step-0000001"]
    assert i2i.load_networks(tmp_path / "run", "last", plugins=GIVEN).step == 1


@pytest.mark.parametrize("lr", ["fast", "null", "0"])
def test_a_rate_that_is_no_number_above_0_is_refused(lr):
    with pytest.raises(i2i.ConfigError, match="optimizer 'word': its lr must be a number above 0, not"):
        opened("train.optimizer=word", f"train.optimizer.lr={lr}")


def test_an_optimiser_without_an_option_lr_sets_its_plugin_aside(tmp_path):
    file = tmp_path / "rateless.py"
    hook = (
        "@i2i.hookimpl\ndef i2i_optimizers():\n    return [i2i.Component('rateless', lambda config, *, params: None)]"
    )
    file.write_text(f"import i2i\n\n{hook}\n")
    with pytest.raises(i2i.PluginError, match=r"i2i_optimizers: the config of 'rateless' needs an option lr"):
        resolve(Plugins([file]), "pix2pix")


def test_another_name_keeps_options_of_the_same_class_only():
    options = "train.optimizer={name: adam, lr: 0.5, betas: [0, 0.9]}"
    assert configured(options, "train.optimizer.name=sgd").train.optimizer.options["lr"] == 0.5
    assert configured("train.optimizer.lr=0.5", "train.optimizer=sgd").train.optimizer.options["lr"] == 0.5
    assert configured(options, "train.optimizer=lion").train.optimizer.options == {"lr": 0.01, "beta": 0.9}


def test_a_resume_refuses_another_optimiser_of_a_phase_and_takes_another_schedule_of_one(tmp_path):
    run = train_only("two", out=tmp_path / "run", sets=SETS, steps=1, plugins=GIVEN).run
    with pytest.raises(i2i.RunError, match=r"train.phases.first.optimizer: run has null, asked for lion"):
        train_only(out=run, resume=True, sets=["train.phases.first.optimizer=lion"], steps=2, plugins=GIVEN)
    sets = ["train.phases.first.schedule=saw", "train.phases.first.lr=0.5"]
    assert train_only(out=run, resume=True, sets=sets, steps=2, plugins=GIVEN).step == 2
    saved = torch.load(run / "checkpoints/step-0000002/training.pt", weights_only=True)
    assert math.isclose(saved["optimizers"]["first"]["param_groups"][0]["lr"], 0.5 * 2 / 3)


def test_a_resume_changes_rates_of_an_optimiser_and_no_other_option(tmp_path):
    sets = [*SETS, "train.optimizer=ams", "train.phases.second.optimizer.lr=0.25"]
    run = train_only("two", out=tmp_path / "run", sets=sets, steps=1, plugins=GIVEN).run
    for key in ("train.optimizer", "train.phases.first.optimizer", "train.phases.second.optimizer"):
        with pytest.raises(i2i.RunError, match=rf"{key}.amsgrad: run has \w+, asked for True; leave"):
            train_only(out=run, resume=True, sets=[f"{key}.amsgrad=true"], steps=2, plugins=GIVEN)
    rates = ["train.optimizer.lr=0.5", "train.optimizer.eps=1e-6", "train.phases.second.optimizer.lr=0.125"]
    rates += ["train.phases.first.optimizer.eps=1e-4"]
    assert train_only(out=run, resume=True, sets=rates, steps=2, plugins=GIVEN).step == 2
    saved = torch.load(run / "checkpoints/step-0000002/training.pt", weights_only=True)["optimizers"]
    groups = [saved[name]["param_groups"][0] for name in ("first", "second")]
    assert [(group["lr"], group["eps"]) for group in groups] == [(0.5, 1e-4), (0.125, 1e-6)]


def test_a_last_epoch_without_a_rate_is_noted():
    epochs = ["train.steps=null", "train.epochs=3", "data.layout.count=12"]
    for schedule, notes in (("linear-epochs", 1), ("linear", 0), ("constant", 0)):
        training, _, data = opened(*epochs, f"train.schedule={schedule}")
        lines = [
            line for line in opening_lines(training, data, {}) if "trains the last epoch, from step 12 of 18" in line
        ]
        assert len(lines) == notes, schedule


@pytest.mark.parametrize(
    ("sets", "key"),
    [
        (["train.schedule=linear-epochs"], "train.schedule"),
        (["train.phases.first.schedule=linear-epochs"], "train.phases.first.schedule"),
        (["two.schedule={name: linear-epochs}"], "train.phases.first.schedule"),
        (["two.schedule={warmup: 1}", "train.schedule=linear-epochs"], "train.schedule"),
    ],
)
def test_the_note_about_a_last_epoch_without_a_rate_says_what_to_set(sets, key):
    epochs = ["train.steps=null", "train.epochs=3", "data.layout.count=12"]
    for more, notes in (([], [f"set {key}.name=linear to use all steps"]), ([f"{key}.name=linear"], [])):
        training, _, data = opened(*epochs, *sets, *more)
        lines = [line for line in opening_lines(training, data, {}) if "trains the last epoch" in line]
        assert [line.rpartition("at a rate of 0: ")[2] for line in lines] == notes


def test_rates_are_logged_to_the_end_though_a_schedule_knows_no_step_beyond_it(tmp_path):
    file = tmp_path / "until.py"
    until = "lambda config: lambda step, *, steps, epoch: 1 / (steps - step)"
    hook = f"@i2i.hookimpl\ndef i2i_schedules():\n    return [i2i.Component('until', {until})]"
    file.write_text(f"import i2i\n\n{hook}\n")
    given = Plugins([FILE, file])
    sets = [*SETS, "train.schedule=until", "train.optimizer.lr=0.5"]
    run = train_only("two", out=tmp_path / "run", sets=sets, steps=2, plugins=given).run
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["lr/first"] for line in lines if "lr/first" in line] == [0.5, 0.5]
