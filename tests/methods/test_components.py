"""The networks and losses that the core offers, against the papers and against independent maths."""

import pytest
import torch
from torch import nn

from i2i.components.inference import for_inference
from i2i.components.layers import InstanceNorm2d
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

PLUGINS = Plugins()


def build(size: int) -> Builder:
    return Builder(PLUGINS, (size, size))


def millions(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def test_parameter_counts_are_those_of_the_papers():
    assert millions(build(256).generator("unet", in_channels=3, out_channels=3)) == pytest.approx(54.41, abs=0.005)
    assert millions(build(256).discriminator("patch", in_channels=6)) == pytest.approx(2.77, abs=0.005)
    assert millions(build(256).generator("resnet", in_channels=3, out_channels=3)) == pytest.approx(11.38, abs=0.005)


@pytest.mark.parametrize("name", ["unet", "resnet"])
@pytest.mark.parametrize("upsample", ["deconv", "resize"])
def test_upsampling_switch_keeps_the_size(name, upsample):
    network = build(32).generator(name, in_channels=3, out_channels=3, filters=4, upsample=upsample)
    kinds = {type(module) for module in network.modules()}
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    assert (nn.ConvTranspose2d in kinds) == (upsample == "deconv")
    assert (nn.Upsample in kinds) == (upsample == "resize")


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_patch_receptive_field_measured_by_gradient(layers, field):
    network = build(256).discriminator("patch", in_channels=1, filters=2, layers=layers, norm="none", init_std=None)
    image = torch.rand(1, 1, 256, 256, requires_grad=True)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    logits = network(image)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    rows = image.grad[0, 0].abs().sum(1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == field


def test_unet_reaches_one_pixel_and_refuses_sizes_it_cannot_halve():
    network = build(64).generator("unet", in_channels=3, out_channels=3, filters=4)
    assert network.multiple == 64
    assert len(network.down) == 6
    with pytest.raises(Exception, match=r"sides divisible by 32, got 40x40: set data.size=32"):
        build(40).generator("unet", in_channels=3, out_channels=3)


@pytest.mark.parametrize(("layers", "expected"), [((1, 2, 3), {1, 2, 3}), ((2, 3, 4), {2, 3, 4}), ((), set())])
def test_dropout_sits_on_the_chosen_decoder_layers(layers, expected):
    network = build(256).generator("unet", in_channels=3, out_channels=3, filters=2, dropout_layers=layers)
    found = {i for i, up in enumerate(network.up, start=1) if any(isinstance(m, nn.Dropout) for m in up)}
    assert found == expected


@pytest.mark.parametrize("wanted", [False, True])
def test_bottleneck_norm_is_a_switch(wanted):
    network = build(256).generator("unet", in_channels=3, out_channels=3, filters=2, bottleneck_norm=wanted)
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.down[-1]) == wanted


def test_initial_weights_have_the_papers_moments():
    network = build(256).generator("unet", in_channels=3, out_channels=3, filters=32)
    convolutions = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.Conv2d)])
    gammas = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
    assert convolutions.mean().item() == pytest.approx(0, abs=1e-4)
    assert convolutions.std().item() == pytest.approx(0.02, rel=0.01)
    assert gammas.mean().item() == pytest.approx(1, abs=0.005)
    assert gammas.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 2])
def test_instance_norm_and_its_gradient_match_float64(memory_format, batch):
    torch.manual_seed(0)
    x = torch.randn(batch, 8, 9, 7)
    weights = torch.randn(batch, 8, 9, 7)
    exact = x.double().requires_grad_()
    nn.functional.instance_norm(exact).mul(weights.double()).sum().backward()
    ours = x.to(memory_format=memory_format).requires_grad_()
    # a channels-last gradient is what a channels-last convolution behind the norm sends back
    InstanceNorm2d(8)(ours).backward(weights.to(memory_format=memory_format))
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-5, rtol=1e-4)


def test_instance_norm_of_one_pixel_is_its_bias():
    norm = InstanceNorm2d(4, affine=True)
    nn.init.normal_(norm.bias)
    torch.testing.assert_close(
        norm(torch.randn(2, 4, 1, 1)), norm.bias.view(1, 4, 1, 1).expand(2, 4, 1, 1), atol=1e-3, rtol=0
    )


def test_inference_form_repeats_batch_norm_that_trains_on_one_image():
    torch.manual_seed(0)
    network = build(32).generator("unet", in_channels=3, out_channels=3, filters=4, dropout=0.0)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    training = network.train()(image)
    inference = for_inference(network, image_statistics=True)
    torch.testing.assert_close(inference(image), training, atol=1e-5, rtol=1e-4)
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())  # the original is untouched


def test_inference_form_of_one_image_ignores_the_rest_of_the_batch():
    network = build(32).generator("unet", in_channels=3, out_channels=3, filters=4)
    inference = for_inference(network, image_statistics=True)
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(inference(images)[1:2], inference(images[1:2]), atol=1e-5, rtol=1e-5)
