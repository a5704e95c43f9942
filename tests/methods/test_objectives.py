"""Adversarial losses, penalties and stabilisers against their formulas on paper, and the choices between them."""

import math

import pytest
import torch
from torch import nn

import i2i
from helpers.recipes import small
from i2i.config import resolve
from i2i.engine.context import StepContext
from i2i.errors import ConfigError
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

PLUGINS = Plugins()
BUILD = Builder(PLUGINS, (32, 32))
LN2 = math.log(2)


def context(step=0, steps=100):
    ctx = StepContext(0, steps, torch.device("cpu"), torch.float64)
    ctx.begin(step)
    return ctx


def adversary(**options) -> i2i.Adversary:
    return i2i.Adversary(i2i.AdversaryConfig(**options), BUILD)


@pytest.mark.parametrize(
    ("loss", "generator", "discriminator"),
    [  # at logit 0, where D = 1/2
        ("vanilla", LN2, 2 * LN2),
        ("minimax", -LN2, 2 * LN2),
        ("lsgan", 1.0, 1.0),
        ("hinge", 0.0, 2.0),
        ("wasserstein", 0.0, 0.0),
        ("relativistic", 2 * LN2, 2 * LN2),
        ({"name": "relativistic", "base": "lsgan"}, 2.0, 2.0),
        ({"name": "relativistic", "base": "hinge"}, 2.0, 2.0),
    ],
)
def test_losses_where_the_discriminator_is_undecided(loss, generator, discriminator):
    zeros = {"real": torch.zeros(2, 1, 3, 3), "fake": torch.zeros(2, 1, 3, 3)}
    module = BUILD.loss(i2i.LossChoice.parse(loss))
    assert module("generator", **zeros).item() == pytest.approx(generator, rel=1e-6)
    assert module("discriminator", **zeros).item() == pytest.approx(discriminator, rel=1e-6)
    assert module("generator", **zeros).shape == ()


def test_losses_of_probabilities_are_those_of_the_papers():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 1, 3, 3, dtype=torch.float64) * 5, torch.randn(2, 1, 3, 3, dtype=torch.float64) * 5
    p_real, p_fake = torch.sigmoid(real), torch.sigmoid(fake)
    two_sided = -(p_real.log() + (1 - p_fake).log()).mean()
    for name, generator in (("vanilla", -p_fake.log().mean()), ("minimax", (1 - p_fake).log().mean())):
        module = BUILD.loss(name)
        torch.testing.assert_close(module("discriminator", real=real, fake=fake), two_sided)
        torch.testing.assert_close(module("generator", fake=fake), generator)
    relative_real, relative_fake = torch.sigmoid(real - fake.mean()), torch.sigmoid(fake - real.mean())
    ragan = BUILD.loss("relativistic")
    wanted = -relative_real.log().mean() - (1 - relative_fake).log().mean()
    torch.testing.assert_close(ragan("discriminator", real=real, fake=fake), wanted)
    wanted = -relative_fake.log().mean() - (1 - relative_real).log().mean()
    torch.testing.assert_close(ragan("generator", real=real, fake=fake), wanted)


def test_relativistic_bases_have_symmetric_targets():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 1, 3, 3) * 2, torch.randn(2, 1, 3, 3) * 2
    r, f = real - fake.mean(), fake - real.mean()
    squares = BUILD.loss("relativistic", base="lsgan")
    margins = BUILD.loss("relativistic", base="hinge")
    for player, high, low in (("discriminator", r, f), ("generator", f, r)):
        wanted = ((high - 1) ** 2).mean() + ((low + 1) ** 2).mean()
        torch.testing.assert_close(squares(player, real=real, fake=fake), wanted)
        wanted = (1 - high).clamp(min=0).mean() + (1 + low).clamp(min=0).mean()
        torch.testing.assert_close(margins(player, real=real, fake=fake), wanted)


def test_smoothed_labels_are_binary_cross_entropy_with_a_smaller_target():
    real, fake = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 0.5])
    entropy = nn.functional.binary_cross_entropy_with_logits
    wanted = entropy(real, torch.full((2,), 0.9)) + entropy(fake, torch.zeros(2))
    torch.testing.assert_close(BUILD.loss("vanilla", smoothing=0.1)("discriminator", real=real, fake=fake), wanted)
    squares = BUILD.loss("lsgan", smoothing=0.1)("discriminator", real=real, fake=fake)
    torch.testing.assert_close(squares, ((real - 0.9) ** 2).mean() + (fake**2).mean())


@pytest.mark.parametrize(("real", "fake", "expected"), [(1.0, -1.0, 0.0), (0.0, -1.0, 1.0), (3.0, 0.5, 1.5)])
def test_hinge_at_and_beyond_the_margins(real, fake, expected):
    hinge = BUILD.loss("hinge")
    assert hinge("discriminator", real=torch.tensor([real]), fake=torch.tensor([fake])).item() == expected
    assert hinge("generator", fake=torch.tensor([fake])).item() == -fake


@pytest.mark.parametrize(("one_sided", "slope"), [(False, 3.0), (False, 0.5), (True, 3.0), (True, 0.5)])
def test_gradient_penalty_of_a_linear_critic_is_its_closed_form(one_sided, slope):
    weight = torch.randn(12, dtype=torch.float64)
    weight *= slope / weight.norm()
    images = torch.rand(2, 4, 3, 2, 2, dtype=torch.float64)
    penalty = BUILD.loss("gradient-penalty", weight=7.0, one_sided=one_sided)
    score = lambda x: x.flatten(1) @ weight
    excess = max(slope - 1, 0) if one_sided else slope - 1
    got = penalty(score, real=images[0], fake=images[1], ctx=context())
    assert got.item() == pytest.approx(7 * excess**2, rel=1e-9, abs=1e-12)


def test_gradient_penalty_is_measured_between_real_and_fake():
    seen = []
    real, fake = torch.ones(64, 1, 1, 1, dtype=torch.float64), torch.zeros(64, 1, 1, 1, dtype=torch.float64)
    BUILD.loss("gradient-penalty")(
        lambda x: seen.append(x) or x.square().flatten(), real=real, fake=fake, ctx=context()
    )
    assert 0 <= seen[0].min() < 0.1 < 0.9 < seen[0].max() <= 1
    with pytest.raises(ValueError, match="differ in shape"):
        BUILD.loss("gradient-penalty")(lambda x: x, real=real, fake=fake[:3], ctx=context())


def test_r1_of_a_quadratic_critic_is_its_closed_form():
    images = torch.rand(5, 3, 2, 2, dtype=torch.float64)
    got = BUILD.loss("r1", weight=6.0)(lambda x: x.square().flatten(1).sum(1), real=images, fake=images, ctx=context())
    assert got.item() == pytest.approx(6 / 2 * (4 * images.square()).flatten(1).sum(1).mean().item(), rel=1e-9)


def test_a_lazy_penalty_is_rare_and_as_much_stronger():
    game = adversary(penalty=i2i.LossChoice("r1", {"every": 4, "weight": 2.0}))
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    critic = lambda x: (x.flatten(1).sum(1), x)
    steps = [game.discriminator_losses(critic, images, images, context(step)) for step in range(8)]
    assert ["penalty" in losses for losses in steps] == [True, False, False, False] * 2
    assert steps[0]["penalty"].item() == pytest.approx(4 * 2 / 2 * 48)  # the gradient is 1 everywhere


@pytest.mark.parametrize(("every", "start"), [(1, 0.0), (2, 0.0), (3, 0.0), (5, 0.3), (16, 0.5)])
def test_a_phase_counts_its_own_turns(every, start):
    phase = i2i.Phase("p", trains=("n",), every=every, start=start)
    turns = [phase.turn(step, 100) for step in range(100) if phase.due(step, 100)]
    assert turns == list(range(len(turns)))
    assert len(turns) > 2


def test_instance_noise_falls_to_nothing():
    game = adversary(instance_noise=0.5, instance_noise_until=0.5)
    spread = []
    for step in (0, 25, 50, 80):
        seen = []
        critic = lambda x, seen=seen: seen.append(x) or x.mean((1, 2, 3))
        zeros = torch.zeros(4, 3, 32, 32, dtype=torch.float64)
        game.discriminator_losses(critic, zeros, zeros, context(step))
        spread.append(torch.cat(seen).std().item())
    assert spread == pytest.approx([0.5, 0.25, 0, 0], abs=0.01)


def test_feature_matching_compares_pairs_or_means():
    critic = lambda x: (x.mean((1, 2, 3)), x * 2)
    real, fake = torch.rand(4, 1, 3, 3, dtype=torch.float64), torch.rand(4, 1, 3, 3, dtype=torch.float64)
    config = i2i.AdversaryConfig(feature_matching=3.0)
    paired = i2i.Adversary(config, BUILD, paired=True).generator_losses(critic, real, fake, context())["features"]
    means = i2i.Adversary(config, BUILD).generator_losses(critic, real, fake, context())["features"]
    torch.testing.assert_close(paired, 3 * (2 * (real - fake)).abs().mean())
    torch.testing.assert_close(means, 3 * (2 * (real.mean(0) - fake.mean(0))).abs().mean())
    with pytest.raises(ConfigError, match="gives features"):
        adversary(feature_matching=1.0).generator_losses(lambda x: x.mean(), real, fake, context())


@pytest.mark.parametrize("name", PLUGINS.table("discriminator"))
def test_spectral_norm_bounds_every_weight_of_any_discriminator(name):
    options = {"norm": "none"} if "norm" in PLUGINS.get("discriminator", name).config.model_fields else {}
    choice = i2i.DiscriminatorChoice(name)
    network = adversary(spectral_norm=True).discriminator(choice, in_channels=3, size=(64, 64), filters=4, **options)
    for _ in range(300):
        network(torch.rand(2, 3, 64, 64))
    weights = {key: w for key, w in network.named_modules() if hasattr(w, "parametrizations")}
    assert len(weights) == sum(isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding) for m in network.modules()) > 1
    for layer in weights.values():
        norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        assert norm.item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", ["patch", "pixel"])
def test_features_of_a_discriminator_come_behind_its_logits(name):
    plain = BUILD.discriminator(name, in_channels=3, filters=4)
    telling = BUILD.discriminator(name, in_channels=3, filters=4, features=True)
    telling.load_state_dict(plain.state_dict())
    images = torch.rand(2, 3, 32, 32)
    logits, *features = telling(images)
    torch.testing.assert_close(logits, plain.train()(images))
    assert len(features) >= 2
    assert all(feature.shape[0] == 2 for feature in features)


def test_minibatch_std_is_the_formula_and_zero_for_equal_images():
    layer = i2i.minibatch_layer("std", 3)
    x = torch.randn(4, 3, 5, 5)
    out = layer(x)
    assert out.shape == (4, layer.out_channels, 5, 5)
    assert out[0, 3, 0, 0].item() == pytest.approx(x.numpy().std(0).mean(), rel=1e-4)
    equal = layer(x[:1].expand(4, -1, -1, -1).clone().requires_grad_())
    assert equal[:, 3].max().item() < 2e-4
    equal.sum().backward()  # no division by a zero deviation


def test_minibatch_discrimination_is_the_sum_over_pairs():
    layer = i2i.minibatch_layer("discrimination", 3)
    x = torch.randn(4, 3, 2, 2)
    out = layer(x).detach()
    rows = layer.projection(x.mean((2, 3))).detach().unflatten(1, (16, 8))
    for i in range(4):
        for b in range(16):
            wanted = sum(math.exp(-(rows[i, b] - rows[j, b]).abs().sum()) for j in range(4))
            assert out[i, 3 + b, 1, 0].item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("name", ["patch", "dcgan", "stargan", "vgg"])
@pytest.mark.parametrize("layer", ["std", "discrimination"])
def test_minibatch_layers_tell_equal_images_from_different_ones(name, layer):
    options = {"norm": "none"} if "norm" in PLUGINS.get("discriminator", name).config.model_fields else {}
    network = BUILD.discriminator(name, in_channels=3, filters=8, minibatch=layer, **options)
    images = torch.rand(4, 3, 32, 32)
    alone, among = network(images[:1].expand(4, -1, -1, -1))[0], network(images)[0]
    assert not torch.equal(alone, among)


@pytest.mark.parametrize("recipe", PLUGINS.table("recipe"))
@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (["loss=wasserstein"], "unless the critic is Lipschitz"),
        (["loss={name: hinge, smoothing: 0.1}"], "unknown key .*smoothing"),
        (["penalty=gradientpenalty"], r"did you mean 'gradient-penalty'"),
        (["instance_noise=-1"], "instance_noise"),
    ],
)
def test_senseless_games_are_refused_with_the_reason(recipe, sets, reason):
    config = PLUGINS.get("recipe", recipe).config()
    if not hasattr(config, "adversary"):
        pytest.skip("no adversary in this recipe")
    if not any("penalty" in line for line in sets):  # a recipe may come with what makes a critic Lipschitz
        sets = [*sets, "penalty=null", "spectral_norm=false", "clip_weights=null"]
    with pytest.raises(i2i.UserError, match=reason):
        resolve(PLUGINS, recipe, sets=[f"{recipe}.adversary.{line}" for line in sets])


def test_losses_and_penalties_are_not_taken_for_each_other():
    with pytest.raises(ConfigError, match=r"'r1' is a penalty, not a loss: set adversary.penalty=r1"):
        adversary(loss=i2i.LossChoice("r1"))
    with pytest.raises(ConfigError, match=r"'hinge' is a loss, not a penalty: set adversary.loss=hinge"):
        adversary(penalty=i2i.LossChoice("hinge"))


@pytest.mark.parametrize(
    ("choice", "recipe", "reason"),
    [
        ("generator=dcgan", "pix2pix", "makes images of noise, here it would get image"),
        ("generator={name: srresnet, filters: 4, blocks: 1}", "pix2pix", "makes images 4 times as large"),
        ("generator=unet", "cgan", "generator 'unet' has no option classes, which is needed here"),
        ("discriminator=patch", "cgan", "discriminator 'patch' has no option classes, which is needed here"),
        ("generator=resnet", "srresnet", "generator 'resnet' has no option scale, which is needed here"),
        ("discriminator={name: stargan, filters: 4}", "cgan", "judges image, here it would get image and label"),
        ("discriminator={name: dcgan, filters: 4}", "stargan", "judges image and label, here it would get image"),
    ],
)
def test_networks_that_do_not_belong_here_are_refused(choice, recipe, reason, tmp_path):
    with pytest.raises(ConfigError, match=reason):
        i2i.train(recipe, sets=[*small(recipe), f"{recipe}.{choice}"], dry_run=True)


@pytest.mark.parametrize("penalty", ["gradient-penalty", "r1"])
def test_batch_norm_under_a_gradient_penalty_is_refused(penalty):
    game = adversary(penalty=i2i.LossChoice(penalty))
    with pytest.raises(ConfigError, match=f"'{penalty}' .* batch norm .* set the discriminator's norm to instance"):
        game.discriminator(i2i.DiscriminatorChoice("patch"), in_channels=3)
    game.discriminator(i2i.DiscriminatorChoice("patch", {"norm": "instance"}), in_channels=3)
