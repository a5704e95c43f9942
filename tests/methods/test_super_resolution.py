"""The networks of super-resolution, against their papers' layer lists and independent maths."""

import errno
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torchvision.models import VGG19_Weights, vgg19

import i2i
from i2i.components.inference import for_inference
from i2i.export.graph import Deployed
from i2i.export.onnx_file import write_onnx
from i2i_srgan import features
from i2i_srgan.networks import discriminator, rrdb, srresnet

SMALL = {
    "srresnet": {"filters": 4, "blocks": 1, "kernel": 3},
    "rrdb": {"filters": 4, "blocks": 1, "growth": 2},
}
NETWORKS = {
    "srresnet": (srresnet.build, srresnet.SRResNetConfig),
    "rrdb": (rrdb.build, rrdb.RRDBConfig),
}


def generator(name: str, channels: tuple[int, int] = (3, 3), **options: object) -> nn.Module:
    make, config = NETWORKS[name]
    return make(config(**options), in_channels=channels[0], out_channels=channels[1], size=(32, 32))


def judge(size: tuple[int, int] = (96, 96), channels: int = 3, **options: object) -> nn.Module:
    return discriminator.build(discriminator.VGGDiscriminatorConfig(**options), in_channels=channels, size=size)


def layers(network: nn.Module, *size: int) -> list[str]:
    """What runs, in order: convolutions as `in-out kKERNELsSTRIDE`, other layers by name."""
    seen: list[str] = []

    def note(module: nn.Module, *_: object) -> None:
        if isinstance(module, nn.Conv2d):
            seen.append(f"{module.in_channels}-{module.out_channels} k{module.kernel_size[0]}s{module.stride[0]}")
        elif isinstance(module, nn.Linear):
            seen.append(f"dense {module.in_features}-{module.out_features}")
        else:
            seen.append(type(module).__name__)

    for module in network.modules():
        if not list(module.children()) and not isinstance(module, nn.Flatten | nn.Identity):
            module.register_forward_hook(note)
    with torch.no_grad():
        network.eval()(torch.zeros(1, *size))
    return seen


def weights(listed: list[str]) -> int:
    """Parameters of a layer list: k^2 in out + out for a convolution with bias, two a channel for batch norm."""
    total, width = 0, 0
    for layer in listed:
        if layer[0].isdigit():
            channels, kernel = layer.split(" k")
            before, width = map(int, channels.split("-"))
            total += int(kernel.split("s")[0]) ** 2 * before * width + width
        else:
            total += {"BatchNorm2d": 2 * width, "PReLU": 1}.get(layer, 0)
    return total


def test_srresnet_is_figure_4_of_srgan():
    block = ["64-64 k3s1", "BatchNorm2d", "PReLU", "64-64 k3s1", "BatchNorm2d"]
    doubling = ["64-256 k3s1", "PixelShuffle", "PReLU"]
    paper = ["3-64 k9s1", "PReLU", *block * 16, "64-64 k3s1", "BatchNorm2d", *doubling * 2, "64-3 k9s1"]
    network = generator("srresnet")
    assert layers(network, 3, 4, 4) == paper
    assert sum(p.numel() for p in network.parameters()) == weights(paper) == 1_549_462


def test_rrdb_is_figure_4_of_esrgan():
    grow = [f"{64 + 32 * index}-32 k3s1" for index in range(4)]
    dense = [layer for convolution in grow for layer in (convolution, "LeakyReLU")] + ["192-64 k3s1"]
    doubling = ["Upsample", "64-64 k3s1", "LeakyReLU"]
    paper = ["3-64 k3s1", *dense * 3 * 23, "64-64 k3s1", *doubling * 2, "64-64 k3s1", "LeakyReLU", "64-3 k3s1"]
    network = generator("rrdb")
    assert layers(network, 3, 2, 2) == paper
    assert sum(p.numel() for p in network.parameters()) == weights(paper) == 16_697_987


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize(("channels", "interpolate"), [((3, 1), False), ((4, 3), False), ((1, 3), True)])
def test_any_image_grows_by_the_scale(name, scale, channels, interpolate):
    network = generator(name, channels, scale=scale, interpolate=interpolate, **SMALL[name]).eval()
    assert network.scale == scale
    for size in ((1, 1), (5, 7)):
        assert network(torch.rand(2, channels[0], *size)).shape == (2, channels[1], size[0] * scale, size[1] * scale)


@pytest.mark.parametrize(
    ("scale", "shuffled", "resized"), [(2, [2], [2]), (3, [3], [3]), (4, [2, 2], [2, 2]), (8, [2] * 3, [2] * 3)]
)
def test_scales_are_made_of_doublings_and_one_tripling(scale, shuffled, resized):
    shuffle = generator("srresnet", scale=scale, **SMALL["srresnet"])
    resize = generator("srresnet", scale=scale, upsample="resize", **SMALL["srresnet"])
    assert [m.upscale_factor for m in shuffle.modules() if isinstance(m, nn.PixelShuffle)] == shuffled
    assert not [m for m in resize.modules() if isinstance(m, nn.PixelShuffle)]
    for network in (resize, generator("rrdb", scale=scale, **SMALL["rrdb"])):
        assert [m.scale_factor for m in network.modules() if isinstance(m, nn.Upsample)] == resized


@pytest.mark.parametrize("name", NETWORKS)
def test_interpolating_network_starts_at_bicubic_and_learns_at_once(name):
    image = np.random.default_rng(0).random((9, 6, 3), dtype=np.float32) * 2 - 1
    network = generator(name, scale=3, interpolate=True, **SMALL[name])
    output = network(torch.from_numpy(image.transpose(2, 0, 1))[None])
    wanted = cv2.resize(image, (18, 27), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(output[0].detach().permute(1, 2, 0).numpy(), wanted, atol=1e-4)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = [p.clone() for p in network.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        network(torch.ones(1, 3, 4, 4)).square().mean().backward()
        optimizer.step()
    assert any(not torch.equal(a, b) for a, b in zip(before[:2], network.parameters(), strict=False))  # the first layer
    with pytest.raises(ValueError, match="input of 3 channels to the output of 1: set interpolate=false"):
        generator(name, (3, 1), interpolate=True, **SMALL[name])


def test_rrdb_scales_every_residual_by_beta():
    network = generator("rrdb", scale=1, **SMALL["rrdb"])
    block = network.blocks[0]
    for name, parameter in block.named_parameters():
        nn.init.constant_(parameter, 1.0 if name.endswith("fuse.bias") else 0.0)
    image = torch.randn(1, 4, 3, 3)
    # every dense block adds beta times 1; what comes out of the three, their own skips included, is scaled once more
    torch.testing.assert_close(block(image), image + 0.2 * (image + 3 * 0.2))


def test_rrdb_blocks_start_small():
    network = generator("rrdb", blocks=1)
    for layer in network.blocks[0].modules():
        if isinstance(layer, nn.Conv2d):
            he = (2 / (9 * layer.in_channels)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(0.1 * he, rel=0.05)
            assert layer.bias.abs().max() == 0


def test_srresnet_without_norm_scales_its_residuals():
    network = generator("srresnet", scale=1, norm="none", residual_scale=0.1, **SMALL["srresnet"])
    assert not [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    block = network.blocks[0]
    image = torch.randn(1, 4, 3, 3)
    torch.testing.assert_close(block(image) - image, 0.1 * block.body(image))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("srresnet", {"scale": 3}),
        ("srresnet", {"scale": 2, "upsample": "resize", "norm": "none", "interpolate": True}),
        ("rrdb", {"scale": 4, "interpolate": True}),
        ("rrdb", {"scale": 8}),
    ],
)
def test_exported_network_is_the_same_at_any_size(name, options, tmp_path):
    torch.manual_seed(0)
    network = generator(name, **SMALL[name] | options)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    network = for_inference(network, image_statistics=False)
    path = tmp_path / "model.onnx"
    translator = i2i.Translator(module=network, example={"image": torch.rand(1, 3, 16, 16) * 2 - 1})
    assert write_onnx(path, translator, "uint8", {}).difference <= 1
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    deployed = Deployed(translator, "uint8")
    for shape in ((1, 1, 1), (2, 7, 12), (1, 33, 20)):
        images = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        [got] = session.run(None, {"image": images})
        wanted = deployed(torch.from_numpy(images)).numpy()
        assert got.shape == (shape[0], shape[1] * network.scale, shape[2] * network.scale, 3)
        assert np.ptp(wanted) > 5
        assert np.abs(got.astype(int) - wanted).max() <= 1


def test_discriminator_is_figure_4_of_srgan():
    stages = [
        ("64-64", 2),
        ("64-128", 1),
        ("128-128", 2),
        ("128-256", 1),
        ("256-256", 2),
        ("256-512", 1),
        ("512-512", 2),
    ]
    paper = ["3-64 k3s1", "LeakyReLU"]
    for channels, stride in stages:
        paper += [f"{channels} k3s{stride}", "BatchNorm2d", "LeakyReLU"]
    paper += [f"dense {512 * 6 * 6}-1024", "LeakyReLU", "dense 1024-1"]
    network = judge()
    assert layers(network, 3, 96, 96) == paper
    assert {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}


@pytest.mark.parametrize("size", [(32, 32), (33, 50)])
def test_discriminator_gives_unbounded_logits_and_the_features_of_its_stages(size):
    network = judge(size, 4, filters=4, dense=8, features=True)
    logits, *maps = network(torch.randn(3, 4, *size) * 1000)
    assert logits.shape == (3, 1)
    halved = lambda times: tuple(-(-side // 2**times) for side in size)
    assert [tuple(m.shape[1:]) for m in maps] == [(4 * 2 ** (i // 2), *halved((i + 1) // 2)) for i in range(8)]
    assert torch.equal(network.eval()(torch.ones(1, 4, *size))[0], network.head(network(torch.ones(1, 4, *size))[-1]))
    plain = judge(size, 4, filters=4, dense=8, norm="none")
    for parameter in plain.parameters():
        nn.init.constant_(parameter, 0.1)
    assert plain(torch.ones(2, 4, *size)).shape == (2, 1)
    assert plain(torch.ones(1, 4, *size)).item() > 1  # no sigmoid


@pytest.mark.parametrize(("norm", "mixes"), [("batch", True), ("instance", False), ("none", False)])
def test_only_batch_norm_lets_a_logit_depend_on_the_other_images(norm, mixes):
    torch.manual_seed(0)
    network = judge((32, 32), filters=4, dense=8, norm=norm)
    images = torch.randn(3, 3, 32, 32)
    others = torch.cat([images[:1], images[1:] * 3 + 1])
    assert torch.allclose(network(images)[0], network(others)[0], atol=1e-5) != mixes


def test_discriminator_refuses_small_images():
    with pytest.raises(
        ValueError, match=r"at least 32x32 pixels, got 24x40: set a larger data.size or the option norm"
    ):
        judge((24, 40))
    with pytest.raises(ValueError, match=r"at least 16x16 pixels, got 15x40: set a larger data.size$"):
        judge((15, 40), norm="none")
    judge((16, 16), norm="none", filters=2, dense=2)(torch.zeros(1, 3, 16, 16))


POSITIONS = {
    "conv1_1": 0,
    "relu1_1": 1,
    "pool1": 4,
    "conv2_2": 7,
    "conv3_4": 16,
    "relu4_4": 26,
    "conv5_4": 34,
    "relu5_4": 35,
}
"""Where torchvision's list of layers has them."""
PREPROCESSING = VGG19_Weights.IMAGENET1K_V1.transforms()


def test_features_are_the_layers_of_torchvisions_vgg19():
    torch.manual_seed(0)
    wanted = tuple(reversed(POSITIONS))
    network = features.build(features.VGG19Config(layers=wanted, weights="random", rescale=1 / 12.75))
    with torch.device("meta"):
        reference = vgg19(weights=None).features.to_empty(device="cpu")
    reference.load_state_dict(network.layers.state_dict(), strict=False)
    image = torch.rand(2, 3, 37, 48)
    normalised = (image - torch.tensor(PREPROCESSING.mean).view(3, 1, 1)) / torch.tensor(PREPROCESSING.std).view(
        3, 1, 1
    )
    for name, found in zip(wanted, network(image * 2 - 1), strict=True):
        expected = reference[: POSITIONS[name] + 1](normalised.clone()) / 12.75
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
        assert (found.min() < 0) == name.startswith("conv")  # before the activation, not overwritten by it
    assert not any(p.requires_grad for p in network.parameters())
    assert len(network.layers) == 36  # nothing beyond the last wanted layer


def test_grey_images_are_seen_as_colour_ones_and_gradients_reach_them():
    network = features.build(features.VGG19Config(layers=("conv2_1",), weights="random"))
    grey = (torch.rand(1, 1, 16, 16) * 2 - 1).requires_grad_()
    [seen], [colour] = network(grey), network(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(seen, colour)
    seen.square().mean().backward()
    assert grey.grad.abs().max() > 0
    with pytest.raises(ValueError, match=r"1 or 3 channels, got 4: set features=null"):
        network(torch.zeros(1, 4, 16, 16))
    with pytest.raises(ValidationError, match="unknown layer 'conv3_5'"):
        features.VGG19Config(layers=("conv3_5",))


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """An empty folder for torchvision's weights, and no network."""

    def refuse(*_: object, **__: object) -> None:
        raise URLError(OSError(errno.EHOSTUNREACH, "No route to host"))

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path / "hub" / "checkpoints"


def test_missing_weights_are_explained_in_one_line(hub, capsys):
    with pytest.raises(i2i.ModelError) as caught:
        features.build(features.VGG19Config())
    text = str(caught.value)
    assert "\n" not in text
    for part in ("missing", "download", "No route to host", "vgg19-dcbb9e9d.pth", str(hub), "features=null", "random"):
        assert part in text
    assert capsys.readouterr().out == ""  # stdout is for --json


def test_weights_put_into_the_folder_are_used_and_damaged_ones_explained(hub):
    hub.mkdir(parents=True, exist_ok=True)
    file = hub / "vgg19-dcbb9e9d.pth"
    state = {"features.0.weight": torch.randn(64, 3, 3, 3), "features.0.bias": torch.randn(64)}
    torch.save(state, file)
    config = features.VGG19Config(layers=("conv1_1",))
    torch.testing.assert_close(features.build(config).layers[0].weight, state["features.0.weight"])
    for content in (file.read_bytes()[:1000], b"", b"<html>"):
        file.write_bytes(content)
        with pytest.raises(i2i.ModelError, match=r"vgg19-dcbb9e9d.pth: .* damaged: delete the file"):
            features.build(config)
