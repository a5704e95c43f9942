"""MSRResNet, the baseline of BasicSR: SRResNet without batch norm, as EDSR has it (Lim et al. 2017, arXiv:1707.02921).

Against SRResNet (Ledig et al. 2017, arXiv:1609.04802, figure 4) it also has 3x3 kernels throughout, LeakyReLU 0.1 for
PReLU, ReLU in the blocks, no skip over all blocks, one more convolution before the last, and the bilinearly enlarged
input added to the result. Its weights start as He et al. 2015 draw them (arXiv:1502.01852) times 0.1, biases at 0.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate

from i2i_srgan.networks.enlarging import STEPS, start_small
from i2i_srgan.networks.value_range import in_range
from i2i_srgan.options import MSRResNetConfig


class PlainBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU in between, added to their input."""

    def __init__(self, filters: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        ends = (nn.Conv2d(filters, filters, 3, padding=1) for _ in range(2))
        self.body = nn.Sequential(next(ends), nn.ReLU(), next(ends))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x + self.scale * self.body(x)


class MSRResNet(nn.Module):
    """Residual blocks at the small size, then enlarging layers, all added to the enlarged input.

    Args:
        config: the options.
        in_channels: channels of the input, which is added if they are as many as of the output, or one.
        out_channels: channels of the output.

    Attributes:
        scale: how many times larger the output is.
    """

    def __init__(self, config: MSRResNetConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        f, self.scale = config.filters, config.scale
        self.adds = in_channels in (1, out_channels)
        self.first = nn.Sequential(nn.Conv2d(in_channels, f, 3, padding=1), nn.LeakyReLU(0.1))
        self.blocks = nn.Sequential(*(PlainBlock(f, config.residual_scale) for _ in range(config.blocks)))
        self.enlarge = nn.Sequential(*(layer for step in STEPS[config.scale] for layer in _enlarging(f, step)))
        self.before_last = nn.Sequential(nn.Conv2d(f, f, 3, padding=1), nn.LeakyReLU(0.1))
        self.last = nn.Conv2d(f, out_channels, 3, padding=1)
        start_small(self, config.init_scale)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, scale * H, scale * W)``, about the input's range."""
        made = self.last(self.before_last(self.enlarge(self.blocks(self.first(x)))))
        if not self.adds:
            return made
        return made + (interpolate(x, scale_factor=self.scale, mode="bilinear") if self.scale > 1 else x)


def build(config: MSRResNetConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds the network, which takes images of any size."""
    return in_range(MSRResNet(config, in_channels, out_channels), config.value_range)


def _enlarging(filters: int, step: int) -> list[nn.Module]:
    return [nn.Conv2d(filters, filters * step**2, 3, padding=1), nn.PixelShuffle(step), nn.LeakyReLU(0.1)]
