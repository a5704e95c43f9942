"""What super-resolution networks share: factors of a scale, adding to an interpolated input, small initial weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

STEPS: dict[int, tuple[int, ...]] = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
"""The factors of the enlarging layers one after the other; scale 1 restores an image at its own size."""


class Interpolated(nn.Module):
    """Adds the bicubically enlarged input to a network's output (VDSR: Kim et al. 2016, arXiv:1511.04587, section 3).

    The network's last convolution is set to zero, so that training starts at the interpolation itself. The kernel is
    that of torch and OpenCV (a = -0.75), which on Set5 is 0.2 to 0.3 dB ahead of MATLAB's.

    Args:
        network: a super-resolution network.
        last: its last convolution.
        scale: its scale.
        in_channels: channels of the input: as many as of the output, or one.

    Attributes:
        scale: how many times larger the output is.
        multiple: what the sides of an image must be divisible by.

    Raises:
        ValueError: the channels cannot be added.
    """

    def __init__(self, network: nn.Module, last: nn.Conv2d, *, scale: int, in_channels: int) -> None:
        super().__init__()
        if in_channels not in (1, last.out_channels):
            raise ValueError(
                f"interpolate adds the input of {in_channels} channels to the output of {last.out_channels}: "
                "set interpolate=false"
            )
        self.network, self.scale, self.multiple = network, scale, getattr(network, "multiple", 1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1] -> ``(N, C', scale * H, scale * W)``, about [-1, 1]."""
        return self.network(x) + interpolate(x, scale_factor=self.scale, mode="bicubic")


@torch.no_grad()
def start_small(network: nn.Module, scale: float) -> None:
    """Draws the weights of all convolutions as He et al. 2015 do (arXiv:1502.01852), times the scale; biases are 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight).mul_(scale)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
