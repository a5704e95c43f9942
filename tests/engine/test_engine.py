"""The training engine: phases, schedules, averaging, randomness, what a recipe may rely on."""

import math
from fractions import Fraction

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

import i2i
from helpers.paths import HELPERS
from helpers.recipes import TINY
from i2i.config import TrainConfig, resolve
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.engine.context import Pool, StepContext
from i2i.engine.optim.phases import phase_optimizers
from i2i.engine.output.grids import sample_grid
from i2i.engine.saving import restore, to_checkpoint
from i2i.engine.setup import build_training
from i2i.engine.validation.validate import Validation
from i2i.errors import ConfigError, PluginError
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

CPU = torch.device("cpu")
BUILD = Builder(Plugins(), (32, 32))
WGAN = str(HELPERS / "wgan.py")


def training(plugins, root, *sets: str, recipe="pix2pix", steps=10):
    tiny = TINY if recipe == "pix2pix" else [line for line in TINY if not line.startswith("pix2pix")]
    config = resolve(plugins, recipe, sets=[*tiny, *sets, f"data.root={root}", f"train.steps={steps}"])
    data = open_data(config.data, plugins, Requirements(frozenset({"source", "target"})), seed=config.seed)
    return build_training(config, plugins, data, Fabric(accelerator="cpu", devices=1))


def batch(count=2, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.rand(count, 3, size, size, generator=generator) * 2 - 1 for key in ("source", "target")}


def schedule(name, **options):
    """The factor as a function of step, steps of the run and steps of an epoch."""
    config = TrainConfig(schedule=i2i.ScheduleChoice(name, options))
    [one] = phase_optimizers([i2i.Phase("p", trains=("n",))], {"n": nn.Linear(1, 1)}, config, BUILD, "recipe 'r'")
    return one.schedule.factor


def weights(module: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


@pytest.mark.parametrize("steps", [1, 2, 7, 200])
@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "step"])
def test_rate_is_never_zero_and_follows_its_formula(name, steps):
    factor = schedule(name, hold=0.5, every=3, gamma=0.5)
    for step in range(steps):
        hold = steps / 2
        done = max(0.0, (step - hold) / (steps - hold))
        expected = {
            "constant": 1.0,
            "linear": 1 - done,
            "cosine": (1 + math.cos(math.pi * done)) / 2,
            "step": 0.5 ** (step // 3),
        }[name]
        assert factor(step, steps) == pytest.approx(expected)
        assert factor(step, steps) > 0


def test_linear_decay_over_100_and_100_epochs_never_trains_an_epoch_at_zero():
    factor, epoch = schedule("linear", hold=0.5), 40
    factors = [factor(step, 200 * epoch) for step in range(200 * epoch)]
    assert factors[: 100 * epoch + 1] == [1.0] * (100 * epoch + 1)
    assert all(
        later < earlier for earlier, later in zip(factors[100 * epoch :], factors[100 * epoch + 1 :], strict=False)
    )
    assert factors[-1] == pytest.approx(1 / (100 * epoch))


@pytest.mark.parametrize(("kept", "falling", "images", "batch"), [(100, 100, 4, 1), (2, 3, 7, 2), (1, 1, 5, 1)])
def test_rates_of_linear_epochs_are_those_of_the_reference_code(kept, falling, images, batch):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2e-4)
    rule = lambda epoch: 1.0 - max(0, epoch + 1 - kept) / float(falling + 1)  # its epoch_count is 1
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rule)
    epochs, rates = kept + falling, []
    for _ in range(epochs):
        optimizer.step()
        scheduler.step()  # at the beginning of every epoch
        rates.append(scheduler.get_last_lr()[0])
    steps = round(epochs * images / batch)
    factor_at = schedule("linear-epochs", hold=kept / epochs)
    for step in range(steps):
        factor = factor_at(step, steps, Fraction(images, batch))
        assert 2e-4 * factor == pytest.approx(rates[step * batch // images], rel=1e-12, abs=1e-18), step
    assert rates[kept - 2 : kept] == [2e-4, pytest.approx(2e-4 * falling / (falling + 1))] or kept == 1
    assert rates[-1] == pytest.approx(0, abs=1e-18)


def test_the_presets_named_reference_take_the_rates_of_the_reference_code(plugins, pairs_root):
    for recipe, paper in (("pix2pix", "constant"), ("cyclegan", "linear")):
        for preset, name in (("reference", "linear-epochs"), ("paper", paper)):
            train = resolve(plugins, recipe, preset=preset, sets=[f"data.root={pairs_root}"]).train
            assert (train.epochs, train.steps, train.schedule.name, train.schedule.options["hold"]) == (
                200,
                None,
                name,
                0.5,
            )
    run = training(plugins, pairs_root, "train.batch_size=5", "train.accumulate=2", steps=4)  # an epoch is one step
    rates = []
    for _ in range(4):
        run.train_step([batch(), batch()])
        rates.append(run.phase_optimizers[0].optimizer.param_groups[0]["lr"] / 2e-4)
    assert rates == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_a_run_within_one_epoch_keeps_its_rate():
    factor = schedule("linear-epochs")
    assert [factor(step, 3, Fraction(10)) for step in range(3)] == [1.0] * 3


def test_warm_up_rises_linearly():
    factor = schedule("constant", warmup=3)
    assert [factor(step, 10) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])


def test_rate_of_every_step_reaches_the_optimiser(plugins, pairs_root):
    run = training(plugins, pairs_root, "train.schedule={name: linear, hold: 0.5}", "train.phases.generator.lr=1e-3")
    for step in range(10):
        run.train_step([batch()])
        factor = 1.0 if step <= 5 else 1 - (step - 5) / 5
        rates = {player.phase.name: player.optimizer.param_groups[0]["lr"] for player in run.phase_optimizers}
        assert rates == {"discriminator": pytest.approx(2e-4 * factor), "generator": pytest.approx(1e-3 * factor)}


def test_a_phase_changes_only_the_networks_it_trains(plugins, pairs_root):
    run = training(plugins, pairs_root, "train.phases.generator.every=2")
    before = {name: weights(run.modules[name]) for name in ("generator", "discriminator")}
    run.train_step([batch()])  # step 0: both phases
    assert all(not torch.equal(before[name], weights(run.modules[name])) for name in before)
    before = {name: weights(run.modules[name]) for name in before}
    run.train_step([batch()])  # step 1: the discriminator only
    assert torch.equal(before["generator"], weights(run.modules["generator"]))
    assert not torch.equal(before["discriminator"], weights(run.modules["discriminator"]))


def test_critic_steps_of_a_third_party_recipe(pairs_root):
    run = training(Plugins([WGAN]), pairs_root, "data.size=64", "data.load_size=64", recipe="wgan-gp")
    logged = [set(run.train_step([batch(size=64)])) for _ in range(6)]
    critic = {"loss/critic/wasserstein", "loss/critic/penalty"}
    generator = {"loss/generator/adversarial", "loss/generator/l1"}
    assert logged == [critic | generator, critic, critic, critic, critic, critic | generator]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_gradient_penalty_works_in_every_precision(pairs_root, precision):
    run = training(
        Plugins([WGAN]),
        pairs_root,
        f"engine.precision={precision}",
        "data.size=64",
        "data.load_size=64",
        recipe="wgan-gp",
    )
    losses = run.train_step([batch(size=64)])
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())


def test_bf16_stays_close_to_fp32_and_inside_the_networks(plugins, pairs_root):
    no_noise = "pix2pix.generator.dropout=0"
    exact = training(plugins, pairs_root, no_noise).train_step([batch()])
    rough = training(plugins, pairs_root, no_noise, "engine.precision=bf16").train_step([batch()])
    for name, loss in exact.items():
        assert rough[name].dtype == torch.float32
        assert float(rough[name]) == pytest.approx(float(loss), rel=0.05)


def test_accumulated_batches_equal_one_large_batch(plugins, pairs_root):
    quiet = ["pix2pix.generator.norm=instance", "pix2pix.generator.dropout=0", "pix2pix.discriminator.norm=instance"]
    whole = batch(4)
    parts = [{key: value[i : i + 2] for key, value in whole.items()} for i in (0, 2)]
    one = training(plugins, pairs_root, *quiet, "engine.precision=fp64", "train.batch_size=4")
    two = training(plugins, pairs_root, *quiet, "engine.precision=fp64", "train.batch_size=2", "train.accumulate=2")

    def double(b):
        return {key: value.double() for key, value in b.items()}

    for _ in range(3):
        losses_one, losses_two = one.train_step([double(whole)]), two.train_step([double(b) for b in parts])
    for name in losses_one:
        assert float(losses_one[name]) == pytest.approx(float(losses_two[name]), rel=1e-9)
    for name in ("generator", "discriminator"):
        torch.testing.assert_close(weights(one.modules[name]), weights(two.modules[name]), atol=1e-9, rtol=1e-7)


def test_moving_average_follows_its_formula_and_serves_inference(plugins, pairs_root):
    run = training(plugins, pairs_root, "train.ema=0.9")
    assert set(run.averages) == {"generator"}
    run.train_step([batch()])
    expected = weights(run.modules["generator"])  # the first update copies
    for _ in range(3):
        run.train_step([batch()])
        expected = 0.9 * expected + 0.1 * weights(run.modules["generator"])
    torch.testing.assert_close(weights(run.averages["generator"].module), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(weights(run.translators()["default"].module), expected, atol=1e-6, rtol=1e-5)


def test_moving_average_has_the_newest_buffers_of_every_type(pairs_root):
    run = training(Plugins([str(HELPERS / "buffers.py")]), pairs_root, "train.ema=0.9", recipe="buffers")
    for step in range(1, 5):
        run.train_step([batch()])
        average, newest = run.averages["net"].module, run.modules["net"]
        assert (int(average.calls), float(average.share)) == (step, pytest.approx(step / 10))
        assert not torch.equal(weights(average), weights(newest)) or step == 1
        buffers = dict(newest.named_buffers())
        assert {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked", "unsaved"} < buffers.keys()
        for name, buffer in average.named_buffers():
            assert torch.equal(buffer, buffers[name]), name


def test_a_checkpoint_whose_buffers_were_averaged_goes_on(pairs_root):
    def made():
        return training(Plugins([str(HELPERS / "buffers.py")]), pairs_root, "train.ema=0.9", recipe="buffers")

    older, run = made(), made()
    for _ in range(2):
        older.train_step([batch()])
    checkpoint = to_checkpoint(older, {})
    checkpoint.ema["net"]["module.calls"].zero_()  # as older versions wrote it
    checkpoint.ema["net"]["module.share"].fill_(0.11)
    restore(run, checkpoint)
    run.train_step([batch()])
    average = run.averages["net"].module
    assert (int(average.calls), float(average.share)) == (3, pytest.approx(0.3))


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_optimisers_match_torch(name):
    made = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "sgd": torch.optim.SGD,
    }
    networks = {"net": nn.Linear(3, 2)}
    copy = nn.Linear(3, 2)
    copy.load_state_dict(networks["net"].state_dict())
    config = TrainConfig(optimizer=i2i.OptimizerChoice(name, lr=0.01, betas=(0.5, 0.9)))
    [player] = phase_optimizers([i2i.Phase("p", trains=("net",))], networks, config, BUILD, "recipe 'r'")
    betas = {"betas": (0.5, 0.9), "weight_decay": 0.0} if name.startswith("adam") else {}
    theirs = made[name](copy.parameters(), lr=0.01, **betas)
    x = torch.randn(5, 3)
    for _ in range(3):
        for network, optimizer in ((networks["net"], player.optimizer), (copy, theirs)):
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(weights(networks["net"]), weights(copy), atol=1e-6, rtol=1e-5)


def test_phases_that_train_the_same_networks_share_an_optimiser():
    networks = {"d": nn.Linear(2, 1)}
    phases = [i2i.Phase("main", trains=("d",)), i2i.Phase("r1", trains=("d",), every=16)]
    main, r1 = phase_optimizers(phases, networks, TrainConfig(), BUILD, "recipe 'r'")
    assert main.optimizer is r1.optimizer
    assert (main.phase.every, r1.phase.every) == (1, 16)


def test_settings_by_phase_are_checked():
    networks = {"d": nn.Linear(2, 1)}
    with pytest.raises(
        ConfigError, match=r"train.phases.discriminater: no such phase \(did you mean 'discriminator'\?\)"
    ):
        phase_optimizers(
            [i2i.Phase("discriminator", trains=("d",))],
            networks,
            TrainConfig(phases={"discriminater": {}}),
            BUILD,
            "recipe 'r'",
        )
    with pytest.raises(PluginError, match="recipe 'r': phase 'generator' trains 'g', but its networks are d"):
        phase_optimizers([i2i.Phase("generator", trains=("g",))], networks, TrainConfig(), BUILD, "recipe 'r'")


def test_tied_and_frozen_parameters():
    networks = {"a": nn.Linear(2, 1), "b": nn.Linear(2, 1)}
    networks["b"].weight = networks["a"].weight
    networks["b"].bias.requires_grad_(False)
    [player] = phase_optimizers([i2i.Phase("p", trains=["a", "b"])], networks, TrainConfig(), BUILD, "recipe 'r'")
    assert [id(p) for p in player.parameters] == [id(networks["a"].weight), id(networks["a"].bias)]


@pytest.mark.parametrize("values", [{"trains": "critic"}, {"trains": ("g",), "every": 0}])
def test_phases_are_checked(values):
    with pytest.raises(PluginError, match="phase 'p'"):
        i2i.Phase("p", **values)


class Backbone(i2i.Recipe):
    """A frozen network in evaluation mode inside a trained one, spectral norm, and what else plugins bring."""

    def networks(self, build, sample):
        frozen = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval().requires_grad_(False)
        trained = nn.Sequential(
            nn.Conv2d(3, 3, 1).requires_grad_(False), torch.nn.utils.spectral_norm(nn.Conv2d(3, 3, 1))
        )
        return {"frozen": frozen, "trained": trained}

    def phases(self):
        return [i2i.Phase("p", trains=("trained",))]

    def losses(self, phase, nets, batch, ctx):
        error = (nets["frozen"](nets["trained"](batch["source"])) - batch["target"]).abs()
        return {"error": error.mean() if self.config.scalar else error.mean((1, 2, 3))}

    def translators(self, nets, sample):
        return {"default": i2i.Translator(nets["trained"], {"image": sample["source"][:1]})}


class BackboneConfig(i2i.Config):
    """Options."""

    scalar: bool = True
    """Whether the loss is one."""


@pytest.fixture
def backbone():
    plugins = Plugins()
    giver = next(plugin for plugin in plugins.all if plugin.name == "components")
    giver.components.append(("recipe", i2i.Component("backbone", Backbone, BackboneConfig)))
    return plugins


def test_frozen_parts_stay_as_the_recipe_gave_them(backbone, pairs_root):
    run = training(backbone, pairs_root, recipe="backbone")
    frozen, inner = weights(run.modules["frozen"]), weights(run.modules["trained"][0])
    statistics = run.modules["frozen"][1].running_mean.clone()
    for _ in range(3):
        run.train_step([batch()])
    assert torch.equal(weights(run.modules["frozen"]), frozen)
    assert torch.equal(weights(run.modules["trained"][0]), inner)
    assert torch.equal(run.modules["frozen"][1].running_mean, statistics)
    assert run.translators()["default"].module(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 8, 8)  # spectral norm is copied


def test_a_loss_that_is_no_scalar_is_named(backbone, pairs_root):
    run = training(backbone, pairs_root, "backbone.scalar=false", recipe="backbone")
    with pytest.raises(PluginError, match=r"recipe 'backbone' of .*, phase 'p': loss 'error' must be a scalar"):
        run.train_step([batch()])


def test_a_translator_back_is_validated_on_the_images_it_translates(pairs_root):
    sets = [*TINY, f"data.root={pairs_root}", "train.val_images=2", "train.metrics=l1"]
    config = resolve(Plugins(), "pix2pix", sets=sets)
    validation = Validation(
        open_data(config.data, Plugins(), Requirements(frozenset()), seed=0), config, Plugins(), torch.device("cpu")
    )
    example = {"image": torch.zeros(1, 3, 32, 32)}
    same = nn.Identity()
    back = i2i.Translator(same, example, source="target", target="target")
    unpaired = i2i.Translator(same, example, target=None)
    noise = i2i.Translator(same, {"noise": torch.zeros(1, 3, 32, 32)})
    assert validation.measure({"BtoA": back})["l1"].value == 0.0
    assert validation.measure({"AtoB": unpaired}) == {}
    assert validation.measure({"default": noise}) == {}
    assert validation.measure({"AtoB": unpaired, "forth": i2i.Translator(same, example)})["l1"].value > 0
    assert sample_grid({"AtoB": unpaired, "BtoA": back}, validation, 2).pixels.shape[1] == 5 * 34 + 2


def context(rank=0, world=1, seed=0):
    return StepContext(seed, 10, torch.device("cpu"), torch.float32, rank, world)


def test_random_numbers_follow_from_seed_and_step():
    first, again = context(), context()
    first.begin(3)
    again.begin(2)
    again.rand(5)
    again.begin(3)
    assert torch.equal(first.rand(4, 2), again.rand(4, 2))
    assert torch.equal(first.randn(4), again.randn(4))
    first.begin(4)
    assert not torch.equal(first.rand(4, 2), again.rand(4, 2))


def test_random_numbers_do_not_depend_on_the_number_of_processes():
    whole = context()
    whole.begin(1)
    expected = whole.randn(6, 3)
    parts = []
    for rank in range(2):
        part = context(rank, world=2)
        part.begin(1)
        parts.append(part.randn(3, 3))
    assert torch.equal(torch.cat(parts), expected)


def test_input_gradient_is_differentiable_and_right():
    weight = torch.tensor([[3.0, 4.0]], requires_grad=True)
    gradient = context().input_gradient(lambda x: (x @ weight.T) ** 2, torch.tensor([[1.0, 2.0], [0.5, 0.0]]))
    torch.testing.assert_close(gradient.detach(), torch.tensor([[66.0, 88.0], [9.0, 12.0]]))  # 2 (w.x) w
    gradient.sum().backward()
    assert weight.grad is not None


def test_pool_replaces_half_of_the_images_by_older_ones():
    pool = Pool(50)
    pool.generator.manual_seed(0)
    images = torch.arange(1000.0).view(1000, 1, 1, 1)
    answers = torch.cat([pool.query(images[i : i + 1]) for i in range(1000)]).flatten()
    assert torch.equal(answers[:50], images[:50].flatten())  # it fills first
    swapped = (answers[50:] != images[50:].flatten()).float().mean().item()
    assert swapped == pytest.approx(0.5, abs=0.05)
    assert (answers <= images.flatten()).all()
    assert len(pool.images) == 50
    assert torch.equal(Pool(0).query(images), images)
