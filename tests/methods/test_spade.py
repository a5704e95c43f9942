"""SPADE: its formulas against loops, its options, and a model of styles and borders from the command line."""

import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

import i2i
from helpers import segmenter, typed_data
from helpers.image_files import save
from helpers.recipes import OWN, SHARED, small, train_only
from i2i.components.inference import for_inference
from i2i.config import resolve
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_spade.encoder import divergence
from i2i_spade.generator import Modulation, SpadeBlock
from i2i_spade.options import SpadeConfig, SpadeGeneratorConfig
from i2i_spade.recipe import condition

PLUGINS = Plugins()


def convolved(image, weight, bias):
    """A 3x3 convolution with zeros around, pixel by pixel: ``(C, H, W)`` -> ``(out, H, W)``."""
    height, width = image.shape[1:]
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    result = np.empty((len(weight), height, width))
    for out, y, x in itertools.product(range(len(weight)), range(height), range(width)):
        result[out, y, x] = (padded[:, y : y + 3, x : x + 3] * weight[out]).sum() + bias[out]
    return result


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_modulation_is_equation_1(norm):
    torch.manual_seed(0)
    options = SpadeGeneratorConfig(norm=norm, hidden=3, spectral_norm=False)
    block = SpadeBlock(options, 2, 2, 4).double()
    for weight in block.modulations[0].parameters():
        nn.init.normal_(weight)
    x, labels = torch.randn(2, 2, 5, 6).double(), torch.rand(2, 4, 5, 6).double()
    with torch.no_grad():
        found = block.modulations[0](block.norms[0](x), labels).numpy()
    axes = (0, 2, 3) if norm == "batch" else (2, 3)
    features, maps = x.numpy(), labels.numpy()
    mean, variance = features.mean(axes, keepdims=True), features.var(axes, keepdims=True)
    given = {name: value.detach().numpy() for name, value in block.modulations[0].named_parameters()}
    for number in range(2):
        hidden = np.maximum(convolved(maps[number], given["shared.weight"], given["shared.bias"]), 0)
        both = convolved(hidden, given["gamma_beta.weight"], given["gamma_beta.bias"])
        gamma, beta = both[:2], both[2:]
        normalised = ((features - mean) / np.sqrt(variance + 1e-5))[number]
        assert found[number] == pytest.approx(normalised * (1 + gamma) + beta, abs=1e-9)


def test_gamma_and_beta_begin_as_wide_as_two_convolutions_of_their_own():
    torch.manual_seed(0)
    weight = Modulation(64, 5, 32).gamma_beta.weight
    wanted = 0.02 * (2 / (9 * (64 + 32))) ** 0.5
    assert [part.std().item() for part in weight.chunk(2)] == pytest.approx([wanted, wanted], rel=0.05)


class Drawing:
    """What a game needs of the engine, without noise."""

    step, steps, turn, observer, state = 0, 1, 0, None, {}


def test_hinge_and_feature_matching_are_means_over_scales_and_layers():
    torch.manual_seed(0)
    build = Builder(PLUGINS, (32, 32))
    game = i2i.AdversaryConfig(loss=i2i.LossChoice("hinge"), feature_matching=40.0)
    adversary = i2i.Adversary(game, build, paired=True)
    network = adversary.discriminator("multiscale", in_channels=3, filters=4, scales=3, layers=2, norm="none")
    real, fake = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    found = adversary.generator_losses(network, real, fake, Drawing)
    judged = adversary.discriminator_losses(network, real, fake, Drawing)
    hinges, scores, layers = [], [], []
    for number, scale in enumerate(network.scales):
        seen = {"real": halved(real.double().numpy(), number), "fake": halved(fake.double().numpy(), number)}
        given = {}
        for name, images in seen.items():
            x, features = torch.tensor(images), []
            for layer in scale.double():
                x = layer(x)
                if isinstance(layer, nn.LeakyReLU):
                    features.append(x.detach().numpy())
            given[name] = x.detach().numpy(), features
        (true, of_true), (made, of_made) = given["real"], given["fake"]
        hinges.append(np.maximum(0, 1 - true).mean() + np.maximum(0, 1 + made).mean())
        scores.append(-made.mean())
        layers += [np.abs(one - other).mean() for one, other in zip(of_made, of_true, strict=True)]
    assert len(layers) == 3 * 3
    assert found["adversarial"].item() == pytest.approx(np.mean(scores), rel=1e-4)
    assert found["features"].item() == pytest.approx(40 * np.mean(layers), rel=1e-4)
    assert judged["adversarial"].item() == pytest.approx(np.mean(hinges), rel=1e-4)


def halved(images, times):
    """Each pixel the mean of the 3x3 neighbours that there are around every second one."""
    for _ in range(times):
        height, width = images.shape[2:]
        result = np.empty((*images.shape[:2], height // 2, width // 2))
        for y, x in itertools.product(range(height // 2), range(width // 2)):
            window = images[:, :, max(0, 2 * y - 1) : 2 * y + 2, max(0, 2 * x - 1) : 2 * x + 2]
            result[:, :, y, x] = window.mean((2, 3))
        images = result
    return images


@pytest.mark.parametrize("penalty", ["gradient-penalty", "r1"])
def test_penalties_go_through_all_scales(penalty):
    sets = [*small("spade"), f"spade.adversary.penalty={penalty}", "spade.adversary.spectral_norm=false"]
    i2i.train("spade", sets=[*sets, "spade.adversary.loss=relativistic"], dry_run=True)


def test_the_divergence_is_that_of_normal_distributions():
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    wanted = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    assert divergence(mean, log_variance).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_label_maps_become_channels_and_instances_borders():
    draw = np.random.default_rng(0)
    labels, instances = draw.choice([0, 1, 2, 255], (2, 6, 5)), draw.integers(0, 3, (2, 6, 5))
    config = SpadeConfig(classes=3, ignore=255, edges=True)
    found = condition(config, torch.tensor(labels), torch.tensor(instances)).numpy()
    assert found.shape == (2, config.channels, 6, 5)
    for n, y, x in itertools.product(range(2), range(6), range(5)):
        place = [0, 1, 2, 255].index(labels[n, y, x])
        assert found[n, :4, y, x].tolist() == [float(place == one) for one in range(4)]
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        others = [instances[n, a, b] for a, b in around if 0 <= a < 6 and 0 <= b < 5]
        assert found[n, 4, y, x] == float(any(one != instances[n, y, x] for one in others))


@pytest.mark.parametrize(("name", "channels"), [("cityscapes", 35), ("ade20k", 151), ("coco-stuff", 183), ("7", 7)])
def test_label_tables_are_chosen_by_name(name, channels):
    assert resolve(PLUGINS, "spade", sets=[f"spade.classes={name}"]).options.channels == channels


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["spade.classes=4", "spade.ignore=3"], "ignore must not be one of the 4 classes, not 3"),
        (["spade.classes=kitti"], "spade.classes"),
    ],
)
def test_labels_that_do_not_fit_are_refused(sets, says):
    with pytest.raises(i2i.ConfigError, match=says):
        resolve(PLUGINS, "spade", sets=sets)


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (["data.size=36", "data.load_size=36"], "make data.size a multiple of 8"),
        (
            ["spade.discriminator={name: multiscale, filters: 4, scales: 4, layers: 3}"],
            "need images of at least 64 pixels",
        ),
        (
            ["spade.features={name: vgg19, layers: [conv1_1], weights: random}"],
            "gives 1 maps, and layer_weights has 5 numbers",
        ),
        (["spade.classes=5"], "has the class .*, and the recipe knows those from 0 to 4"),
    ],
)
def test_what_cannot_be_built_is_told_before_the_first_step(sets, says):
    with pytest.raises(i2i.UserError, match=says):
        i2i.train("spade", sets=[*small("spade"), *sets], dry_run=True)


def test_spectral_norm_is_a_plain_weight_in_what_is_exported():
    torch.manual_seed(0)
    network = nn.Sequential(spectral_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4))
    images = torch.rand(2, 3, 8, 8)
    network(images)
    exported = for_inference(network, image_statistics=False)
    assert type(exported[0]) is nn.Conv2d
    assert torch.equal(exported(images), network.eval()(images))
    network.train()(images).sum().backward()
    assert network[0].parametrizations.weight.original.grad is not None


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    """A run with styles and borders, on folders of label maps, photographs and instances."""
    root = tmp_path_factory.mktemp("styled")
    for number, classes in enumerate(typed_data.label_maps()):
        save(root / f"data/A/{number}.png", classes)
        save(root / f"data/B/{number}.png", typed_data.photograph(classes, number))
        save(root / f"data/objects/{number}.png", (classes * 3 + number).astype(np.uint8))
    sets = [*SHARED, *(f"spade.{line}" for line in OWN["spade"]), "spade.classes=4", "spade.edges=true"]
    sets += ["spade.style=true", "spade.style_size=6", "spade.encoder_filters=4", "train.checkpoint_every=1"]
    sets += [
        "data.layout={name: folders, more: {instance: objects}}",
        "data.val_fraction=0.3",
        "train.optimizer.lr=0.02",
    ]
    run = i2i.train("spade", data=root / "data", out=root / "run", sets=sets, steps=2)
    assert max(one.difference for one in run.exported) <= 1
    return root


def test_styles_come_of_noise_or_of_an_image(styled, cli, tmp_path):
    words = ["translate", styled / "run", styled / "data/A", f"--input=instance={styled / 'data/objects'}"]
    made = {}
    for name, more in (("one", ["--seed", 1]), ("two", ["--seed", 2]), ("again", ["--seed", 1])):
        done = cli(*words, "--translator", "default", *more, "-o", tmp_path / name, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["written"] == 6
        made[name] = np.asarray(Image.open(tmp_path / name / "0.png"))
    assert made["one"].shape == (32, 32, 3)
    assert np.array_equal(made["one"], made["again"])
    assert not np.array_equal(made["one"], made["two"])
    done = cli(*words, "--translator", "styled", f"--input=style={styled / 'data/B'}", "-o", tmp_path / "styled")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "styled").iterdir())) == 6


def test_a_further_folder_that_is_not_there_is_told(styled):
    sets = [*SHARED, "data.layout={name: folders, more: {instance: nowhere}}", "spade.classes=4"]
    with pytest.raises(i2i.DataError, match="no such folder"):
        i2i.train("spade", data=styled / "data", sets=sets, dry_run=True)


def test_borders_of_drawn_facades_resume_with_the_same_bits(tmp_path):
    sets = [*small("spade"), "data.layout.instances=true", "spade.edges=true", "spade.style=true", "spade.style_size=4"]
    sets += ["spade.encoder_filters=4", "train.checkpoint_every=1"]
    train_only("spade", out=tmp_path / "whole", sets=sets, steps=2)
    train_only("spade", out=tmp_path / "halves", sets=[*sets, "train.schedule.name=constant"], steps=2)
    for file in (tmp_path / "halves/checkpoints/step-0000002").iterdir():
        file.unlink()
    (tmp_path / "halves/checkpoints/step-0000002").rmdir()
    train_only(out=tmp_path / "halves", resume=True)
    name = "checkpoints/step-0000002/networks.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "halves" / name).read_bytes()


@pytest.mark.slow
def test_images_of_the_samples_preset_show_what_the_label_maps_say(tmp_path):
    labels, drawn = segmenter.drawings(64, 24, split="val")
    judge = segmenter.trained(64)
    assert segmenter.mean_iou(judge, drawn, labels) > 0.9
    run = i2i.train("spade", out=tmp_path / "run", sets=["engine.threads=1"]).run
    made = np.stack([i2i.load(run).translate(one.astype(np.uint8)) for one in labels])
    assert segmenter.mean_iou(judge, made, labels) >= 0.6
