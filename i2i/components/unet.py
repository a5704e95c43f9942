"""U-Net generator of pix2pix (Isola et al. 2017, arXiv:1611.07004, appendix 6.1.1).

The paper's dropout sits on decoder layers 1-3, the authors' later PyTorch code has it on 2-4: `dropout_layers` chooses.
The paper's text puts batch norm on the 1x1 bottleneck, which leaves nothing of it when one image trains; the erratum
takes it away, and so does the default here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from i2i.components.layers import init_weights, norm_layer, upsample
from i2i.components.options import UNetConfig
from i2i.config import size_text


class UNet(nn.Module):
    """Encoder of stride-2 convolutions, decoder of the same depth, each level joined with its mirror image.

    Args:
        config: the options; `depth` must be set.
        in_channels: channels of the input.
        out_channels: channels of the output.

    Attributes:
        multiple: height and width must be divisible by this, ``2 ** depth``.
    """

    def __init__(self, config: UNetConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        assert config.depth is not None
        depth = config.depth
        self.multiple = 2**depth
        widths = [config.filters * min(2**level, 8) for level in range(depth)]
        bias = config.norm != "batch"  # batch norm's shift makes it redundant
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            innermost = level == depth - 1
            normed = level > 0 and (not innermost or config.bottleneck_norm)
            self.down.append(
                nn.Sequential(
                    nn.Identity() if level == 0 else nn.LeakyReLU(0.2),
                    nn.Conv2d(widths[level - 1] if level else in_channels, width, 4, 2, 1, bias=bias),
                    norm_layer(config.norm if normed else "none", width),
                )
            )
        for layer in range(1, depth):  # from the bottleneck outwards
            width_in, width_out = widths[depth - layer], widths[depth - layer - 1]
            has_dropout = layer in config.dropout_layers and layer <= depth - 4 and config.dropout > 0
            self.up.append(
                nn.Sequential(
                    nn.ReLU(),
                    upsample(config.upsample, width_in * (1 if layer == 1 else 2), width_out, kernel=4, bias=bias),
                    norm_layer(config.norm, width_out),
                    nn.Dropout(config.dropout) if has_dropout else nn.Identity(),
                )
            )
        last = upsample(config.upsample, widths[0] * 2, out_channels, kernel=4, bias=True)
        self.up.append(nn.Sequential(nn.ReLU(), last, nn.Tanh()))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``, both in [-1, 1]."""
        skips = self.features(x)
        x = self.up[0](skips.pop())
        for up in list(self.up)[1:]:
            x = up(torch.cat([skips.pop(), x], 1))
        return x

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps of the encoder for images ``(N, in_channels, H, W)``, each half the size of the one before."""
        maps = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        return maps


def build(config: UNetConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> UNet:
    """Builds the U-Net for training images of that (height, width).

    Raises:
        ValueError: the size is not divisible by ``2 ** depth``.
    """
    depth = config.depth or max(2, min(8, int(math.log2(min(size)))))
    if any(side % 2**depth for side in size):
        height, width = (max(1, round(side / 2**depth)) * 2**depth for side in size)
        raise ValueError(
            f"a U-Net of depth {depth} needs sides divisible by {2**depth}, got {size[0]}x{size[1]}: "
            f"set data.size={size_text((height, width))}, or a smaller depth of the generator"
        )
    network = UNet(config.model_copy(update={"depth": depth}), in_channels, out_channels)
    init_weights(network, config.init_std)
    return network
