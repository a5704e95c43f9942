"""The layers, losses and colour spaces of restoration against loops, NumPy and scikit-image."""

import math

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, lab2xyz, rgb2lab
from skimage.color.colorconv import xyz_from_rgb

from i2i_restoration.attention import ContextualAttention
from i2i_restoration.degradation import gaussian_kernel, motion_kernel
from i2i_restoration.gated import GatedConv2d, GatedNetwork
from i2i_restoration.hole_losses import correlations, hole_and_valid, perceptual_and_style, total_variation
from i2i_restoration.lab import CHROMA, from_lab, to_lab
from i2i_restoration.options import GatedConfig, PartialConfig, SNPatchConfig
from i2i_restoration.partial import PartialConv2d, PartialUNet
from i2i_restoration.partial import build as build_partial
from i2i_restoration.sn_patch import SNPatch


def partial_by_loops(x, masks, weight, bias, stride):
    """Equations 1 and 2 of Liu et al. 2018, place by place; `masks` has the channels of `x`."""
    count, _, height, width = x.shape
    out, _, kernel, _ = weight.shape
    pad = kernel // 2
    x, masks = (np.pad(v, ((0, 0), (0, 0), (pad, pad), (pad, pad))) for v in (x, masks))
    made = np.zeros((count, out, -(-height // stride), -(-width // stride)))
    valid = np.zeros((count, 1, *made.shape[2:]))
    for n, row, column in np.ndindex(count, *made.shape[2:]):
        window = np.s_[n, :, row * stride : row * stride + kernel, column * stride : column * stride + kernel]
        total = masks[window].sum()
        if total == 0:
            continue
        valid[n, 0, row, column] = 1
        scale = masks[window].size / total
        for channel in range(out):
            made[n, channel, row, column] = (weight[channel] * x[window] * masks[window]).sum() * scale + bias[channel]
    return made, valid


@pytest.mark.parametrize(("kernel", "stride", "channels"), [(7, 2, (3,)), (3, 1, (4, 2)), (5, 2, (3,)), (3, 2, (1,))])
def test_a_partial_convolution_equals_loops_over_windows(kernel, stride, channels):
    torch.manual_seed(0)
    layer = PartialConv2d(channels, 5, kernel, stride=stride).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, sum(channels), 12, 10).double()
    valid = (torch.rand(2, len(channels), 12, 10) < 0.3).double()
    valid[0, :, :8, :8] = 0  # windows without a valid value
    made, updated = layer(x, valid)
    masks = np.repeat(valid.numpy(), channels, axis=1)
    weight, bias = layer.convolution.weight.detach().numpy(), layer.bias.detach().numpy().ravel()
    expected, expected_valid = partial_by_loops(x.numpy(), masks, weight, bias, stride)
    assert np.array_equal(updated.numpy(), expected_valid)
    assert 0 < expected_valid.mean() < 1
    np.testing.assert_allclose(made.detach().numpy(), expected, atol=1e-12)


def test_what_is_in_the_holes_makes_no_difference_to_partial_convolutions():
    torch.manual_seed(0)
    network = PartialUNet(PartialConfig(filters=4), 3, 3, 3).eval()
    image, mask = torch.rand(1, 3, 32, 24) * 2 - 1, (torch.rand(1, 1, 32, 24) < 0.4).float()
    other = torch.where(mask > 0, torch.randn_like(image), image)
    assert torch.equal(network(image, mask), network(other, mask))


def test_frozen_norm_keeps_the_statistics_of_the_encoder_alone():
    network = PartialUNet(PartialConfig(filters=4, frozen_norm=True), 3, 3, 3).train()
    norms = [layer for part in (network.encoder, network.decoder) for layer in part.modules()]
    states = {isinstance(m, torch.nn.BatchNorm2d) and m.training for m in network.encoder.modules()}
    assert states == {False}
    assert any(isinstance(m, torch.nn.BatchNorm2d) and m.training for m in norms)
    before = network.encoder[1].norm.running_mean.clone()
    network(torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32))
    assert torch.equal(network.encoder[1].norm.running_mean, before)


def test_the_paper_has_eight_halvings_at_512_pixels():
    network = build_partial(PartialConfig(filters=2), in_channels=3, out_channels=3, size=(512, 512))
    assert (len(network.encoder), network.multiple) == (8, 256)
    assert [layer.convolution.kernel for layer in network.encoder] == [7, 5, 5, 3, 3, 3, 3, 3]
    with pytest.raises(ValueError, match=r"divisible by 4, got 66x64: set depth, or change data\.size"):
        build_partial(PartialConfig(), in_channels=3, out_channels=3, size=(66, 64))


def test_a_gated_convolution_is_elu_of_features_times_sigmoid_of_gates():
    torch.manual_seed(0)
    layer = GatedConv2d(3, 2, dilation=2).double()
    x = torch.randn(1, 3, 9, 8).double()
    weight, bias = (p.detach().numpy() for p in (layer.convolution.weight, layer.convolution.bias))
    padded = np.pad(x.numpy()[0], ((0, 0), (2, 2), (2, 2)))
    expected = np.zeros((2, 9, 8))
    for channel, row, column in np.ndindex(2, 9, 8):
        window = padded[:, row : row + 5 : 2, column : column + 5 : 2]
        feature, gate = ((weight[c] * window).sum() + bias[c] for c in (channel, channel + 2))
        expected[channel, row, column] = (feature if feature > 0 else math.expm1(feature)) / (1 + math.exp(-gate))
    np.testing.assert_allclose(layer(x).detach().numpy()[0], expected, atol=1e-12)


def test_the_first_stage_sees_the_mask_and_the_second_the_pasted_image():
    torch.manual_seed(0)
    network = GatedNetwork(GatedConfig(filters=4, attention=False), 3, 3).eval()
    image, mask = torch.rand(1, 3, 32, 32) * 2 - 1, torch.zeros(1, 1, 32, 32)
    coarse, fine = network.stages(image, mask)
    assert torch.equal(fine, network(image, mask))
    assert torch.equal(fine, network.finish(network.fine(image)))  # nothing of the coarse result is in it
    assert not torch.equal(coarse, network.stages(image, 1 - mask)[0])


def attention_by_loops(x, hole):
    """Contextual attention of Yu et al. 2018 as the authors' code computes it, for one image ``(C, H, W)``."""
    channels, height, width = x.shape
    rows, columns = height // 2, width // 2
    places = [(r, c) for r in range(rows) for c in range(columns)]
    small, small_hole = np.pad(x[:, ::2, ::2], ((0, 0), (1, 1), (1, 1))), np.pad(hole[::2, ::2], 1)
    patch = {(r, c): small[:, r : r + 3, c : c + 3].ravel() for r, c in places}
    known = {(r, c): not small_hole[r : r + 3, c : c + 3].any() for r, c in places}
    alike = {(f, b): patch[f] @ patch[b] / max(np.linalg.norm(patch[b]), 1e-4) for f in places for b in places}
    for order in (places, [(r, c) for c in range(columns) for r in range(rows)]):
        number = {place: index for index, place in enumerate(order)}
        fused = {}
        for f, b in alike:
            total = 0.0
            for shift in (-1, 0, 1):
                i, j = number[f] + shift, number[b] + shift
                if 0 <= i < len(order) and 0 <= j < len(order):
                    total += alike[order[i], order[j]]
            fused[f, b] = total
        alike = fused
    whole = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    made = np.zeros((channels, height + 2, width + 2))
    for f in places:
        scores = np.array([alike[f, b] * known[b] * 10 for b in places])
        weights = np.exp(scores - scores.max())
        weights = weights / weights.sum() * [known[b] for b in places]
        for weight, (r, c) in zip(weights, places, strict=True):
            window = whole[:, 2 * r : 2 * r + 4, 2 * c : 2 * c + 4]
            made[:, 2 * f[0] : 2 * f[0] + 4, 2 * f[1] : 2 * f[1] + 4] += weight * window / 4
    return made[:, 1:-1, 1:-1]


def test_contextual_attention_equals_loops_over_places():
    draw = np.random.default_rng(0)
    x, hole = draw.normal(size=(2, 3, 8, 10)) / 4, np.zeros((2, 1, 8, 10))
    hole[0, :, 2:5, 3:7] = 1
    made = ContextualAttention()(torch.from_numpy(x), torch.from_numpy(hole)).numpy()
    for one, its_hole, result in zip(x, hole, made, strict=True):
        np.testing.assert_allclose(result, attention_by_loops(one, its_hole[0]), atol=1e-10)


def test_attention_without_anything_known_gives_nothing():
    x = torch.randn(1, 2, 8, 8)
    assert not ContextualAttention()(x, torch.ones(1, 1, 8, 8)).any()


def test_logits_are_a_feature_map_a_64th_of_the_size():
    network = SNPatch(SNPatchConfig(filters=4, features=True), 4)
    logits, *features = network(torch.rand(2, 4, 128, 192))
    assert logits.shape == (2, 16, 2, 3)
    assert [one.shape[1] for one in features] == [4, 8, 16, 16, 16]


def test_the_losses_of_partial_convolutions_equal_sums_over_pixels():
    draw = np.random.default_rng(0)
    real, made = draw.uniform(-1, 1, (2, 2, 3, 5, 6))
    mask = (draw.random((2, 1, 5, 6)) < 0.3).astype(float)
    filled = np.where(mask > 0, made, real)
    hole = sum(abs(made[n, c, i, j] - real[n, c, i, j]) * mask[n, 0, i, j] for n, c, i, j in np.ndindex(real.shape))
    found = [float(v) for v in hole_and_valid(*map(torch.from_numpy, (made, real, mask)))]
    assert found[0] == pytest.approx(hole / real.size)
    assert sum(found) == pytest.approx(np.abs(made - real).mean())
    near = np.zeros_like(mask)
    for n, _, i, j in np.argwhere(mask):
        near[n, 0, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2] = 1
    variation = 0.0
    for n, c, i, j in np.ndindex(real.shape):
        for k, m in ((i + 1, j), (i, j + 1)):
            if k < 5 and m < 6 and near[n, 0, i, j] and near[n, 0, k, m]:
                variation += abs(filled[n, c, i, j] - filled[n, c, k, m])
    given = total_variation(torch.from_numpy(filled), torch.from_numpy(mask))
    assert float(given) == pytest.approx(variation / real.size)


def test_perceptual_and_style_losses_equal_sums_over_maps():
    draw = np.random.default_rng(1)
    made, filled, real = (torch.from_numpy(draw.normal(size=(2, 3, 4, 4))) for _ in range(3))
    features = lambda images: [images * 2, images[:, :2, ::2, ::2] ** 2]
    perceptual, style = (float(v) for v in perceptual_and_style(features, made, filled, real))
    expected, expected_style = 0.0, 0.0
    for images in (made, filled):
        for one, true in zip(features(images), features(real), strict=True):
            expected += np.abs(one.numpy() - true.numpy()).mean()
            n, c, h, w = one.shape
            for image in range(n):
                a, b = (f.numpy()[image].reshape(c, h * w) for f in (one, true))
                expected_style += np.abs(a @ a.T - b @ b.T).sum() / (c * h * w) / (c * c) / n
    assert (perceptual, style) == (pytest.approx(expected), pytest.approx(expected_style))
    assert correlations(real).shape == (2, 3, 3)


def test_lab_equals_scikit_image():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)) / 255
    light, colour = to_lab(torch.from_numpy(image * 2 - 1).permute(2, 0, 1)[None])
    lab = torch.cat([(light + 1) * 50, colour * CHROMA], 1)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(lab, rgb2lab(image), atol=1e-3)
    back = from_lab(light, colour)[0].permute(1, 2, 0).numpy() / 2 + 0.5
    np.testing.assert_allclose(back, image, atol=1e-3)
    np.testing.assert_allclose(back, lab2rgb(rgb2lab(image)), atol=1e-3)


def test_colours_that_srgb_lacks_become_paler_and_keep_lightness_and_hue():
    light = torch.linspace(-1, 1, 101).double().view(1, 1, -1, 1).expand(1, 1, 101, 90)
    angles = torch.linspace(0, 2 * math.pi, 90).double().view(1, 1, 1, -1).expand(1, 1, 101, 90)
    colour = torch.cat([angles.cos(), angles.sin()], 1)  # 110 from grey, which hardly any sRGB colour is
    made = from_lab(light, colour)
    assert made.min() >= -1
    assert made.max() <= 1
    pixels = np.rint((made[0].permute(1, 2, 0).numpy() + 1) * 127.5) / 255
    lab = rgb2lab(pixels)
    assert np.abs(lab[..., 0] - (light[0, 0].numpy() + 1) * 50).max() < 100 / 255
    exact = rgb2lab(made[0].permute(1, 2, 0).numpy() / 2 + 0.5)
    chroma = np.hypot(exact[..., 1], exact[..., 2])
    strong = chroma > 10
    assert strong.mean() > 0.7
    turned = np.angle(np.exp(1j * (np.arctan2(exact[..., 2], exact[..., 1]) - angles[0, 0].numpy())))
    assert np.abs(turned[strong]).max() < 0.02
    shortened = strong & (chroma < 109.9)
    linear = lab2xyz(exact * [1, 1.05, 1.05]) @ np.linalg.inv(xyz_from_rgb).T
    assert ((linear.min(-1) < 0) | (linear.max(-1) > 1))[shortened].all()  # no paler than needed


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, 2.5])
def test_a_motion_kernel_lies_along_its_direction(angle):
    kernel = motion_kernel(15, angle).astype(float)
    reach = kernel.shape[0] // 2
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * rows).sum() == pytest.approx(0, abs=1e-5)
    along = rows * math.sin(angle) + columns * math.cos(angle)
    across = rows * math.cos(angle) - columns * math.sin(angle)
    assert (kernel * along**2).sum() == pytest.approx((14**2) / 12, rel=0.05)  # of a line of 14 pixels between its ends
    assert (kernel * across**2).sum() < 0.4


def test_a_gaussian_kernel_has_its_standard_deviation():
    kernel = gaussian_kernel(2.0).astype(float)
    place = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    assert kernel.sum() == pytest.approx(1)
    assert (kernel.sum(0) * place**2).sum() == pytest.approx(4, rel=0.05)
