"""DnCNN (Zhang et al. 2017, arXiv:1608.03981, section III): a plain network that predicts the noise in an image.

A convolution and ReLU; convolutions, batch norm and ReLU; a convolution. All are 3x3, so that a network of d layers
sees a square of 2 d + 1 pixels.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

import i2i


class DnCNNConfig(i2i.Config):
    """Options of the network."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of every layer."""
    blocks: Annotated[int, Field(ge=0)] = 15
    """Layers with batch norm: 15 for one strength of noise, 18 for any (DnCNN-B); two layers without come on top."""


class DnCNN(nn.Module):
    """Subtracts the noise that it finds.

    Args:
        config: see `DnCNNConfig`.
        in_channels: channels of the noisy image.
        out_channels: channels of the clean image; where they are others, the noise is subtracted from the mean channel.
        size: not used.
    """

    def __init__(
        self, config: DnCNNConfig, *, in_channels: int, out_channels: int, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        width = config.filters
        layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU()]
        for _ in range(config.blocks):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.noise = nn.Sequential(*layers, nn.Conv2d(width, out_channels, 3, padding=1))
        self.same_channels = in_channels == out_channels

    def forward(self, image: Tensor) -> Tensor:
        """Noisy images ``(N, C, H, W)`` in [-1, 1] -> clean ones in the same range."""
        noise: Tensor = self.noise(image)
        base = image if self.same_channels else image.mean(1, keepdim=True)
        return (base - noise).clamp(-1, 1)
