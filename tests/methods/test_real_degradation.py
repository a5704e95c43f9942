"""Each option of the degradation `real` against an independent computation of what Real-ESRGAN's code does with its.

The rows of the table in docs/super_resolution.md, in their order. Images of one channel and JPEG of quality 100 lose
nothing, so that one step at a time can be looked at.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy import fft, ndimage, special

from helpers.paths import ROOT
from i2i_samples.facades import draw_facade
from i2i_srgan.degradations.jpeg import jpeg_losses
from i2i_srgan.degradations.noise import gaussian_noise, poisson_noise
from i2i_srgan.degradations.options import RealConfig
from i2i_srgan.degradations.transforms import Real
from i2i_srgan.sharpening import sharpened

NOTHING = {"blur": 0, "resize": (0, 0, 1), "gaussian": 1, "gaussian_sigma": (0, 0), "jpeg": (100, 100)}
"""A round of degradation that leaves grey images alone."""
POINT = np.zeros((41, 41, 1), np.float32)
POINT[20, 20] = 1
MODES = ("area", "bilinear", "bicubic")


def degraded(target, first=(), second=(), scale=1, **options):
    config = RealConfig(**{"final_sinc": 0} | options, first=NOTHING | dict(first), second=NOTHING | dict(second))
    return Real(config, scale=scale)({"target": target})["source"]


def pictured(height=48, width=40, channels=1):
    """A drawing as float32 in [0.1, 0.9], so that nothing is clipped."""
    image = draw_facade(0, size=64)[1][:height, :width, :channels]
    return 0.1 + 0.8 * image.astype(np.float32) / 255


@pytest.fixture
def lowest(monkeypatch):
    """Draws between limits give the lower one."""
    monkeypatch.setattr(np.random, "uniform", lambda low, high: low)


def share(effect, count=200):
    """How often something happens."""
    np.random.seed(0)
    return sum(bool(effect()) for _ in range(count)) / count


def kernel_of(**first):
    """The blur kernel: what becomes of a single point."""
    return degraded(POINT, {"blur": 1, "kernel_size": (21, 21), "sinc": 0} | first)[10:31, 10:31, 0]


def falling(sigma, angle, shape):
    """A kernel by its definition, value by value."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.diag(np.square(sigma)) @ turn.T)
    values = [[shape(np.array([x, y]) @ inverse @ np.array([x, y])) for x in range(-10, 11)] for y in range(-10, 11)]
    return np.array(values) / np.sum(values)


def test_rounds_of_nothing_change_nothing():
    image = pictured()
    np.testing.assert_allclose(degraded(image), image, atol=1e-6)


def test_kernel_size_is_drawn_from_the_odd_numbers():
    config, widths = {"blur": 1, "sigma": (9, 9), "sinc": 0, "kernels": (1, 0, 0), "anisotropic": (0, 0, 0)}, set()
    for seed in range(60):
        np.random.seed(seed)
        widths.add(int((degraded(POINT, config)[20, :, 0] > 0).sum()))
    assert widths == {7, 9, 11, 13, 15, 17, 19, 21}


def test_kernel_list_and_kernel_prob_are_kernels_and_anisotropic():
    tables = {"kernels": (0.7, 0.15, 0.15), "anisotropic": (0.25 / 0.7, 0.2, 0.2)}
    default = RealConfig()
    for stage in (default.first, default.second):
        assert (stage.kernels, stage.anisotropic) == (tables["kernels"], tables["anisotropic"])
    theirs = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]  # each kind with one width, with two
    ours = [p * q for p, two in zip(*tables.values(), strict=True) for q in (1 - two, two)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    unlike = {"sigma": (1, 3), "plateau_beta": (1, 1), "generalized_beta": (1, 1)}

    def plateau():  # falls slowly: 1 / (1 + d) and not exp(-d / 2)
        kernel = kernel_of(**unlike | {"kernels": (0.5, 0.2, 0.3)})
        return kernel[0, 0] > 1e-4

    def two_widths():
        kernel = kernel_of(**unlike | {"kernels": (1, 0, 0), "anisotropic": (0.3, 0, 0)})
        return not np.allclose(kernel, kernel.T, atol=1e-6) or not np.allclose(kernel, kernel[::-1], atol=1e-6)

    assert share(plateau) == pytest.approx(0.3, abs=0.1)
    assert share(two_widths) == pytest.approx(0.3, abs=0.1)


def test_blur_sigma_is_sigma(lowest):
    wanted = falling((1.3, 1.3), 0, lambda d: math.exp(-d / 2))
    np.testing.assert_allclose(kernel_of(sigma=(1.3, 3), kernels=(1, 0, 0), anisotropic=(0, 0, 0)), wanted, atol=1e-6)


def test_two_widths_are_turned_by_any_angle(monkeypatch):
    drawn = iter([1.0, 2.5, 0.7, 1.0, 1.0])  # both widths, the angle, the unused shape, the quality
    monkeypatch.setattr(np.random, "uniform", lambda low, high: next(drawn, low))
    found = kernel_of(kernels=(1, 0, 0), anisotropic=(1, 0, 0))
    np.testing.assert_allclose(found, falling((1.0, 2.5), 0.7, lambda d: math.exp(-d / 2)), atol=1e-6)


@pytest.mark.parametrize(
    ("kernels", "name", "shape"),
    [
        ((0, 1, 0), "generalized_beta", lambda d, beta: math.exp(-0.5 * d**beta)),
        ((0, 0, 1), "plateau_beta", lambda d, beta: 1 / (d**beta + 1)),
    ],
)
def test_betag_range_and_betap_range_are_the_shapes_in_both_halves(lowest, kernels, name, shape):
    options = {"sigma": (2, 2), "kernels": kernels, "anisotropic": (0, 0, 0), name: (0.6, 3)}
    below, above = (falling((2, 2), 0, lambda d, b=beta: shape(d, b)) for beta in (0.6, 1.0))

    def lower():
        kernel = kernel_of(**options)
        is_lower = np.abs(kernel - below).max() < 1e-5
        assert is_lower or np.abs(kernel - above).max() < 1e-5
        return is_lower

    assert share(lower) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("size", "cutoff"), [(7, math.pi / 3), (11, math.pi / 3), (13, math.pi / 5)])
def test_sinc_prob_is_sinc_whose_cutoff_depends_on_the_size(lowest, size, cutoff):
    y, x = np.mgrid[:size, :size] - size // 2
    radius = np.where((x == 0) & (y == 0), 1e-9, np.hypot(x, y))
    wanted = cutoff * special.j1(cutoff * radius) / (2 * np.pi * radius)
    wanted = wanted / wanted.sum()
    grey = np.full((61, 61, 1), 0.5, np.float32)
    grey[30, 30] += 0.4  # the kernel has negative values, which around black would be cut off
    made = degraded(grey, {"blur": 1, "kernel_size": (size, size), "sinc": 1})[..., 0]
    around = slice(30 - size // 2, 31 + size // 2)
    np.testing.assert_allclose((made[around, around] - 0.5) / 0.4, wanted, atol=1e-5)


@pytest.mark.parametrize("option", ["blur", "sinc", "final_sinc", "gaussian", "grey"])
def test_probabilities_are_chances(option):
    grey = np.full((16, 16, 1), 0.5, np.float32)
    grey[8, 8] = 1
    if option == "blur":  # second_blur_prob
        effect = lambda: degraded(grey, {}, {"blur": 0.3})[8, 8] < 0.9
    elif option == "sinc":
        narrow = {"blur": 1, "sigma": (0.2, 0.2), "kernels": (1, 0, 0), "sinc": 0.3}
        effect = lambda: abs(degraded(grey, narrow)[8, 8] - 1) > 0.01
    elif option == "final_sinc":
        effect = lambda: abs(degraded(grey, final_sinc=0.3)[8, 8] - 1) > 1e-3
    elif option == "gaussian":
        strong = {"gaussian": 0.3, "poisson_scale": (0, 0), "gaussian_sigma": (25, 25)}
        effect = lambda: degraded(grey, strong).std() > 0.05  # the point alone has a deviation of 0.03
    else:
        flat = np.full((16, 16, 3), 0.5, np.float32)
        effect = lambda: np.ptp(degraded(flat, {"grey": 0.3, "gaussian_sigma": (9, 9)}), axis=2).max() < 1e-3
    assert share(effect) == pytest.approx(0.3, abs=0.1)


def resized_axis(image, length, mode, factor=None):
    """Along the first axis, value by value; the factor spaces the positions, else the quotient of the lengths does."""
    old = len(image)
    made = np.zeros((length, *image.shape[1:]))
    for place in range(length):
        if mode == "area":  # whole pixels that the cell touches
            made[place] = image[place * old // length : -(-(place + 1) * old // length)].mean(0)
            continue
        centre = (place + 0.5) / (factor or length / old) - 0.5
        if mode == "bilinear":
            centre = max(centre, 0)
            taps = [(math.floor(centre), 1 - centre % 1), (math.floor(centre) + 1, centre % 1)]
        else:  # cubic convolution with a = -0.75
            taps = []
            for tap in range(math.floor(centre) - 1, math.floor(centre) + 3):
                d = abs(tap - centre)
                near, far = 1.25 * d**3 - 2.25 * d**2 + 1, -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
                taps.append((tap, near if d <= 1 else far))
        for tap, weight in taps:
            made[place] += weight * image[min(max(tap, 0), old - 1)]
    return made


def resized(image, size, mode, factor=None):
    rows = resized_axis(image.astype(float), size[0], mode, factor)
    return resized_axis(rows.swapaxes(0, 1), size[1], mode, factor).swapaxes(0, 1)


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize(("kind", "factor"), [((0, 1, 0), 0.37), ((1, 0, 0), 1.43), ((0, 0, 1), 1.0)])
def test_resize_prob_and_resize_range_are_by_three_methods(monkeypatch, mode, kind, factor):
    monkeypatch.setattr(np.random, "randint", lambda low, high=None: mode if high is None else low)
    monkeypatch.setattr(np.random, "uniform", lambda low, high: low if low == high else factor)
    image = pictured(48, 41)
    made = degraded(image, {"resize": kind, "resize_range": (0.3, 1.5)})  # and back in the second round
    small = resized(image, (int(48 * factor), int(41 * factor)), MODES[mode], factor)
    np.testing.assert_allclose(made, resized(small.clip(0, 1), (48, 41), MODES[mode]), atol=2e-5)


def test_methods_of_resizing_are_equally_likely():
    image, counts = pictured(16, 16), dict.fromkeys(MODES, 0)
    for seed in range(150):
        np.random.seed(seed)
        made = degraded(image, scale=2)
        fitting = [mode for mode in MODES if np.abs(made - resized(image, (8, 8), mode)).max() < 1e-5]
        for mode in fitting:  # bilinear and area are the same at one half
            counts[mode] += 1
    assert counts["bicubic"] == pytest.approx(50, abs=20)
    assert counts["area"] == counts["bilinear"] == 150 - counts["bicubic"]


def test_the_second_round_is_relative_to_the_final_size(monkeypatch):
    monkeypatch.setattr(np.random, "randint", lambda low, high=None: 1 if high is None else low)
    monkeypatch.setattr(np.random, "uniform", lambda low, high: low if low == high else 0.61)
    image = pictured(48, 40)
    made = degraded(image, second={"resize": (0, 1, 0), "resize_range": (0.3, 1.2)}, scale=4)
    small = resized(image, (int(12 * 0.61), int(10 * 0.61)), "bilinear")
    np.testing.assert_allclose(made, resized(small, (12, 10), "bilinear"), atol=1e-5)


def test_noise_range_is_the_deviation_of_gaussian_noise_in_levels(lowest):
    np.random.seed(0)
    flat = np.full((200, 200, 1), 0.5, np.float32)
    assert 255 * degraded(flat, {"gaussian_sigma": (12, 30)}).std() == pytest.approx(12, rel=0.03)
    assert 255 * degraded(flat, {}, {"gaussian_sigma": (7, 25)}).std() == pytest.approx(7, rel=0.03)
    colour = gaussian_noise((200, 200, 3), 0.1, grey=False).reshape(-1, 3)
    np.testing.assert_allclose(np.cov(colour.T), 0.01 * np.eye(3), atol=4e-4)
    assert gaussian_noise((200, 200, 3), 0.1, grey=True).shape == (200, 200, 1)


@pytest.mark.parametrize("grey", [False, True])
def test_poisson_scale_range_is_the_factor_of_noise_of_as_many_photons_as_there_are_levels(monkeypatch, grey):
    image = draw_facade(0, size=20)[1].astype(np.float32) / 255
    levels = np.empty((20, 20) if grey else (20, 20, 3))
    for y, x in np.ndindex(20, 20):
        red, green, blue = image[y, x].astype(float)
        values = 0.2989 * red + 0.587 * green + 0.114 * blue if grey else np.array([red, green, blue])
        levels[y, x] = np.rint(values * 255)
    count, photons = len(set(levels.ravel())), 1
    while photons < count:
        photons *= 2
    assert photons > count > photons / 2
    seen = []
    monkeypatch.setattr(np.random, "poisson", lambda mean: seen.append(mean) or np.floor(mean))
    noise = poisson_noise(image, 1.7, grey=grey)
    np.testing.assert_allclose(seen[0].squeeze(), levels / 255 * photons, rtol=1e-5)
    wanted = 1.7 * (np.floor(seen[0]) / photons - levels.reshape(seen[0].shape) / 255)
    np.testing.assert_allclose(noise, wanted, atol=1e-5)


def test_poisson_noise_grows_with_the_root_of_the_brightness():
    np.random.seed(0)
    ramp = np.repeat(np.arange(256, dtype=np.float32)[:, None, None] / 255, 4000, axis=1)
    noise = poisson_noise(ramp, 2.0, grey=False)[..., 0]
    for level in (32, 128, 255):
        assert noise[level].std() == pytest.approx(2 * math.sqrt(level / 255 / 256), rel=0.05)


LUMA = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""
CHROMA = "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66" + " 99" * 38


def jpeg_plane(plane, table, quality):
    """Coefficients of each block rounded; the table's rows and columns exchanged, as in Real-ESRGAN's code."""
    steps = np.array(table.split(), float).reshape(8, 8).T * (50 / quality if quality < 50 else 2 - quality / 50)
    made = np.empty_like(plane)
    for y in range(0, plane.shape[0], 8):
        for x in range(0, plane.shape[1], 8):
            block = fft.dctn(plane[y : y + 8, x : x + 8], norm="ortho")
            made[y : y + 8, x : x + 8] = fft.idctn(np.rint(block / steps) * steps, norm="ortho")
    return made


def jpeg(image, quality):
    height, width = image.shape[:2]
    padded = np.zeros((-(-height // 16) * 16, -(-width // 16) * 16, image.shape[2]))
    padded[:height, :width] = image * 255.0
    if image.shape[2] == 1:
        return (jpeg_plane(padded[..., 0] - 128, LUMA, quality) + 128)[:height, :width, None].clip(0, 255) / 255
    r, g, b = np.moveaxis(padded, 2, 0)
    planes = [jpeg_plane(0.299 * r + 0.587 * g + 0.114 * b - 128, LUMA, quality) + 128]
    for part in (-0.168736 * r - 0.331264 * g + 0.5 * b, 0.5 * r - 0.418688 * g - 0.081312 * b):
        half = (part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2]) / 4
        planes.append(np.kron(jpeg_plane(half, CHROMA, quality), np.ones((2, 2))))
    y, cb, cr = planes
    colours = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 2)
    return colours[:height, :width].clip(0, 255) / 255


@pytest.mark.parametrize("quality", [30.0, 41.7, 50.0, 83.25, 95.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_range_is_that_of_qualities_that_need_not_be_integers(quality, channels):
    image = np.random.default_rng(0).random((37, 21, channels), np.float32) * 0.3 + 0.3
    made, wanted = jpeg_losses(image, quality), jpeg(image, quality)
    apart = np.abs(made - wanted)  # a coefficient that lies between two multiples may be rounded either way
    assert np.median(apart) < 1e-5
    assert (apart > 1e-4).mean() < 0.05
    np.testing.assert_allclose(degraded(image, {"jpeg": (quality, quality)}), jpeg_losses(made, 100), atol=2e-2)


def test_jpeg_is_close_to_that_of_a_codec():
    image = draw_facade(0, size=96)[1]
    grey = np.ascontiguousarray(image[..., 1])
    for quality in (40, 80):
        _, data = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
        codec = cv2.imdecode(data, cv2.IMREAD_UNCHANGED).astype(float)
        made = 255 * jpeg_losses(grey[..., None].astype(np.float32) / 255, quality)[..., 0]
        errors = [np.abs(one - grey).mean() for one in (made, codec)]
        assert errors[0] == pytest.approx(errors[1], rel=0.15)
        assert np.abs(made - codec).mean() < errors[1]


def test_final_sinc_and_jpeg_come_in_either_order(lowest):
    image, options = pictured(48, 48), {"final_sinc": 1, "second": {"jpeg": (35.5, 90), "kernel_size": (9, 9)}}
    y, x = np.mgrid[-4:5, -4:5]
    radius, cutoff = np.where((x == 0) & (y == 0), 1e-9, np.hypot(x, y)), math.pi / 3
    kernel = special.j1(cutoff * radius) / radius
    ringing = lambda z: ndimage.correlate(z[..., 0].astype(float), kernel / kernel.sum(), mode="mirror")[..., None]
    last = jpeg(ringing(image).clip(0, 1), 35.5), ringing(jpeg(image, 35.5)).clip(0, 1)

    def jpeg_last():
        made = degraded(image, **options)
        apart = [np.abs(made - wanted).mean() for wanted in last]
        assert min(apart) < 1e-3 < max(apart)
        return apart[0] < apart[1]

    assert share(jpeg_last, 80) == pytest.approx(0.5, abs=0.15)


def usm(image):
    """Real-ESRGAN's sharpening by OpenCV's kernel of 51 pixels and scipy's convolution."""
    column = cv2.getGaussianKernel(51, 0, cv2.CV_64F)[:, 0]

    def blurred(plane):
        return ndimage.correlate1d(ndimage.correlate1d(plane, column, 0, mode="mirror"), column, 1, mode="mirror")

    made = np.empty(image.shape)
    for channel in range(image.shape[2]):
        plane = image[..., channel].astype(float)
        residual = plane - blurred(plane)
        mask = blurred((np.abs(residual) * 255 > 10).astype(float))
        made[..., channel] = mask * (plane + 0.5 * residual).clip(0, 1) + (1 - mask) * plane
    return made


@pytest.mark.parametrize("size", [(64, 57), (20, 9), (1, 33)])
def test_gt_usm_is_the_sharpening_of_opencvs_kernel(size):
    image = draw_facade(3, size=64)[1][: size[0], : size[1]].astype(np.float32) / 255
    made = sharpened(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(made, usm(image), atol=1e-5)
    if min(size) > 30:
        assert np.abs(np.diff(made, axis=1)).mean() > 1.1 * np.abs(np.diff(image, axis=1)).mean()


def test_sharpen_makes_the_source_of_the_sharpened_target_and_keeps_the_target():
    image = pictured(48, 48)
    np.testing.assert_allclose(degraded(image, sharpen=True), usm(image), atol=1e-5)
    sample = Real(RealConfig(sharpen=True), scale=2)({"target": image})
    np.testing.assert_array_equal(sample["target"], image)


def test_defaults_are_those_of_real_esrgan():
    first, second = RealConfig().first, RealConfig().second
    assert (first.blur, second.blur) == (1, 0.8)
    assert (first.sigma, second.sigma) == ((0.2, 3), (0.2, 1.5))
    assert (first.resize, second.resize) == ((0.2, 0.7, 0.1), (0.3, 0.4, 0.3))
    assert (first.resize_range, second.resize_range) == ((0.15, 1.5), (0.3, 1.2))
    assert (first.gaussian_sigma, second.gaussian_sigma) == ((1, 30), (1, 25))
    assert (first.poisson_scale, second.poisson_scale) == ((0.05, 3), (0.05, 2.5))
    for stage in (first, second):
        assert (stage.kernel_size, stage.sinc, stage.gaussian, stage.grey) == ((7, 21), 0.1, 0.5, 0.4)
        assert (stage.generalized_beta, stage.plateau_beta, stage.jpeg) == ((0.5, 4), (1, 2), (30, 95))
    assert RealConfig().final_sinc == 0.8


def test_the_table_of_the_documentation_names_every_option():
    text = Path(ROOT, "docs", "super_resolution.md").read_text()
    for option in (*RealConfig().first.model_dump(), "sharpen", "final_sinc"):
        assert f"`{option}`" in text or f".{option}`" in text, option
