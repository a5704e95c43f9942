"""Several outputs for one input: the terms of BicycleGAN and StarGAN v2, who learns from them, how they are used."""

import copy
import math

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from helpers.recipes import small, train_only
from i2i.config import TrainConfig
from i2i.engine.context import StepContext
from i2i.engine.optim.phases import phase_optimizers
from i2i.images import read_image
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_multimodal.blocks import of_label
from i2i_multimodal.losses import falling_weight, kl_to_standard_normal
from i2i_multimodal.starganv2_networks import AdaIN

PLUGINS = Plugins()
LABELS = ("day", "night", "snow")
STEP, STEPS = 30, 100
TINY = {
    "bicyclegan": {
        "generator": {"name": "unet-code", "filters": 4},
        "discriminator": {"name": "patch", "filters": 4, "layers": 1, "norm": "instance"},
        "encoder_filters": 4,
        "code": 3,
    },
    "starganv2": {
        "generator": {"name": "adain", "filters": 4, "max_filters": 8},
        "discriminator": {"name": "domains", "filters": 4, "max_filters": 8},
        "encoder_filters": 4,
        "hidden": 8,
        "style": 6,
        "noise": 4,
    },
}


def context(drawn=()):
    """The random numbers of a step, after those of that shape."""
    ctx = StepContext(0, STEPS, torch.device("cpu"), torch.float64)
    ctx.begin(STEP)
    if drawn:
        ctx.randn(*drawn)
    return ctx


def images(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 32, 32, generator=generator, dtype=torch.float64) * 2 - 1


def batch(name):
    if name == "bicyclegan":
        return {"source": images(seed=1), "target": images(seed=2)}
    labels = {"label": torch.tensor([0, 1, 2, 0]), "target_label": torch.tensor([2, 2, 0, 1])}
    return {"target": images(seed=1), "reference": images(seed=2), "second_reference": images(seed=3), **labels}


def opened(name, **options):
    """A small recipe in float64 with weights that are far from 0, a batch, and what `shared` makes of it."""
    component, data = PLUGINS.get("recipe", name), batch(name)
    made = component.build(component.config(**TINY[name] | options))
    nets = made.networks(Builder(PLUGINS, (32, 32), LABELS), data)
    torch.manual_seed(1)
    for network in nets.values():
        for parameter in network.double().parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return made, nets, data | made.shared(nets, data, context())


def learns(loss, network):
    """Whether a loss has a gradient for a network's weights."""
    found = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
    return any(gradient is not None and gradient.any() for gradient in found)


@pytest.fixture(scope="module")
def bicycle():
    return opened("bicyclegan")


@pytest.fixture(scope="module")
def stargan():
    return opened("starganv2")


def test_kl_is_the_integral_over_the_densities():
    mean, log_variance = torch.tensor([[0.3, -1.2], [0.0, 2.0]]), torch.tensor([[0.5, -1.0], [0.0, 0.7]])
    x = np.linspace(-30, 30, 200_001)
    expected = 0.0
    for m, v in zip(mean.flatten().tolist(), log_variance.flatten().tolist(), strict=True):
        log_p = -0.5 * ((x - m) ** 2 / math.exp(v) + v + math.log(2 * math.pi))
        log_q = -0.5 * (x**2 + math.log(2 * math.pi))
        expected += np.trapezoid(np.exp(log_p) * (log_p - log_q), x)
    assert kl_to_standard_normal(mean, log_variance).item() == pytest.approx(expected / 2, rel=1e-5)
    assert kl_to_standard_normal(torch.zeros(1, 4), torch.zeros(1, 4)).item() == 0


def test_adain_gives_every_channel_the_mean_and_deviation_of_its_style():
    torch.manual_seed(0)
    layer = AdaIN(5, 3).double()
    torch.nn.init.normal_(layer.affine.bias)
    x, style = torch.randn(2, 3, 6, 7, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    made = layer(x, style).detach().numpy()
    weight, bias = (one.detach().numpy() for one in (layer.affine.weight, layer.affine.bias))
    for n in range(2):
        of_style = [sum(weight[k, j] * style[n, j].item() for j in range(5)) + bias[k] for k in range(6)]
        for c in range(3):
            plane = x[n, c].numpy()
            normed = (plane - plane.mean()) / math.sqrt(plane.var() + 1e-5)
            assert made[n, c] == pytest.approx((1 + of_style[c]) * normed + of_style[3 + c], abs=1e-10)


def test_the_values_of_a_label_are_picked():
    values, labels = torch.randn(4, 3, 5), torch.tensor([2, 0, 1, 2])
    assert torch.equal(of_label(values, labels), torch.stack([values[n, labels[n]] for n in range(4)]))


def test_the_weight_of_diversity_falls_linearly_to_zero():
    assert [falling_weight(2.0, step, 4) for step in range(6)] == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]


def test_bicyclegan_terms_are_those_of_the_paper(bicycle):
    made, nets, data = bicycle
    losses = made.losses("generator", nets, data, context())
    mean, log_variance = nets["encoder"](data["target"])
    noise = context().randn(4, made.config.code)  # the first numbers that `shared` draws
    z = mean + torch.exp(log_variance / 2) * noise
    encoded = nets["generator"](data["source"], z)
    l1 = np.mean(
        [abs(a - b) for a, b in zip(encoded.flatten().tolist(), data["target"].flatten().tolist(), strict=True)]
    )
    assert losses["l1"].item() == pytest.approx(10 * l1)
    kl = -0.5 * sum(
        1 + v - m**2 - math.exp(v)
        for m, v in zip(mean.flatten().tolist(), log_variance.flatten().tolist(), strict=True)
    )
    assert losses["kl"].item() == pytest.approx(0.01 * kl / 4)
    found = nets["encoder"](nets["generator"](data["source"], data["code"]))[0]
    error = (found - data["code"]).abs().sum().item() / 12
    assert losses["latent"].item() == pytest.approx(0.5 * error)
    for game in ("encoded", "random"):
        total, shown = 0.0, data[game]
        for scale in range(2):
            total += (nets[f"discriminator_{game}_{scale}"](shown) - 1).square().mean().item()
            shown = halved(shown)
        assert losses[f"adversarial_{game}"].item() == pytest.approx(total)


def halved(shown):
    """Means of 3x3 pixels around every second one, of those that there are."""
    height, width = shown.shape[2:]
    rows = []
    for y in range(0, height, 2):
        row = [shown[..., max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean((2, 3)) for x in range(0, width, 2)]
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


@pytest.mark.parametrize(
    ("loss", "generator", "encoder"),
    [
        ("adversarial_encoded", True, True),
        ("adversarial_random", True, False),
        ("l1", True, True),
        ("kl", False, True),
        ("latent", True, False),
    ],
)
def test_who_learns_from_a_term_of_bicyclegan(bicycle, loss, generator, encoder):
    made, nets, data = bicycle
    losses = made.losses("generator", nets, data, context())
    assert learns(losses[loss], nets["generator"]) == generator
    assert learns(losses[loss], nets["encoder"]) == encoder
    assert all(parameter.requires_grad for parameter in nets["encoder"].parameters())


def test_the_second_games_discriminators_see_other_targets_when_split():
    made, nets, data = opened("bicyclegan", split=True)
    assert data["encoded"].shape[0] == data["code"].shape[0] == 2
    before = made.losses("discriminator", nets, data, context())
    changed = {**data, "target": data["target"].clone()}
    changed["target"][1::2] *= -1
    after = made.losses("discriminator", nets, changed, context())
    assert torch.equal(before["adversarial_encoded"], after["adversarial_encoded"])
    assert not torch.equal(before["adversarial_random"], after["adversarial_random"])


def test_a_code_beside_the_image_only_is_one_more_channel_of_the_first_layer():
    build = Builder(PLUGINS, (32, 32), ())
    everywhere, first = (
        build.generator("unet-code", in_channels=3, out_channels=3, filters=4, add_to_input=only)
        for only in (False, True)
    )
    assert [down[1].in_channels for down in everywhere.down] == [3 + 8, 4 + 8, 8 + 8, 16 + 8, 32 + 8]
    assert [down[1].in_channels for down in first.down] == [3 + 8, 4, 8, 16, 32]


@pytest.mark.parametrize("phase", ["generator", "generator_reference"])
def test_starganv2_terms_are_those_of_the_paper(stargan, phase):
    made, nets, data = stargan
    shape = (4, made.config.noise)
    losses = made.losses(phase, nets, data, context(drawn=shape))
    x, wanted = data["target"], data["target_label"]
    if phase == "generator":
        first, second = data["style"], nets["mapping"](context(drawn=shape).randn(*shape), wanted)
    else:
        first, second = (nets["encoder"](data[key], wanted) for key in ("reference", "second_reference"))
    fake, other = nets["generator"](x, first), nets["generator"](x, second)
    mean = lambda a, b: np.mean([abs(p - q) for p, q in zip(a.flatten().tolist(), b.flatten().tolist(), strict=False)])
    assert losses["diversity"].item() == pytest.approx(-(1 - STEP / STEPS) * mean(fake, other))
    assert losses["style"].item() == pytest.approx(mean(nets["encoder"](fake, wanted), first))
    back = nets["generator"](fake, nets["encoder"](x, data["label"]))
    assert losses["cycle"].item() == pytest.approx(mean(back, x))
    logits = [nets["discriminator"](fake[n : n + 1], wanted[n : n + 1]).item() for n in range(4)]
    assert losses["adversarial"].item() == pytest.approx(np.mean([math.log1p(math.exp(-one)) for one in logits]))


def test_the_second_of_two_results_has_no_gradient(stargan):
    made, nets, data = stargan
    weights = list(nets["mapping"].parameters())
    loss = made.losses("generator", nets, data, context(drawn=(4, made.config.noise)))["diversity"]
    [slope] = torch.autograd.grad(loss, data["fake"], retain_graph=True)
    assert slope.abs().max().item() * slope.numel() == pytest.approx(1 - STEP / STEPS)
    found = torch.autograd.grad(loss, weights, retain_graph=True)
    through_the_first = torch.autograd.grad((data["fake"] * slope).sum(), weights, retain_graph=True)
    for one, other in zip(found, through_the_first, strict=True):
        assert torch.allclose(one, other)


def test_starganv2_judges_each_image_under_its_own_domain(stargan):
    made, nets, data = stargan
    judge = nets["discriminator"]
    real, fake = judge(data["target"], data["label"]), judge(data["fake"], data["target_label"])
    expected = np.mean(np.log1p(np.exp(-real.detach().numpy()))) + np.mean(np.log1p(np.exp(fake.detach().numpy())))
    losses = made.losses("discriminator", nets, data, context())
    assert losses["adversarial"].item() == pytest.approx(expected)
    shown = data["target"].clone().requires_grad_()
    [slope] = torch.autograd.grad(judge(shown, data["label"]).sum(), shown)
    assert losses["penalty"].item() == pytest.approx(slope.square().sum().item() / 4 / 2)


def test_phases_of_one_network_share_its_optimiser_and_the_mapping_network_is_slower():
    nets = {name: torch.nn.Linear(3, 3) for name in ("generator", "mapping")}
    twins = copy.deepcopy(nets)
    phases = [
        i2i.Phase("both", trains=("generator", "mapping"), rates={"mapping": 0.01}),
        i2i.Phase("alone", trains=("generator",)),
    ]
    config = TrainConfig(optimizer={"name": "adam", "lr": 0.1})
    both, alone = phase_optimizers(phases, nets, config, Builder(PLUGINS, (8, 8), ()), "test")
    assert both.optimizer is alone.optimizer
    ones = {
        name: torch.optim.Adam(net.parameters(), lr=0.1 * (0.01 if name == "mapping" else 1), betas=(0.5, 0.999))
        for name, net in twins.items()
    }
    for turn in range(3):
        for phase, names in ((both, ("generator", "mapping")), (alone, ("generator",))):
            for here in (nets, twins):  # a way back that reaches the other network, too, in each phase
                for net in here.values():
                    net.zero_grad()
                x = torch.full((2, 3), 1.0 + turn)
                here["generator"](here["mapping"](x)).square().sum().backward()
            phase.step(1.0)
            for name in names:
                ones[name].step()
    for name, net in nets.items():
        for parameter, twin in zip(net.parameters(), twins[name].parameters(), strict=True):
            assert torch.allclose(parameter, twin, atol=1e-7)


@pytest.mark.parametrize("rates", [{"other": 1.0}, {"generator": 0.0}, {"generator": math.inf}])
def test_rates_of_other_networks_or_none_are_refused(rates):
    with pytest.raises(i2i.PluginError, match="rates must be numbers above 0"):
        i2i.Phase("generator", trains=("generator",), rates=rates)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A function that trains a recipe for a few steps, once, at a rate at which its outputs move."""
    done = {}

    def run_of(name):
        if name not in done:
            sets = [*small(name), "train.optimizer.lr=0.02", "train.metrics=[]"]
            sets += ["bicyclegan.generator.init_gain=1"] if name == "bicyclegan" else []
            done[name] = i2i.train(name, out=tmp_path_factory.mktemp(name) / "run", sets=sets, steps=4).run
        return done[name]

    return run_of


@pytest.fixture
def folders(tmp_path):
    draw = np.random.default_rng(0)
    for folder, size in (("in", (40, 36)), ("references", (52, 64)), ("others", (52, 64))):
        (tmp_path / folder).mkdir()
        for number in range(2):
            Image.fromarray(draw.integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / folder / f"{number}.png")
    return tmp_path


LABEL = {"bicyclegan": [], "starganv2": ["--label", "snow"]}


@pytest.mark.parametrize("name", LABEL)
def test_four_results_of_an_image_differ_and_a_seed_repeats_them(name, runs, folders, cli):
    for out in ("one", "again"):
        words = ["translate", runs(name), folders / "in", "--translator", "default", *LABEL[name], "--count", 4]
        done = cli(*words, "--seed", 1, "-o", folders / out)
        assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (folders / "one").iterdir())
    assert names == [f"{image}_{number:04d}.png" for image in range(2) for number in range(4)]
    assert len({read_image(folders / "one" / f"0_{number:04d}.png").pixels.tobytes() for number in range(4)}) == 4
    for path in names:
        assert (folders / "one" / path).read_bytes() == (folders / "again" / path).read_bytes()


@pytest.mark.parametrize("name", LABEL)
def test_another_reference_gives_another_result(name, runs, folders, cli):
    for reference in ("references", "others"):
        words = ["translate", runs(name), folders / "in", "--translator", "reference", *LABEL[name]]
        done = cli(*words, "--input", f"reference={folders / reference}", "-o", folders / "out" / reference)
        assert done.returncode == 0, done.stderr
    made = [read_image(folders / "out" / reference / "0.png").pixels for reference in ("references", "others")]
    assert made[0].shape == (40, 36, 3)
    assert (made[0] != made[1]).any()


def test_the_label_chooses_the_domain(runs, folders):
    model = i2i.load(runs("starganv2"), translator="default")
    made = [model.translate(folders / "in/0.png", label=label, code=[0.5] * 4) for label in LABELS]
    assert model.labels == LABELS
    assert (made[0] != made[1]).any()
    assert (made[1] != made[2]).any()


def test_one_domain_alone_is_refused(tmp_path):
    with pytest.raises(i2i.DataError, match="two named classes"):
        recipe = PLUGINS.get("recipe", "starganv2")
        made = recipe.build(recipe.config())
        made.networks(Builder(PLUGINS, (32, 32), ("cat",)), batch("starganv2"))


def test_averages_are_those_of_generator_mapping_and_encoder(tmp_path):
    sets = [*small("starganv2"), "train.ema=0.9", "train.metrics=[]"]
    run = train_only("starganv2", out=tmp_path / "run", sets=sets, steps=1).run
    from safetensors import safe_open

    [file] = run.glob("checkpoints/*/ema.safetensors")
    with safe_open(file, "pt") as averages:
        names = {key.split(".")[0] for key in averages.keys()}  # noqa: SIM118  it is no dictionary
    assert {name.split("/")[0] for name in names} >= {"generator", "mapping", "encoder"}
    assert not any(name.startswith("discriminator") for name in names)
