"""SRResNet, the generator of SRGAN (Ledig et al. 2017, arXiv:1609.04802, figure 4).

k9n64s1, PReLU, B residual blocks (k3n64s1, batch norm, PReLU, k3n64s1, batch norm), k3n64s1 and batch norm with a skip
over all blocks, k3n256s1 with pixel shuffle and PReLU for each doubling, k9n3s1. Each PReLU learns one slope.
"""

from __future__ import annotations

from torch import Tensor, nn

from i2i_srgan.networks.enlarging import STEPS, Interpolated
from i2i_srgan.networks.value_range import in_range
from i2i_srgan.options import SRResNetConfig


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, normalised, added to their input."""

    def __init__(self, config: SRResNetConfig) -> None:
        super().__init__()
        self.scale = config.residual_scale
        self.body = nn.Sequential(*_convolution(config), nn.PReLU(), *_convolution(config))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x + self.scale * self.body(x)


class SRResNet(nn.Module):
    """Residual blocks at the small size, then enlarging layers.

    Args:
        config: the options.
        in_channels: channels of the input.
        out_channels: channels of the output.

    Attributes:
        scale: how many times larger the output is.
    """

    def __init__(self, config: SRResNetConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        f, kernel = config.filters, config.kernel
        self.scale = config.scale
        self.first = nn.Sequential(nn.Conv2d(in_channels, f, kernel, padding=kernel // 2), nn.PReLU())
        self.blocks = nn.Sequential(*(ResidualBlock(config) for _ in range(config.blocks)), *_convolution(config))
        self.enlarge = nn.Sequential(*(layer for step in STEPS[config.scale] for layer in _enlarging(config, step)))
        self.last = nn.Conv2d(f, out_channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` in [-1, 1] -> ``(N, out_channels, scale * H, scale * W)``, about [-1, 1]."""
        x = self.first(x)
        return self.last(self.enlarge(x + self.blocks(x)))


def build(config: SRResNetConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds SRResNet, which takes images of any size.

    Raises:
        ValueError: `interpolate` with channels that cannot be added.
    """
    network = SRResNet(config, in_channels, out_channels)
    if not config.interpolate:
        return in_range(network, config.value_range)
    added = Interpolated(network, network.last, scale=config.scale, in_channels=in_channels)
    return in_range(added, config.value_range)


def _convolution(config: SRResNetConfig) -> list[nn.Module]:
    convolution = nn.Conv2d(config.filters, config.filters, 3, padding=1)
    return [convolution, nn.BatchNorm2d(config.filters)] if config.norm == "batch" else [convolution]


def _enlarging(config: SRResNetConfig, step: int) -> list[nn.Module]:
    f = config.filters
    if config.upsample == "shuffle":
        return [nn.Conv2d(f, f * step**2, 3, padding=1), nn.PixelShuffle(step), nn.PReLU()]
    return [nn.Upsample(scale_factor=step, mode="nearest"), nn.Conv2d(f, f, 3, padding=1), nn.PReLU()]
