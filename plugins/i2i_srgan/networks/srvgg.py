"""SRVGGNetCompact, the small generator of Real-ESRGAN's models for videos, cartoons and general scenes.

It came after the paper (Wang et al. 2021, arXiv:2107.10833), in the authors' code: a chain of 3x3 convolutions at the
small size, one pixel shuffle at its end, and the input, enlarged by repeating its pixels, added to the result.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import interpolate

from i2i_srgan.networks.value_range import in_range
from i2i_srgan.options import SRVGGConfig


class SRVGG(nn.Module):
    """A chain of convolutions that predicts what the enlarged input lacks.

    Args:
        config: the options.
        in_channels: channels of the input, which is added if they are as many as of the output, or one.
        out_channels: channels of the output.

    Attributes:
        scale: how many times larger the output is.
    """

    def __init__(self, config: SRVGGConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        f, self.scale = config.filters, config.scale
        self.adds = in_channels in (1, out_channels)
        layers: list[nn.Module] = [nn.Conv2d(in_channels, f, 3, padding=1), _activation(config)]
        for _ in range(config.blocks):
            layers += [nn.Conv2d(f, f, 3, padding=1), _activation(config)]
        self.body = nn.Sequential(*layers, nn.Conv2d(f, out_channels * self.scale**2, 3, padding=1))
        self.shuffle = nn.PixelShuffle(self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, scale * H, scale * W)``, about the input's range."""
        made = self.shuffle(self.body(x))
        if not self.adds:
            return made
        return made + (interpolate(x, scale_factor=self.scale, mode="nearest") if self.scale > 1 else x)


def build(config: SRVGGConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds the network, which takes images of any size."""
    return in_range(SRVGG(config, in_channels, out_channels), config.value_range)


def _activation(config: SRVGGConfig) -> nn.Module:
    if config.activation == "prelu":
        return nn.PReLU(config.filters)
    return nn.ReLU() if config.activation == "relu" else nn.LeakyReLU(0.1)
