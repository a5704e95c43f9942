"""The antialiased ResNet and PatchGAN: the blur against loops, and weights of CUT's authors' code in our networks."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from i2i.components.antialias import MAX_MATRIX_SIDE, BilinearDoubling, BlurHalving
from i2i.components.layers import init_weights
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

FIXTURES = Path(__file__).parents[1] / "fixtures" / "cut"
ANTIALIASED = {"antialias": True, "init": "xavier"}


def halved(signal):
    """A row blurred by [1, 2, 1] / 4 on mirrored borders, every second value."""
    padded = np.pad(signal, 1, mode="reflect")
    return np.array([padded[i : i + 3] @ [0.25, 0.5, 0.25] for i in range(0, len(signal), 2)])


def doubled(signal):
    """Zeros between the values of a row with repeated borders, blurred by [1, 3, 3, 1] / 4."""
    sparse = np.zeros(2 * len(signal) + 4)
    sparse[::2] = np.pad(signal, 1, mode="edge")
    return np.convolve(sparse, [0.25, 0.75, 0.75, 0.25])[3 : 3 + 2 * len(signal)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(8, 6), (7, 2), (2, MAX_MATRIX_SIDE + 2)])
@pytest.mark.parametrize(("layer", "by_hand"), [(BlurHalving, halved), (BilinearDoubling, doubled)])
def test_fixed_filters_equal_loops(layer, by_hand, size, training):
    x = np.random.default_rng(0).standard_normal((2, 3, *size))
    expected = np.apply_along_axis(by_hand, 3, np.apply_along_axis(by_hand, 2, x))
    module = layer().double().train(training)
    image = torch.from_numpy(x).requires_grad_(True)
    found = module(image)
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)
    found.square().sum().backward()
    direction = np.random.default_rng(1).standard_normal(x.shape)
    along = np.apply_along_axis(by_hand, 3, np.apply_along_axis(by_hand, 2, direction))
    np.testing.assert_allclose((image.grad.numpy() * direction).sum(), 2 * (expected * along).sum(), rtol=1e-10)


def test_xavier_follows_from_the_channels():
    torch.manual_seed(0)
    layer = init_weights(torch.nn.Conv2d(30, 50, 5), 0.02, "xavier")
    assert float(layer.weight.detach().std()) == pytest.approx(0.02 * (2 / ((30 + 50) * 25)) ** 0.5, rel=0.02)
    assert not layer.bias.any()


def renamed(weights, changes):
    """The authors' names of layers, without the fixed filters, as ours."""
    own = {}
    for key, value in weights.items():
        if not key.endswith("filt"):
            number, rest = re.fullmatch(r"model\.(\d+)\.(.+)", key).groups()
            own[f"{changes.get(number, number)}.{rest.replace('conv_block.', 'body.').replace('body.5', 'body.6')}"] = (
                value
            )
    return own


def same_output(network, folder, name, changes):
    network.load_state_dict(renamed(torch.load(folder / f"{name}.pth", weights_only=True), changes))
    arrays = np.load(folder / f"{name}.npz")
    for training in (False, True):
        with torch.no_grad():
            made = network.train(training)(torch.from_numpy(arrays["input"]))
        np.testing.assert_allclose(made, arrays["output"], atol=1e-5, rtol=1e-5)


def test_the_discriminator_equals_the_authors():
    network = Builder(Plugins(), (64, 64)).discriminator(
        "patch", in_channels=3, filters=8, norm="instance", **ANTIALIASED
    )
    same_output(network, FIXTURES, "cut_patch3_antialias", {"14": "15"})


@pytest.mark.realdata
def test_the_generator_equals_the_authors(i2i_data):
    network = Builder(Plugins(), (64, 64)).generator(
        "resnet", in_channels=3, out_channels=3, filters=4, blocks=9, upsample="bilinear", **ANTIALIASED
    )
    same_output(network, i2i_data / "weights", "cut_resnet9_antialias", {"22": "21.1", "26": "24.1", "30": "28"})


def test_features_by_number():
    torch.manual_seed(0)
    build = Builder(Plugins(), (32, 32))
    network = build.generator("resnet", in_channels=3, out_channels=3, filters=4, blocks=2, **ANTIALIASED)
    x = torch.randn(2, 3, 32, 32)
    image, maps = network.with_features(x, [0, 4, 8, 12])
    assert torch.equal(image, network(x))
    assert [tuple(m.shape[1:]) for m in maps] == [(3, 38, 38), (8, 32, 32), (16, 16, 16), (16, 8, 8)]
    assert torch.equal(maps[0], torch.nn.functional.pad(x, (3, 3, 3, 3), "reflect"))
    for number, found in zip((0, 4, 8, 12), maps, strict=True):
        assert torch.equal(found, torch.nn.Sequential(*list(network)[: number + 1])(x))
    assert all(map(torch.equal, network.features(x), network.with_features(x)[1]))
    for wrong in ([], [4, 0], [0, 0], [-1], [0, 14]):
        with pytest.raises(ValueError, match="layers are 0 to 13"):
            network.features(x, wrong)
