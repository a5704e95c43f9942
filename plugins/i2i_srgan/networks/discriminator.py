"""The discriminator of SRGAN (Ledig et al. 2017, arXiv:1609.04802, figure 4), in the manner of VGG.

k3n64s1, then k3n64s2, k3n128s1, k3n128s2, k3n256s1, k3n256s2, k3n512s1, k3n512s2 with batch norm, each with LeakyReLU
0.2; dense 1024, LeakyReLU, dense 1. The dense layers bind it to one image size. The sigmoid is left to the loss.
"""

from __future__ import annotations

from torch import Tensor, nn

import i2i
from i2i_srgan.options import VGGDiscriminatorConfig


class VGGDiscriminator(nn.Module):
    """Eight convolutions of alternating stride 1 and 2, and two dense layers.

    Args:
        config: the options.
        in_channels: channels of the images.
        size: (height, width) of the images.
    """

    def __init__(self, config: VGGDiscriminatorConfig, in_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.features, width, (height, wide) = config.features, in_channels, size
        self.stages = nn.ModuleList()
        for index in range(8):
            previous, width, stride = width, config.filters * 2 ** (index // 2), 1 + index % 2
            norm = config.norm if index else "none"
            self.stages.append(_stage(previous, width, stride, norm))
            height, wide = -(-height // stride), -(-wide // stride)
        minibatch = i2i.minibatch_layer(config.minibatch, width)
        values = minibatch.out_channels * height * wide
        dense = (nn.Flatten(), nn.Linear(values, config.dense), nn.LeakyReLU(0.2), nn.Linear(config.dense, 1))
        self.head = nn.Sequential(minibatch, *dense)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """``(N, C, H, W)`` in [-1, 1] -> logits ``(N, 1)``, or with `features` a tuple: logits, eight feature maps."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        logits = self.head(x)
        return (logits, *maps) if self.features else logits


def build(config: VGGDiscriminatorConfig, *, in_channels: int, size: tuple[int, int]) -> VGGDiscriminator:
    """Builds the discriminator for images of that (height, width).

    Raises:
        ValueError: the images are too small for four halvings.
    """
    least = 16 if config.norm == "none" else 32  # a map of one pixel would be normalised away
    if min(size) < least:
        hint = " or the option norm=none" if least > min(size) >= 16 else ""
        raise ValueError(
            f"SRGAN's discriminator halves the image four times and needs at least {least}x{least} pixels, "
            f"got {size[0]}x{size[1]}: set a larger data.size{hint}"
        )
    return VGGDiscriminator(config, in_channels, size)


def _stage(in_channels: int, channels: int, stride: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, 3, stride, 1, bias=norm != "batch")]
    if norm == "batch":
        layers.append(nn.BatchNorm2d(channels))
    elif norm == "instance":  # torch's own has a wrong gradient on the CPU for channels-last gradients
        layers.append(nn.GroupNorm(channels, channels, affine=False))
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))
