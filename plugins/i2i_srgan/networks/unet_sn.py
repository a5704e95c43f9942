"""The U-Net discriminator of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, section 3.3 and figure 6).

It gives a logit for each pixel: three halvings by 4x4 convolutions of stride 2, three bilinear doublings with a 3x3
convolution each, to whose outputs those of the halvings are added, and two more convolutions. All but the first and the
last have spectral norm (Miyato et al. 2018, arXiv:1802.05957) and no bias. The sigmoid is left to the loss.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

from i2i_srgan.networks.value_range import to_range
from i2i_srgan.options import UNetDiscriminatorConfig

HALVINGS = 3


class UNetDiscriminator(nn.Module):
    """Encoder and decoder that judge each pixel of an image.

    Args:
        config: the options.
        in_channels: channels of the images.
    """

    def __init__(self, config: UNetDiscriminatorConfig, in_channels: int) -> None:
        super().__init__()
        self.features, self.skips, self.limits = config.features, config.skips, config.value_range
        widths = [config.filters * 2**level for level in range(HALVINGS + 1)]
        self.first = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(_layer(a, b, 4, 2) for a, b in pairwise(widths))
        widths.reverse()
        self.up = nn.ModuleList(_layer(a, b, 3, 1) for a, b in pairwise(widths))
        self.refine = nn.ModuleList(_layer(config.filters, config.filters, 3, 1) for _ in range(2))
        self.last = nn.Conv2d(config.filters, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """``(N, C, H, W)`` in [-1, 1] -> logits ``(N, 1, H, W)``; with `features` a tuple: logits, nine maps."""
        maps = [leaky_relu(self.first(to_range(x, self.limits)), 0.2)]
        for layer in self.down:
            maps.append(leaky_relu(layer(maps[-1]), 0.2))
        for level, layer in enumerate(self.up, start=1):
            larger = interpolate(maps[-1], scale_factor=2, mode="bilinear")
            made = leaky_relu(layer(larger), 0.2)
            maps.append(made + maps[HALVINGS - level] if self.skips else made)
        for layer in self.refine:
            maps.append(leaky_relu(layer(maps[-1]), 0.2))
        logits = self.last(maps[-1])
        return (logits, *maps) if self.features else logits


def build(config: UNetDiscriminatorConfig, *, in_channels: int, size: tuple[int, int]) -> UNetDiscriminator:
    """Builds the discriminator, whose images' sides are multiples of 8.

    Raises:
        ValueError: the images have other sides.
    """
    if size[0] % 2**HALVINGS or size[1] % 2**HALVINGS:
        raise ValueError(
            f"the U-Net halves the image three times, so its sides must be divisible by {2**HALVINGS}, "
            f"got {size[0]}x{size[1]}: change data.size"
        )
    return UNetDiscriminator(config, in_channels)


def _layer(in_channels: int, channels: int, kernel: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(in_channels, channels, kernel, stride, 1, bias=False))
