"""RRDBNet, the generator of ESRGAN (Wang et al. 2018, arXiv:1809.00219, section 3.1 and figures 3 and 4).

Residual in residual dense blocks without batch norm: three dense blocks of five 3x3 convolutions each, the residual of
every block and of every triple scaled by beta = 0.2. Enlarging is nearest-neighbour resizing and a convolution, as in
the authors' released models. The blocks start with small weights: He's times 0.1 (section 3.1, supplementary material).

With `unshuffle` it is the generator of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, section 3.3): at scales 2 and
1 the pixels of 2x2 or 4x4 squares become channels first, the blocks work at a quarter of the output's size, and
enlarging is by 4, as at scale 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i_srgan.networks.enlarging import STEPS, Interpolated, start_small
from i2i_srgan.networks.value_range import in_range
from i2i_srgan.options import RRDBConfig

UNSHUFFLED = {1: 4, 2: 2}
"""Sides of the squares whose pixels become channels, by scale."""


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each of which sees the input and the outputs of those before it."""

    def __init__(self, config: RRDBConfig) -> None:
        super().__init__()
        f, growth = config.filters, config.growth
        self.scale = config.residual_scale
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(f + index * growth, growth, 3, padding=1), nn.LeakyReLU(0.2)) for index in range(4)
        )
        self.fuse = nn.Conv2d(f + 4 * growth, f, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        maps = [x]
        for layer in self.grow:
            maps.append(layer(torch.cat(maps, 1)))
        return x + self.scale * self.fuse(torch.cat(maps, 1))


class RRDB(nn.Module):
    """Residual in residual dense block: three dense blocks, added to their input."""

    def __init__(self, config: RRDBConfig) -> None:
        super().__init__()
        self.scale = config.residual_scale
        self.body = nn.Sequential(*(DenseBlock(config) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x + self.scale * self.body(x)


class RRDBNet(nn.Module):
    """RRDBs at the small size, then enlarging layers.

    Args:
        config: the options.
        in_channels: channels of the input.
        out_channels: channels of the output.

    Attributes:
        scale: how many times larger the output is.
        multiple: what the sides of an image must be divisible by.
    """

    def __init__(self, config: RRDBConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        f = config.filters
        self.scale = config.scale
        self.multiple = UNSHUFFLED.get(config.scale, 1) if config.unshuffle else 1
        inner_scale = config.scale * self.multiple
        self.unshuffle = nn.PixelUnshuffle(self.multiple) if self.multiple > 1 else nn.Identity()
        self.first = nn.Conv2d(in_channels * self.multiple**2, f, 3, padding=1)
        self.blocks = nn.Sequential(*(RRDB(config) for _ in range(config.blocks)), nn.Conv2d(f, f, 3, padding=1))
        self.enlarge = nn.Sequential(*(layer for step in STEPS[inner_scale] for layer in _enlarging(f, step)))
        self.before_last = nn.Sequential(nn.Conv2d(f, f, 3, padding=1), nn.LeakyReLU(0.2))
        self.last = nn.Conv2d(f, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, scale * H, scale * W)``, of about the targets' range."""
        x = self.first(self.unshuffle(x))
        return self.last(self.before_last(self.enlarge(x + self.blocks(x))))


def build(config: RRDBConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds RRDBNet, which takes images of any size, or with `unshuffle` of sides that are multiples.

    Raises:
        ValueError: `interpolate` with channels that cannot be added, or sides that are no multiples.
    """
    network = RRDBNet(config, in_channels, out_channels)
    if size[0] % network.multiple or size[1] % network.multiple:
        raise ValueError(
            f"unshuffle at scale {config.scale} needs sides that are divisible by {network.multiple}, "
            f"got {size[0]}x{size[1]}: change data.size"
        )
    start_small(network.blocks[:-1], config.init_scale)
    if not config.interpolate:
        return in_range(network, config.value_range)
    added = Interpolated(network, network.last, scale=config.scale, in_channels=in_channels)
    return in_range(added, config.value_range)


def _enlarging(filters: int, step: int) -> list[nn.Module]:
    convolution = nn.Conv2d(filters, filters, 3, padding=1)
    return [nn.Upsample(scale_factor=step, mode="nearest"), convolution, nn.LeakyReLU(0.2)]
