"""Inception-v3, its resizing and FID against torch-fidelity and clean-fid, fed with the same random weights."""

import hashlib
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch
from cleanfid import inception_pytorch
from cleanfid.fid import kernel_distance
from cleanfid.resize import build_resizer
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchvision.models import Inception3

from helpers.metric_files import inception_file
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_metrics.networks.inception import tensorflow_resize
from i2i_metrics.sets import distances


def levels(*shape, seed=0):
    """Smooth random images, uint8."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand((shape[0], 3, 6, 6), generator=draw)
    fine = torch.rand((shape[0], 3, *shape[1:]), generator=draw)
    whole = nn.functional.interpolate(coarse, shape[1:], mode="bilinear") + 0.1 * fine
    return (whole.clamp(0, 1) * 255).round().to(torch.uint8)


def apart(found, expected):
    """The largest difference, as a share of the largest expected value."""
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return inception_file(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def ours(weights):
    return Builder(Plugins(), (0, 0)).features("inception-v3", weights=str(weights))


@pytest.fixture(scope="module")
def torch_fidelitys(weights):
    return FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights))


@pytest.fixture(scope="module")
def clean_fids(weights):
    """From images of 299 pixels, 0 to 255, to features; normalised as in clean-fid's other file, which has its code."""
    make = lambda **options: Inception3(
        num_classes=options["num_classes"], aux_logits=options["aux_logits"], init_weights=False
    )
    state = lambda *_, **__: torch.load(weights)
    with patch.multiple(inception_pytorch, _inception_v3=make, load_state_dict_from_url=state):
        network = inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False, normalize_input=False).eval()
    return lambda images: network((images - 128) / 128)[0].flatten(1)


def assert_torch_fidelity_agrees(ours, theirs, images):
    expected, logits = theirs(images)
    with torch.no_grad():
        found = ours.embed(images.float() / 127.5 - 1)
    assert apart(found["features"], expected) < 1e-3
    assert apart(found["logits"], logits) < 1e-3
    assert apart(expected[0], expected[1]) > 1e-2  # the images are not alike to the network


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (256, 256), (299, 299), (512, 512), (330, 120)])
def test_inception_is_torch_fidelitys_at_any_size(ours, torch_fidelitys, size):
    assert_torch_fidelity_agrees(ours, torch_fidelitys, levels(2, *size))


@pytest.mark.realdata
@pytest.mark.parametrize("size", [128, 299, 512])
def test_inception_is_torch_fidelitys_on_photos(ours, torch_fidelitys, size, i2i_data):
    files = sorted((i2i_data / "photos").glob("*.jpg"))[:2]
    images = [cv2.resize(cv2.imread(file), (size, size), interpolation=cv2.INTER_AREA)[..., ::-1] for file in files]
    assert_torch_fidelity_agrees(ours, torch_fidelitys, torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))


@pytest.mark.parametrize("size", [64, 299, 512])
def test_inception_is_clean_fids_with_the_resizing_of_tensorflow_1(ours, clean_fids, size):
    images = levels(2, size, size)
    with torch.no_grad():
        found = ours.embed(images.float() / 127.5 - 1)["features"]
        expected = clean_fids(
            interpolate_bilinear_2d_like_tensorflow1x(images.float(), (299, 299), align_corners=False)
        )
    assert apart(found, expected) < 1e-3


@pytest.mark.parametrize("mode", ["clean", "legacy_pytorch"])
def test_clean_fids_other_modes_resize_otherwise(ours, clean_fids, mode):
    resize = build_resizer(mode)
    differences = []
    for size in (299, 128):
        images = levels(2, size, size)
        resized = np.stack([resize(image.permute(1, 2, 0).numpy()) for image in images])
        with torch.no_grad():
            found = ours.embed(images.float() / 127.5 - 1)["features"]
            differences.append(apart(found, clean_fids(torch.from_numpy(resized).permute(0, 3, 1, 2))))
    assert differences[0] < 1e-3
    assert differences[1] > 2e-3


def test_fid_is_torch_fidelitys_fed_with_the_same_weights(weights, torch_fidelitys):
    real, fake = levels(6, 80, 80), (levels(6, 80, 80, seed=1).float() * 0.7).to(torch.uint8)
    statistics = [fid_features_to_statistics(torch_fidelitys(images)[0]) for images in (real, fake)]
    expected = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    made = Builder(Plugins(), (0, 0)).metric("fid", features={"name": "inception-v3", "weights": str(weights)})
    made.update_real(real.float() / 127.5 - 1)
    made.update_fake(fake.float() / 127.5 - 1)
    assert float(made.compute()) == pytest.approx(expected, rel=1e-3)
    assert made.protocol["digest"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_the_kernel_distance_is_clean_fids_on_the_same_features():
    draw = np.random.default_rng(0)
    x, y = draw.normal(0, 1, (70, 12)) @ draw.normal(0, 1, (12, 12)), draw.normal(0.5, 2, (70, 12))
    found = distances.kernel_distance(torch.from_numpy(x), torch.from_numpy(y), subsets=1, subset_size=1000).value
    assert found == pytest.approx(kernel_distance(y, x, num_subsets=1, max_subset_size=1000), rel=1e-6)


def test_resizing_as_tensorflow_1_takes_pixels_from_the_upper_left():
    image = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4)
    assert torch.equal(tensorflow_resize(image, 8)[0, 0, 0], torch.tensor([0, 0.5, 1, 1.5, 2, 2.5, 3, 3]))
    assert torch.equal(tensorflow_resize(image, 2)[0, 0, 0], torch.tensor([0.0, 2]))
