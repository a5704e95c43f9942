"""Metrics of pairs on drawn and on real images, against scikit-image and formulas in numpy."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.image import StructuralSimilarityIndexMeasure

import i2i
from helpers.metric_files import backbone_file, classifier_file, segmenter_file
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_samples.facades import draw_facade


def metric(name, scale=1, **options):
    return Builder(Plugins(), (0, 0)).metric(name, scale=scale, **options)


def pictures(count=3, size=192):
    """Drawn pictures, (count, size, size, 3) uint8."""
    return np.stack([draw_facade(number, size=size)[1] for number in range(count)])


def noisy(images, strength=20, seed=0):
    noise = np.random.default_rng(seed).normal(0, strength, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def tensor(images):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1))).float() / 127.5 - 1


def value(name, output, target, **options):
    """The figure of a metric, images one at a time."""
    made = metric(name, **options)
    for one, other in zip(output, target, strict=True):
        made.update(tensor(one[None]), tensor(other[None]))
    return float(made.compute())


def gaussian_ssim(x, y, **more):
    own = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return structural_similarity(x.astype(float), y.astype(float), **own, **more)


def interior_ssim(x, y):
    """SSIM where the window stays within the image."""
    _, whole = gaussian_ssim(x, y, channel_axis=-1, full=True)
    return whole[5:-5, 5:-5].mean()


def luma(image):
    return 16 + image.astype(float) @ np.array([65.481, 128.553, 24.966]) / 255


def numpy_ms_ssim(x, y):
    """Wang et al. 2003, equation 7, from its text; x and y (H, W) in 0 to 255."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets**2) / 4.5)
    weights /= weights.sum()
    blur = lambda z: ndimage.correlate1d(ndimage.correlate1d(z, weights, 0), weights, 1)[5:-5, 5:-5]
    total, exponents = 1.0, (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, exponent in enumerate(exponents):
        mx, my = blur(x), blur(y)
        cov, vx, vy = blur(x * y) - mx * my, blur(x * x) - mx**2, blur(y * y) - my**2
        structure = (2 * cov + (0.03 * 255) ** 2) / (vx + vy + (0.03 * 255) ** 2)
        bright = (2 * mx * my + (0.01 * 255) ** 2) / (mx**2 + my**2 + (0.01 * 255) ** 2)
        total *= (structure * (bright if scale == 4 else 1)).mean() ** exponent
        x, y = (np.pad(z, [(0, side % 2) for side in z.shape], "edge") for z in (x, y))
        x, y = (z.reshape(len(z) // 2, 2, -1, 2).mean((1, 3)) for z in (x, y))
    return total


REFERENCES = {
    "l1": lambda x, y: np.abs(x.astype(float) - y).mean() / 127.5,
    "psnr": lambda x, y: peak_signal_noise_ratio(y, x, data_range=255),
    "ssim": interior_ssim,
    "ms-ssim": lambda x, y: np.mean(
        [numpy_ms_ssim(x[..., c].astype(float), y[..., c].astype(float)) for c in range(3)]
    ),
    "l1-y": lambda x, y: np.abs(luma(x) - luma(y)).mean(),
    "psnr-y": lambda x, y: peak_signal_noise_ratio(luma(y), luma(x), data_range=255),
    "ssim-y": lambda x, y: interior_ssim(luma(x)[..., None], luma(y)[..., None]),
    "ms-ssim-y": lambda x, y: numpy_ms_ssim(luma(x), luma(y)),
}


def compared(name, outputs, targets, border):
    inner = slice(border, -border or None)
    each = [(x[inner, inner], y[inner, inner]) for x, y in zip(outputs, targets, strict=True)]
    options = {"edges": "valid"} if name == "ssim" else {}
    found = value(name, outputs, targets, border=border, **options)
    if name == "psnr":  # over all pixels together
        each = [tuple(np.concatenate([one.reshape(-1, 3) for one in side]) for side in zip(*each, strict=True))]
        return found, REFERENCES[name](*each[0])
    weights = [x.size for x, _ in each] if name == "l1" else None
    return found, np.average([REFERENCES[name](x, y) for x, y in each], weights=weights)


@pytest.mark.parametrize("border", [0, 3])
@pytest.mark.parametrize("name", REFERENCES)
def test_drawn_pictures_against_an_independent_implementation(name, border):
    found, expected = compared(name, noisy(pictures()), pictures(), border)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.realdata
@pytest.mark.parametrize("name", REFERENCES)
def test_real_photos_of_several_sizes_against_an_independent_implementation(name, i2i_data):
    files = sorted((i2i_data / "sr/Set5/HR").glob("*.png"))
    targets = [np.asarray(Image.open(file).convert("RGB"))[:250, :230] for file in files]
    outputs = [np.asarray(Image.fromarray(image).reduce(3).resize(image.shape[1::-1])) for image in targets]
    found, expected = compared(name, outputs, targets, 2)
    assert found == pytest.approx(expected, abs=1e-4)


def test_ssim_mirrors_edges_as_torchmetrics_does_unless_told_otherwise():
    output, target = tensor(noisy(pictures(size=40))), tensor(pictures(size=40))
    reference = StructuralSimilarityIndexMeasure(data_range=1.0)
    reference.update(output / 2 + 0.5, target / 2 + 0.5)
    made = metric("ssim")
    made.update(output, target)
    assert float(made.compute()) == pytest.approx(float(reference.compute()), abs=1e-5)
    assert made.protocol["edges"] == "reflect"
    assert metric("ssim", edges="valid").protocol["edges"] == "valid"


def test_equal_images_have_the_best_figure():
    images = pictures()
    for name in ("ssim", "ms-ssim", "ssim-y", "ms-ssim-y"):
        assert value(name, images, images) == pytest.approx(1, abs=1e-12)
    assert value("l1-y", images, images) == 0
    assert value("lpips", images, images, features="random", linear="none") == 0


def blurred(images, level):
    return np.stack([ndimage.gaussian_filter(image, (0.4 + level, 0.4 + level, 0)) for image in images])


@pytest.mark.parametrize(
    "change", [blurred, lambda images, level: noisy(images, 5 + 10 * level)], ids=["blur", "noise"]
)
@pytest.mark.parametrize("name", ["ms-ssim", "ms-ssim-y", "ssim", "l1-y", "lpips"])
def test_figures_worsen_with_five_strengths(name, change):
    options = {"features": "random", "linear": "none"} if name == "lpips" else {}
    images = pictures()
    figures = [value(name, change(images, level), images, **options) for level in range(5)]
    assert figures == sorted(figures, reverse=metric(name, **options).higher_is_better)
    assert len(set(figures)) == 5


TOO_SMALL = [
    ("ms-ssim", {}, 160, "MS-SSIM needs images of at least 161x161 pixels, got 160x160"),
    ("ms-ssim-y", {"border": 2}, 164, "MS-SSIM on luma with a border of 2 pixels needs images of at least 165x165"),
    ("ssim", {"edges": "valid"}, 10, "SSIM needs images of at least 11x11 pixels"),
    ("ssim", {}, 5, "SSIM needs images of at least 6x6 pixels"),
    ("psnr", {"border": 4}, 8, "a border of 4 pixels needs images of at least 9x9 pixels"),
    ("lpips", {"features": "random", "linear": "none"}, 31, "LPIPS needs images of at least 32x32 pixels, got 31x31"),
]


@pytest.mark.parametrize(("name", "options", "side", "line"), TOO_SMALL)
def test_images_that_are_too_small_are_one_line(name, options, side, line):
    image = torch.zeros(1, 3, side, side)
    with pytest.raises(i2i.DataError, match=line) as caught:
        metric(name, **options).update(image, image)
    assert "\n" not in str(caught.value)
    image = torch.zeros(1, 3, side + 1, side + 1)
    metric(name, **options).update(image, image)


@pytest.mark.parametrize("name", ["l1", "psnr", "ssim", "ms-ssim", "psnr-y", "lpips"])
def test_images_of_two_shapes_are_refused(name):
    options = {"features": "random", "linear": "none"} if name == "lpips" else {}
    with pytest.raises(ValueError, match="outputs are"):
        metric(name, **options).update(torch.zeros(1, 3, 200, 200), torch.zeros(1, 3, 200, 201))


# LPIPS


def numpy_lpips(maps, linear):
    """Equation 1 of the paper, for the maps of two images."""
    total = 0.0
    for index, (x, y) in enumerate(zip(*maps, strict=True)):
        x, y = (one / np.sqrt((one**2).sum(0, keepdims=True)) for one in (x, y))
        total += (linear[index][:, None, None] * (x - y) ** 2).sum(0).mean()
    return total


def test_lpips_is_equation_1_with_the_published_weights_that_torchmetrics_has(tmp_path):
    network = {"name": "alexnet", "weights": str(backbone_file(tmp_path, "alexnet"))}
    with pytest.raises(i2i.ConfigError, match="LPIPS has no published linear weights for alexnet-"):
        metric("lpips", features=network)  # for another AlexNet than torchvision's they mean nothing
    linear = [np.random.default_rng(n).random(c) for n, c in enumerate((64, 192, 384, 256, 256))]
    state = {f"lin{n}.model.1.weight": torch.tensor(w).float().view(1, -1, 1, 1) for n, w in enumerate(linear)}
    torch.save(state, tmp_path / "linear.pth")
    made = metric("lpips", features=network, linear=str(tmp_path / "linear.pth"))
    output, target = noisy(pictures(2, 64)), pictures(2, 64)
    made.update(tensor(output), tensor(target))
    features = Builder(Plugins(), (0, 0)).features("alexnet", weights=network["weights"])
    expected = []
    for pair in zip(tensor(output), tensor(target), strict=True):
        maps = [[one[0].double().numpy() for one in features(image[None])] for image in pair]
        expected.append(numpy_lpips(maps, linear))
    assert float(made.compute()) == pytest.approx(np.mean(expected), rel=1e-4)
    assert made.figure_name == made.protocol["network"].join(("lpips-", ""))
    assert made.protocol["images"] == 2
    json.dumps(made.protocol)


def test_linear_weights_of_another_network_are_one_line(tmp_path):
    torch.save({"lin0.weight": torch.ones(1, 5)}, tmp_path / "other.pth")
    with pytest.raises(i2i.ModelError, match=r"for maps of \[5\] channels, and random has \[16, 32, 64, 64\]"):
        value("lpips", pictures(1), pictures(1), features="random", linear=str(tmp_path / "other.pth"))
    torch.save({"weights": torch.ones(1, 5)}, tmp_path / "none.pth")
    with pytest.raises(i2i.ModelError, match=r"none.pth: has no weights lin0"):
        metric("lpips", features="random", linear=str(tmp_path / "none.pth"))
    with pytest.raises(
        i2i.ModelError, match=r"gone.pth: cannot be read, for the linear weights of LPIPS: No such file"
    ):
        metric("lpips", features="random", linear=str(tmp_path / "gone.pth"))


# By given networks


@pytest.fixture
def maps():
    """Label maps of three classes and some pixels that do not count, of outputs and of targets: (4, 20, 30)."""
    draw = np.random.default_rng(0)
    target = draw.integers(0, 3, (4, 20, 30))
    output = np.where(draw.random(target.shape) < 0.3, draw.integers(0, 3, target.shape), target)
    return output, np.where(draw.random(target.shape) < 0.1, 255, target)


def test_figures_of_label_maps_are_those_of_counting(maps, tmp_path):
    output, target = maps
    file = segmenter_file(tmp_path / "segmenter.onnx")
    made = {name: metric(name, path=str(file)) for name in ("miou", "pixel-accuracy")}
    for one in made.values():
        for pair in zip(output, target, strict=True):
            one.update(*(torch.from_numpy(array)[None] for array in pair))
    counts = target != 255
    ious = [((output == c) & (target == c)).sum() / (((output == c) | (target == c)) & counts).sum() for c in range(3)]
    assert float(made["miou"].compute()) == pytest.approx(np.mean(ious), abs=1e-12)
    assert float(made["pixel-accuracy"].compute()) == pytest.approx((output == target)[counts].mean(), abs=1e-12)
    assert made["miou"].protocol["classes"] == 3


def test_a_segmenter_sees_outputs_and_images_as_targets(tmp_path):
    made = metric("pixel-accuracy", path=str(segmenter_file(tmp_path / "segmenter.onnx")))
    image = torch.full((1, 3, 8, 8), -1.0)
    image[:, 0, :, :6] = 1  # red: class 1
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[..., :4] = 1
    made.update(image, labels)
    assert float(made.compute()) == 0.75
    made.reset()
    made.update(image, image)
    assert float(made.compute()) == 1


def test_a_classifier_is_asked_for_the_class_that_was_wanted(tmp_path):
    file = classifier_file(tmp_path / "classifier.onnx", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
    made, renamed = metric("class-accuracy", path=str(file)), metric("class-accuracy", path=str(file), classes=(2, 0))
    images = torch.full((3, 3, 8, 8), -1.0)
    for number in range(3):
        images[number, number] = 1
    made.update_fake(images, torch.tensor([0, 1, 1]))
    assert float(made.compute()) == pytest.approx(2 / 3)
    renamed.update_fake(images, torch.tensor([1, 1, 0]))
    assert float(renamed.compute()) == pytest.approx(2 / 3)
    with pytest.raises(i2i.ConfigError, match="classes has 2 numbers, and label 2 none"):
        renamed.update_fake(images, torch.tensor([0, 1, 2]))
    with pytest.raises(i2i.ModelError, match=r"classifier.onnx: gives \(3, 3\), not logits .* with class 7"):
        made.update_fake(images, torch.tensor([0, 1, 7]))


def test_a_network_in_a_file_that_is_not_what_it_says_is_one_line(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    grey = classifier_file(tmp_path / "grey.onnx", [[1]], shape=("N", 1, "H", "W"))
    for options, line in [
        ({"path": "gone.onnx"}, r"gone.onnx: cannot be read, for the segmenter of miou: No such file"),
        ({"path": str(tmp_path / "text.onnx")}, r"text.onnx: not an ONNX file that onnxruntime opens"),
        ({"path": str(grey)}, r"grey.onnx: must take images \(N, 3, H, W\) of float32"),
        ({"path": str(grey), "sha256": "abcd"}, r"grey.onnx: its SHA-256 begins with .* should be abcd"),
        ({"path": str(grey), "output": "logits"}, r"grey.onnx: has no output logits; there are: out"),
    ]:
        with pytest.raises(i2i.ModelError, match=line) as caught:
            metric("miou", **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(i2i.ModelError, match=r"images need a segmenter: say which by the option path=FILE.onnx"):
        value("miou", pictures(1), pictures(1))
    classifier = classifier_file(tmp_path / "classifier.onnx")
    with pytest.raises(
        i2i.ModelError, match=r"classifier.onnx: gives \(1, 2\) of float32, not logits \(N, classes, H, W\)"
    ):
        value("miou", pictures(1), pictures(1), path=str(classifier))
