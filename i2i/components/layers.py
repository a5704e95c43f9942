"""Normalisation, upsampling and initialisation that the networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.components.antialias import BilinearDoubling
from i2i.components.options import InitName, NormName, UpsampleName


class InstanceNorm2d(nn.Module):
    """Instance normalisation (Ulyanov et al. 2016, arXiv:1607.08022, equation 4).

    It is group normalisation with a group for each channel.

    `torch.nn.InstanceNorm2d` is not used because on the CPU, with one image and a channels-last gradient, it returns a
    wrong input gradient, and because it refuses 1x1 images, whose result is the bias.

    Args:
        channels: number of channels.
        affine: learn a scale and a shift for each channel.
        eps: added to the variance.
    """

    def __init__(self, channels: int, *, affine: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises each channel of each image of ``(N, C, H, W)`` over its pixels."""
        return torch.group_norm(x, self.channels, self.weight, self.bias, self.eps, torch.backends.cudnn.enabled)

    def extra_repr(self) -> str:
        """Channels, and whether there are learned parameters."""
        return f"{self.channels}, affine={self.weight is not None}"


class SequentialDiscriminator(nn.Sequential):
    """A discriminator whose layers follow each other; it can return the activations besides the logits.

    Args:
        layers: the layers; the last one gives the logits.
        features: whether to return the activations too.
    """

    def __init__(self, *layers: nn.Module, features: bool = False) -> None:
        super().__init__(*layers)
        self.features = features

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """``(N, C, H, W)`` -> logits, or a tuple of logits and the output of every activation."""
        if not self.features:
            return super().forward(x)
        features = []
        for layer in self:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return x, *features


def norm_layer(name: NormName, channels: int) -> nn.Module:
    """The normalisation of that name; instance norm without parameters, as in CycleGAN."""
    if name == "batch":
        return nn.BatchNorm2d(channels)
    return InstanceNorm2d(channels) if name == "instance" else nn.Identity()


def upsample(name: UpsampleName, in_channels: int, out_channels: int, *, kernel: int, bias: bool) -> nn.Module:
    """Doubles the size: a transposed convolution, or resizing and a 3x3 convolution.

    Resizing leaves no checkerboard (Odena et al. 2016, doi:10.23915/distill.00003).

    Args:
        name: ``deconv``, ``resize`` (nearest neighbour) or ``bilinear``.
        in_channels: channels before.
        out_channels: channels after.
        kernel: kernel of the transposed convolution, 3 or 4.
        bias: whether the convolution has a bias.
    """
    if name == "deconv":
        return nn.ConvTranspose2d(in_channels, out_channels, kernel, 2, 1, output_padding=kernel % 2, bias=bias)
    resize = BilinearDoubling() if name == "bilinear" else nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(resize, nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias))


@torch.no_grad()
def init_weights(module: nn.Module, std: float | None, init: InitName = "normal") -> nn.Module:
    """Draws convolutions from a normal distribution and norm scales from N(1, std), with zero biases.

    Args:
        module: changed in place.
        std: standard deviation, 0.02 in the pix2pix paper; ``None`` keeps torch's own initialisation.
        init: ``normal``: convolutions from N(0, std), as pix2pix has them. ``xavier``: their deviation follows from
            their channels (Glorot and Bengio 2010, equation 16, as a normal distribution), and `std` is its factor.

    Returns:
        The same module.
    """
    if std is None:
        return module
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if init == "xavier":
                nn.init.xavier_normal_(layer.weight, gain=std)
            else:
                layer.weight.normal_(0.0, std)
        elif isinstance(layer, nn.BatchNorm2d | InstanceNorm2d) and layer.weight is not None:
            layer.weight.normal_(1.0, std)
        else:
            continue
        if layer.bias is not None:
            layer.bias.zero_()
    return module


@torch.no_grad()
def init_xavier(module: nn.Module, gain: float = 0.02) -> nn.Module:
    """Draws convolutions and linear layers as Glorot & Bengio 2010 (equation 16, normal), with zero biases.

    Args:
        module: changed in place.
        gain: factor of the standard deviation.

    Returns:
        The same module.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                layer.bias.zero_()
    return module
