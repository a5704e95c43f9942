"""Low resolution made of high resolution, and the metrics on luma, against MATLAB's files and independent maths."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError

import i2i
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_samples.facades import draw_facade
from i2i_srgan.degradations.imresize import imresize
from i2i_srgan.degradations.kernels import blur_kernel, sinc_kernel
from i2i_srgan.degradations.options import BicubicConfig, RealConfig
from i2i_srgan.degradations.transforms import Bicubic, Real

NOTHING = {"blur": 0, "resize": (0, 0, 1), "gaussian": 1, "gaussian_sigma": (0, 0), "jpeg": (100, 100)}
"""A round of degradation that leaves the image alone but for JPEG of the best quality."""


def metric(name: str, scale: int):
    return Builder(Plugins(), (0, 0)).metric(name, scale=scale)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 127.5 - 1


def read(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def real(target: np.ndarray, scale: int = 1, seed: int = 0, final_sinc: float = 0, **first: object) -> np.ndarray:
    np.random.seed(seed)
    config = RealConfig(first=NOTHING | first, second=NOTHING, final_sinc=final_sinc)
    return Real(config, scale=scale)({"target": target})["source"]


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def matlab_rows(image: np.ndarray, scale: float) -> np.ndarray:
    """MATLAB's documented formula along the first axis, value by value."""
    length, squeeze = len(image), min(scale, 1.0)
    result = np.zeros((math.ceil(length * scale), *image.shape[1:]))
    for row in range(len(result)):
        centre = (row + 0.5) / scale - 0.5
        taps = range(math.floor(centre - 2 / squeeze) - 1, math.ceil(centre + 2 / squeeze) + 2)
        weights = {tap: cubic((centre - tap) * squeeze) for tap in taps}
        for tap, weight in weights.items():
            around = tap % (2 * length)
            result[row] += weight / sum(weights.values()) * image[min(around, 2 * length - 1 - around)]
    return result


def matlab(image: np.ndarray, scale: float) -> np.ndarray:
    def finished(x):
        return np.floor(x.clip(0, 255) + 0.5) if image.dtype == np.uint8 else x

    rows = finished(matlab_rows(image.astype(float), scale))
    return finished(matlab_rows(rows.swapaxes(0, 1), scale).swapaxes(0, 1))


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("cells", [(1, 1), (3, 2)])
def test_imresize_is_matlabs_formula(scale, cells):
    image = noise(cells[0] * scale, cells[1] * scale, 3)
    np.testing.assert_array_equal(imresize(image, scale), matlab(image, 1 / scale))
    np.testing.assert_array_equal(imresize(image[:5, :4], scale, enlarge=True), matlab(image[:5, :4], scale))
    smooth = 0.25 + image.astype(np.float32) / 510  # no overshoot out of [0, 1], which MATLAB does not clip
    np.testing.assert_allclose(imresize(smooth, scale), matlab(smooth, 1 / scale), atol=1e-6)
    np.testing.assert_allclose(imresize(smooth[:5], scale, enlarge=True), matlab(smooth[:5], scale), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_imresize_cuts_to_a_multiple_and_keeps_type_and_range(dtype):
    peak = 1 if dtype == np.float32 else np.iinfo(dtype).max
    edge = np.zeros((11, 14, 1), dtype)
    edge[:5] = peak
    small, large = imresize(edge, 4), imresize(edge, 4, enlarge=True)
    assert small.shape == (2, 3, 1)
    assert large.shape == (44, 56, 1)
    assert small.dtype == large.dtype == dtype
    assert (large.min(), large.max()) == (0, peak)  # overshoot clipped, not wrapped
    np.testing.assert_array_equal(small, imresize(edge[:8, :12], 4))
    with pytest.raises(i2i.DataError, match="11x14 pixels is too small for scale 12"):
        imresize(edge, 12)


@pytest.mark.realdata
@pytest.mark.parametrize(("scale", "decibels"), [(2, 33.67), (3, 30.40), (4, 28.43)])
def test_set5_is_shrunk_as_by_matlab_and_bicubic_psnr_is_that_of_the_papers(i2i_data, scale, decibels):
    psnr, ssim = metric("psnr-y", scale), metric("ssim-y", scale)
    files = sorted((i2i_data / "sr" / "Set5" / "HR").glob("*.png"))
    assert len(files) == 5
    for path in files:
        target = read(path)
        small = imresize(target, scale)
        matlabs = read(path.parent.parent / "LR_bicubic" / f"X{scale}" / f"{path.stem}x{scale}.png")
        np.testing.assert_array_equal(small, matlabs)
        output = imresize(small, scale, enlarge=True)
        target = target[: output.shape[0], : output.shape[1]]
        psnr.update(tensor(output), tensor(target))
        ssim.update(tensor(output), tensor(target))
    assert float(psnr.compute()) == pytest.approx(decibels, abs=0.005)
    # the table of SRCNN (Dong et al. 2016, arXiv:1501.00092), which resized the luma instead of the colours
    assert float(ssim.compute()) == pytest.approx({2: 0.9299, 3: 0.8682, 4: 0.8104}[scale], abs=0.001)


@pytest.mark.parametrize("name", ["bicubic", "real"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint16, 1), (np.float32, 4)])
def test_source_has_the_size_and_type_that_the_target_asks_for(name, scale, dtype, channels):
    np.random.seed(0)
    degrade = {"bicubic": Bicubic(BicubicConfig(), scale=scale), "real": Real(RealConfig(), scale=scale)}[name]
    image = noise(25, 19, channels)
    target = image / np.float32(255) if dtype == np.float32 else image.astype(dtype) * (np.iinfo(dtype).max // 255)
    sample = degrade({"target": target, "label": 3})
    assert sample["target"].shape == (25 // scale * scale, 19 // scale * scale, channels)
    assert sample["source"].shape == (25 // scale, 19 // scale, channels)
    assert sample["source"].dtype == sample["target"].dtype == dtype
    assert 0 <= sample["source"].min() < sample["source"].max() <= (1 if dtype == np.float32 else np.iinfo(dtype).max)
    assert sample["label"] == 3
    given = {"target": target, "source": noise(3, 3, 3)}
    assert degrade(given) == given


def test_real_repeats_under_a_seed_and_differs_between_draws():
    target, degrade = draw_facade(0, size=64)[1], Real(RealConfig(), scale=2)

    def draws(seed: int) -> list[np.ndarray]:
        np.random.seed(seed)
        return [degrade({"target": target})["source"] for _ in range(4)]

    assert all(np.array_equal(a, b) for a, b in zip(draws(1), draws(1), strict=True))
    assert len({image.tobytes() for image in draws(1) + draws(2)}) == 8


def test_real_damages_more_than_bicubic_and_keeps_the_picture():
    degrade, errors, means = Real(RealConfig(), scale=2), [], []
    np.random.seed(0)
    for index in range(12):
        target = draw_facade(index, size=64)[1]
        source, clean = degrade({"target": target})["source"].astype(float), imresize(target, 2).astype(float)
        errors.append(np.sqrt(((source - clean) ** 2).mean()))
        means.append((source - clean).mean())
    assert min(errors) > 5
    assert max(np.abs(means)) < 5


def test_each_part_of_real_does_what_it_says():
    flat = np.full((96, 96, 3), 128, np.uint8)
    picture = draw_facade(0, size=96)[1]
    assert np.abs(real(flat).astype(int) - 128).max() <= 1
    assert np.abs(real(picture).astype(int) - picture).mean() < 3  # the best JPEG still halves the colours' resolution
    one, grey = {"gaussian_sigma": (20, 20), "grey": 0}, {"gaussian_sigma": (20, 20), "grey": 1}
    luma = flat[..., :1]
    assert real(luma, **one).std() == pytest.approx(20, rel=0.05)
    assert np.ptp(real(flat, **grey).astype(int), axis=2).max() <= 4
    assert np.ptp(real(flat, **one).astype(int), axis=2).mean() > 4
    for level in (64, 128):  # photon noise: the deviation is the root of the brightness
        ramp = np.full_like(luma, level)
        ramp[0, :, 0], ramp[1, :, 0], ramp[2, :, 0] = np.arange(96), np.arange(96) + 96, np.arange(96) + 160
        shot = real(ramp, gaussian=0, poisson_scale=(1, 1))[3:]  # all levels: white is 256 photons
        assert shot.std() == pytest.approx(math.sqrt(level), rel=0.1)
    error = [np.abs(real(picture, jpeg=(q, q)).astype(int) - picture).mean() for q in (10, 50, 95)]
    assert error[0] > 1.5 * error[1] > 1.5 * error[2]
    blurred = real(
        luma // 128 * picture[..., :1], blur=1, sigma=(2, 2), sinc=0, kernels=(1, 0, 0), anisotropic=(0,) * 3
    )
    sizes = [cv2.GaussianBlur(picture[..., 0], (size, size), 2).astype(int) for size in range(7, 23, 2)]
    assert min(np.abs(blurred[..., 0] - wanted).max() for wanted in sizes) <= 3
    halved = real(np.random.default_rng(0).integers(0, 256, (96, 96, 1), np.uint8), resize=(0, 1, 0))
    assert halved.std() < 60 < noise(96, 96, 1).std()


def test_second_round_keeps_its_own_defaults_and_wrong_options_are_refused():
    config = RealConfig(second={"blur": 0.5})
    assert (config.second.blur, config.second.sigma, config.first.sigma) == (0.5, (0.2, 1.5), (0.2, 3.0))
    for wrong in (
        {"kernel_size": (8, 21)},
        {"sigma": (0, 1)},
        {"sigma": (2, 1)},
        {"resize_range": (0.2, 0.8)},
        {"resize": (0, 0, 0)},
        {"jpeg": (0, 50)},
    ):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            RealConfig(first=wrong)


def test_blur_kernels_are_gaussian_rotated_and_shaped():
    column = cv2.getGaussianKernel(15, 1.7, cv2.CV_64F)
    np.testing.assert_allclose(blur_kernel(15, profile="gaussian", sigma=(1.7, 1.7)), column @ column.T, atol=1e-7)
    y, x = np.mgrid[-10:11, -10:11]
    kernel, turn = blur_kernel(21, profile="gaussian", sigma=(2.5, 1.0), angle=0.5), 0.5
    axes = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    moments = [[(kernel * a * b).sum() for a in (x, y)] for b in (x, y)]
    np.testing.assert_allclose(moments, axes @ np.diag([2.5**2, 1]) @ axes.T, rtol=0.02)
    for profile, ratio in (("generalized", math.exp(-0.5 * (9 / 4) ** 3)), ("plateau", 1 / (1 + (9 / 4) ** 3))):
        kernel = blur_kernel(21, profile=profile, sigma=(2, 2), beta=3)
        assert kernel.sum() == pytest.approx(1)
        assert kernel[10, 13] / kernel[10, 10] == pytest.approx(ratio, rel=1e-5)


def test_sinc_kernel_passes_below_its_cutoff_and_stops_above():
    response = np.abs(np.fft.fft2(sinc_kernel(63, math.pi / 2), (256, 256)))
    y, x = np.meshgrid(*(np.fft.fftfreq(256) * 2 * math.pi,) * 2)
    radius = np.hypot(x, y)
    np.testing.assert_allclose(response[radius < 1.2], 1, atol=0.1)
    assert response[radius > 1.95].max() < 0.1
    assert sinc_kernel(21, 1.0).sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    ("colour", "luma"),
    [((255, 255, 255), 235), ((0, 0, 0), 16), ((255, 0, 0), 81.481), ((0, 255, 0), 144.553), ((0, 0, 255), 40.966)],
)
def test_psnr_y_sees_bt601_luma(colour, luma):
    psnr = metric("psnr-y", 1)
    black = np.zeros((5, 5, 3), np.uint8)
    if luma != 16:
        psnr.update(tensor(black + np.array(colour, np.uint8)), tensor(black))
        assert float(psnr.compute()) == pytest.approx(20 * math.log10(255 / (luma - 16)), abs=1e-4)
    else:
        psnr.update(tensor(black) + 0.003, tensor(black))  # less than half a level: gone in 8 bits
        assert float(psnr.compute()) == math.inf


def test_psnr_y_leaves_out_the_border_and_averages_over_images_of_any_size():
    psnr = metric("psnr-y", 2)
    for side, step in ((9, 10), (12, 20)):
        target = np.full((side, side + 1, 1), 100, np.uint8)
        output = target + step
        output[:2], output[-2:], output[:, :2], output[:, -2:] = 0, 255, 0, 255
        psnr.update(tensor(output), tensor(target))
    assert float(psnr.compute()) == pytest.approx(np.mean([20 * math.log10(255 / 10), 20 * math.log10(255 / 20)]))
    psnr.reset()
    psnr.update(tensor(target + 1), tensor(target))
    assert float(psnr.compute()) == pytest.approx(20 * math.log10(255))
    assert psnr.higher_is_better
    with pytest.raises(i2i.DataError, match="at least 5x5 pixels, got 4x8"):
        psnr.update(torch.zeros(1, 3, 4, 8), torch.zeros(1, 3, 4, 8))


def test_ssim_y_is_wangs_formula_on_luma_without_the_border():
    rng = np.random.default_rng(0)
    ssim, values, column = metric("ssim-y", 3), [], cv2.getGaussianKernel(11, 1.5, cv2.CV_64F)
    for size in (40, 64):
        target = draw_facade(1, size=size)[1]
        output = (target.astype(int) + rng.integers(-30, 31, target.shape)).clip(0, 255).astype(np.uint8)
        ssim.update(tensor(output), tensor(target))
        a, b = (16 + image[3:-3, 3:-3] @ np.array([65.481, 128.553, 24.966]) / 255 for image in (output, target))
        moments = [
            (np.lib.stride_tricks.sliding_window_view(x, (11, 11)) * (column @ column.T)).sum((2, 3))
            for x in (a, b, a * a, b * b, a * b)
        ]
        mean_a, mean_b, c1, c2 = *moments[:2], (0.01 * 255) ** 2, (0.03 * 255) ** 2
        spread, shared = moments[2] - mean_a**2 + moments[3] - mean_b**2, moments[4] - mean_a * mean_b
        index = (2 * mean_a * mean_b + c1) * (2 * shared + c2) / ((mean_a**2 + mean_b**2 + c1) * (spread + c2))
        values.append(index.mean())
    assert float(ssim.compute()) == pytest.approx(np.mean(values), abs=1e-5)
