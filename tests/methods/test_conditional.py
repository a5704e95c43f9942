"""Conditional GANs: networks against their papers' maths, what the recipes compute, and that labels are obeyed."""

import itertools
import math

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, batch_norm

import i2i
from i2i.components.inference import for_inference
from i2i.engine.context import StepContext
from i2i.errors import ConfigError, DataError
from i2i.export.onnx_file import write_onnx
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i.translate.model import Model
from i2i_conditional import dcgan
from i2i_conditional.stargan_networks import LabelledGenerator
from i2i_samples.datasets import Styles
from i2i_samples.options import StylesConfig

PLUGINS = Plugins()
LABELS = ("day", "night", "snow", "blueprint")
TINY = {
    "cgan": {
        "generator": {"name": "dcgan", "filters": 4},
        "discriminator": {"name": "dcgan", "filters": 4},
        "noise": 6,
    },
    "stargan": {
        "generator": {"name": "stargan", "filters": 4, "blocks": 1},
        "discriminator": {"name": "stargan", "filters": 4},
    },
}


def build(height: int, width: int | None = None, labels: tuple[str, ...] = LABELS) -> Builder:
    return Builder(PLUGINS, (height, width or height), labels)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def randomise(module: nn.Module) -> nn.Module:
    """Weights in float64 and far from the initial ones, so that no term is too small to be seen."""
    torch.manual_seed(1)
    for parameter in module.double().parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def context(step: int = 0) -> StepContext:
    ctx = StepContext(0, 100, torch.device("cpu"), torch.float64)
    ctx.begin(step)
    return ctx


def batch(size: int = 32, samples: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(samples, 3, size, size, generator=generator, dtype=torch.float64) * 2 - 1
    return {"target": images, "label": torch.arange(samples) % len(LABELS)}


def recipe(name: str, **options):
    """A small recipe with its networks, weights randomised, and a batch that went through `shared`."""
    component = PLUGINS.get("recipe", name)
    made = component.build(component.config(**(TINY[name] | options)))
    data = batch()
    nets = {key: randomise(network) for key, network in made.networks(build(32), data).items()}
    return made, nets, data | made.shared(nets, data, context())


def test_parameter_counts_are_those_of_the_reference_implementations():
    noise_to_image = build(64).generator("dcgan", in_channels=100, out_channels=3)
    assert count(noise_to_image) == 3_576_704 + 3  # the last layer has a bias here
    judge = build(64).discriminator("dcgan", in_channels=3, norm="batch")
    assert count(judge) == 2_765_568 + 64 + 1  # so have the first and the last
    assert count(build(128).generator("stargan", in_channels=3 + 5, out_channels=3)) == 8_430_528
    assert count(build(128).discriminator("stargan", in_channels=3, classes=5)) == 44_762_048


@pytest.mark.parametrize(("height", "width"), [(8, 12), (28, 28), (32, 32), (48, 96)])
@pytest.mark.parametrize("upsample", ["deconv", "resize"])
def test_dcgan_makes_and_judges_images_of_many_sizes(height, width, upsample):
    here, labels = build(height, width), torch.tensor([0, 3])
    options = {"filters": 4, "classes": 4}
    generator = here.generator("dcgan", in_channels=5, out_channels=1, upsample=upsample, **options)
    images = generator(torch.randn(2, 5), labels)
    assert images.shape == (2, 1, height, width)
    assert images.abs().max() <= 1
    assert here.discriminator("dcgan", in_channels=1, **options)(images, labels).shape == (2, 1)


@pytest.mark.parametrize(("size", "fit"), [((100, 100), 96), ((6, 6), 8), ((34, 32), 32), ((36, 36), 32)])
def test_dcgan_says_which_size_would_do(size, fit):
    for make in (
        lambda here: here.generator("dcgan", in_channels=4, out_channels=3, filters=2),
        lambda here: here.discriminator("dcgan", in_channels=3, filters=2),
    ):
        with pytest.raises(ConfigError, match=rf"never gives {size[0]}x{size[1]}: set data\.size={fit}"):
            make(build(*size))
        assert make(build(fit))


def test_stargan_networks_say_which_sizes_they_cannot_take():
    with pytest.raises(ConfigError, match="sides of at least 8 divisible by 4, got 30x30"):
        build(30).generator("stargan", in_channels=3, out_channels=3)
    with pytest.raises(ConfigError, match="6 stride-2 layers need images of at least 64 pixels, got 32x32"):
        build(32).discriminator("stargan", in_channels=3, layers=6)


def test_conditional_batch_norm_is_batch_norm_with_the_classes_own_parameters():
    norm, x, labels = randomise(dcgan.ConditionalBatchNorm2d(5, 3, 0.02)), torch.randn(6, 5, 4, 4).double(), None
    labels = torch.tensor([2, 0, 1, 1, 0, 2])
    got = norm(x, labels)
    for index, label in enumerate(labels.tolist()):
        whole = batch_norm(x, None, None, norm.scale[label], norm.shift[label], training=True)
        torch.testing.assert_close(got[index], whole[index])


def test_projection_is_equation_3_by_brute_force():
    network = build(16).discriminator("dcgan", in_channels=3, filters=2, classes=3, features=True)
    images, labels = torch.randn(3, 3, 16, 16).double(), [2, 0, 1]
    logits, *features = randomise(network)(images, torch.tensor(labels))
    weight, bias, vectors = network.last.weight[0], network.last.bias, network.vectors.weight
    for index, label in enumerate(labels):
        phi = features[-1][index]  # (C, 4, 4)
        psi = sum(weight[place] * phi[place] for place in np.ndindex(*phi.shape)) + bias
        inner = sum(vectors[label, c] * phi[c, y, x] for c, y, x in np.ndindex(*phi.shape))
        torch.testing.assert_close(logits[index], psi + inner)


def test_concat_puts_one_hot_labels_beside_the_noise_and_the_image():
    here, hot, labels = build(16), torch.eye(3).double(), torch.tensor([1, 0, 2])
    options = {"filters": 2, "condition": "concat"}
    labelled = randomise(here.generator("dcgan", in_channels=5, out_channels=1, classes=3, **options))
    plain = here.generator("dcgan", in_channels=5 + 3, out_channels=1, **options).double()
    plain.load_state_dict(labelled.state_dict())
    noise = torch.randn(3, 5).double()
    images = labelled(noise, labels)
    torch.testing.assert_close(images, plain(torch.cat([noise, hot[labels]], 1)))

    judge = randomise(here.discriminator("dcgan", in_channels=1, classes=3, **options))
    plain = here.discriminator("dcgan", in_channels=1 + 3, **options).double()
    plain.load_state_dict(judge.state_dict())
    maps = hot[labels][:, :, None, None].expand(-1, -1, 16, 16)
    torch.testing.assert_close(judge(images, labels), plain(torch.cat([images, maps], 1)))


@pytest.mark.parametrize("condition", ["norm", "concat"])
def test_the_same_noise_gives_another_image_for_another_label(condition):
    network = randomise(
        build(16).generator("dcgan", in_channels=5, out_channels=3, filters=4, classes=4, condition=condition)
    ).eval()
    noise = torch.randn(1, 5).double()
    images = [network(noise, torch.tensor([label])) for label in range(4)]
    assert all((a - b).abs().max() > 1e-5 for a, b in itertools.combinations(images, 2))
    with pytest.raises(ValueError, match="built for 4 classes: it needs labels"):
        network(noise)


def test_minibatch_layers_let_an_image_feel_the_others():
    images, labels = torch.randn(4, 3, 16, 16).double(), torch.arange(4)
    for name, feels in (("none", False), ("std", True), ("discrimination", True)):
        network = build(16).discriminator("dcgan", in_channels=3, filters=2, classes=4, minibatch=name)
        randomise(network)
        change = network(images, labels)[:1] - network(images[:1], labels[:1])
        assert (change.abs().item() > 1e-6) == feels


def test_stargan_discriminator_gives_patches_classes_and_features():
    images = torch.randn(2, 3, 64, 64)
    options = {"in_channels": 3, "filters": 2, "layers": 3}
    patches, classes, *features = build(64).discriminator("stargan", classes=5, features=True, **options)(images)
    assert patches.shape == (2, 1, 8, 8)
    assert classes.shape == (2, 5)
    assert [feature.shape[1:] for feature in features] == [(2, 32, 32), (4, 16, 16), (8, 8, 8)]
    assert build(64).discriminator("stargan", **options)(images).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("name", ["stargan", "unet"])
def test_any_generator_that_sees_the_labels_maps_can_be_told_the_domain(name):
    network = LabelledGenerator(build(32).generator(name, in_channels=3 + 4, out_channels=3, filters=4), 4)
    assert (network.multiple, network.uses_labels(3)) == ({"stargan": 4, "unet": 32}[name], True)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    day, night = (network.eval()(image, torch.tensor([label])) for label in (0, 1))
    assert day.shape == image.shape
    assert (day - night).abs().max() > 1e-4


def test_a_generator_whose_norm_removes_the_label_is_refused():
    # mirror padding leaves a constant map constant, and instance norm subtracts it
    with pytest.raises(ConfigError, match="the label never reaches the output of generator 'resnet'"):
        recipe("stargan", generator={"name": "resnet", "filters": 4, "blocks": 1})
    assert recipe("stargan", generator={"name": "resnet", "filters": 4, "blocks": 1, "norm": "batch"})
    with pytest.raises(ConfigError, match="generator 'dcgan' makes images of noise"):
        recipe("stargan", generator="dcgan")


@pytest.mark.parametrize("name", TINY)
def test_classes_without_names_are_refused(name):
    component = PLUGINS.get("recipe", name)
    with pytest.raises(DataError, match="does not name them"):
        component.build(component.config()).networks(build(32, labels=()), batch())


LOSSES = {
    "cgan": {"discriminator": {"adversarial"}, "generator": {"adversarial"}},
    "stargan": {
        "discriminator": {"adversarial", "penalty", "classification"},
        "generator": {"adversarial", "classification", "reconstruction"},
    },
}


@pytest.mark.parametrize(("name", "phase"), [*itertools.product(TINY, ["discriminator", "generator"])])
def test_losses_are_finite_and_reach_the_phases_network_only(name, phase):
    loss = {"adversary": {"loss": "vanilla"}} if name == "cgan" else {}  # the hinge's may cancel in the last bias
    made, nets, data = recipe(name, **loss)
    other = nets["generator" if phase == "discriminator" else "discriminator"]
    if phase == "generator":
        other.requires_grad_(False)  # as the engine does
    losses = made.losses(phase, nets, data, context())
    assert losses.keys() == LOSSES[name][phase]
    assert all(math.isfinite(loss.detach()) and loss.shape == () for loss in losses.values())
    sum(losses.values()).backward()
    learns = {p.name: p.trains for p in made.phases()}[phase]
    for network in learns:
        gradients = [parameter.grad for parameter in nets[network].parameters()]
        assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
    assert all(parameter.grad is None for parameter in other.parameters())


@pytest.mark.parametrize("name", TINY)
def test_the_adversarys_options_reach_the_recipe(name):
    made, nets, data = recipe(
        name, adversary={"loss": "relativistic", "penalty": {"name": "r1", "every": 2}, "feature_matching": 1.0}
    )
    with_penalty = made.losses("discriminator", nets, data, context(step=2))
    assert "penalty" in with_penalty
    assert "penalty" not in made.losses("discriminator", nets, data, context(step=3))
    assert made.losses("generator", nets, data, context())["features"] > 0
    clipped = recipe(name, adversary={"loss": "wasserstein", "clip_weights": 0.01})[0]
    assert clipped.phases()[0].clip_weights == 0.01


def test_critic_steps_are_five_as_in_the_paper():
    assert [phase.every for phase in recipe("stargan")[0].phases()] == [1, 5]


def test_stargan_losses_are_equations_1_to_6():
    made, nets, data = recipe("stargan")
    images, labels, wanted, fake = data["target"], data["label"], data["wanted"], data["fake"]
    logits, classes = nets["discriminator"](images)
    judged, told = nets["discriminator"](fake)
    losses = made.losses("discriminator", nets, data, context())
    probability = classes.exp() / classes.exp().sum(1, keepdim=True)
    torch.testing.assert_close(losses["adversarial"], judged.mean() - logits.mean())
    torch.testing.assert_close(losses["classification"], -probability[range(4), labels].log().mean())
    losses = made.losses("generator", nets, data, context())
    probability = told.exp() / told.exp().sum(1, keepdim=True)
    back = nets["generator"](nets["generator"](images, wanted), labels)
    torch.testing.assert_close(losses["adversarial"], -judged.mean())
    torch.testing.assert_close(losses["classification"], -probability[range(4), wanted].log().mean())
    torch.testing.assert_close(losses["reconstruction"], 10 * (back - images).abs().mean())


def test_wanted_domains_are_drawn_evenly_and_again_the_same():
    made, nets, _ = recipe("stargan")
    nets["generator"] = lambda image, label: image
    data = batch(size=1, samples=4000)
    wanted, again, later = (made.shared(nets, data, context(step))["wanted"] for step in (7, 7, 8))
    assert torch.equal(wanted, again)
    assert not torch.equal(wanted, later)
    shares = np.bincount(wanted.numpy(), minlength=4) / 4000
    assert shares == pytest.approx([0.25] * 4, abs=0.03)


@pytest.mark.parametrize(("name", "options"), [("cgan", {}), ("cgan", {"condition": "concat"}), ("stargan", {})])
def test_export_keeps_labels_by_name_and_agrees_with_torch(name, options, tmp_path):
    choices = {"generator": TINY[name]["generator"] | options}
    made, nets, _ = recipe(name, **choices)
    translator = made.translators(nets | {"generator": nets["generator"].float()}, batch())["default"]
    translator = i2i.Translator(
        for_inference(translator.module, image_statistics=False),
        {key: value.float() if value.is_floating_point() else value for key, value in translator.example.items()},
        labels=translator.labels,
    )
    assert write_onnx(tmp_path / "m.onnx", translator, "float32", {}).difference <= 0.05
    model = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    inputs = {entry.name: entry.type for entry in model.get_inputs()}
    first = "noise" if name == "cgan" else "image"
    assert inputs == {first: "tensor(float)", "label": "tensor(int32)"}
    loaded = i2i.load(tmp_path / "m.onnx")
    assert loaded.labels == LABELS
    if name == "cgan":
        images = [loaded.generate(1, label=label)[0] for label in LABELS]
    else:
        picture = np.random.default_rng(0).random((27, 33, 3), np.float32)
        images = [loaded.translate(picture, label=label) for label in LABELS]
    assert all(np.abs(a - b).max() > 0.01 for a, b in itertools.combinations(images, 2))


def features(images: np.ndarray) -> torch.Tensor:
    """8x8 pixels of uint8 ``(N, H, W, 3)``: enough to tell the styles."""
    values = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return adaptive_avg_pool2d(values, 8).flatten(1)


@pytest.fixture(scope="module")
def classifier():
    """Tells the style of an image: logistic regression on drawings, checked on others."""
    config = StylesConfig(count=120, val_count=80)
    known, held_out = ([*map(dict, Styles(config, split=split, transform=dict))] for split in ("train", "val"))
    x, held_out_x = (features([sample["target"] for sample in samples]) for samples in (known, held_out))
    y, held_out_y = (torch.tensor([sample["label"] for sample in samples]) for samples in (known, held_out))
    layer = nn.Linear(x.shape[1], 4)
    optimizer = torch.optim.Adam(layer.parameters(), 0.01)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(layer(x), y).backward()
        optimizer.step()
    assert (layer(held_out_x).argmax(1) == held_out_y).float().mean() >= 0.95
    return lambda images: layer(features(images)).argmax(1).numpy()


def learned(name: str, out, *sets: str, size: int, steps: int) -> Model:
    """The preset for the drawn styles with fewer drawings and steps, and a mean of the weights that follows faster."""
    shared = [f"data.layout={{name: styles, count: 120, val_count: 16, size: {size}}}", f"data.size={size}"]
    shared += ["engine.threads=1", "engine.precision=fp32", "train.sample_every=1000", "train.checkpoint_every=1000"]
    sets = [*shared, "train.ema=0.9", *(f"{name}.{line}" for line in sets)]
    return i2i.load(i2i.train(name, out=out, preset="samples", sets=sets, steps=steps).run)


def test_cgan_draws_the_asked_class(tmp_path, classifier):
    model = learned("cgan", tmp_path / "run", "generator.filters=16", "discriminator.filters=16", size=32, steps=300)
    assert model.labels == LABELS
    images = np.concatenate([model.generate(50, label=label) for label in LABELS])
    assert (classifier(images) == np.repeat(range(4), 50)).mean() >= 0.8
    spread = images.reshape(4, 50, -1).astype(float).std(1).mean()
    assert spread > 5  # in units of 1/255: the noise makes different images of one class


def test_stargan_translates_to_the_asked_domain(tmp_path, classifier):
    model = learned("stargan", tmp_path / "run", "generator.filters=8", "generator.blocks=2", size=16, steps=300)
    held_out = Styles(StylesConfig(val_count=24, size=16), split="val", transform=dict)
    for number, label in enumerate(LABELS):
        images = [model.translate(held_out[index]["target"], label=label) for index in range(24)]
        assert (classifier(images) == number).mean() >= 0.8
