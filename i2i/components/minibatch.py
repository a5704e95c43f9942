"""Layers that let a discriminator see how images of a batch differ, against mode collapse.

A discriminator puts one of them before its last layer. They look at the images of one process.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.components.options import MinibatchName


class MinibatchStd(nn.Module):
    """Minibatch standard deviation (Karras et al. 2018, arXiv:1710.10196, section 3).

    Adds one channel: the standard deviation of every value over the batch, averaged over channels and pixels.

    Args:
        channels: channels of the input.

    Attributes:
        out_channels: ``channels + 1``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels + 1

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C + 1, H, W)``; with one image the new channel is 0.0001."""
        # the small number inside keeps the root's gradient finite where all images are equal
        spread = (x.var(0, correction=0) + 1e-8).sqrt().mean()
        return torch.cat([x, spread.expand(x.shape[0], 1, *x.shape[2:])], 1)


class MinibatchDiscrimination(nn.Module):
    """Minibatch discrimination (Salimans et al. 2016, arXiv:1606.03498, section 3.2).

    The channels' means f of an image are mapped to rows ``M_b = f T_b``; the output for image i is
    ``o_b = sum_j exp(-|M_ib - M_jb|_1)`` over the batch, repeated at every pixel.

    Args:
        channels: channels of the input.
        outputs: number of rows b, the channels added.
        dimensions: length of a row.

    Attributes:
        out_channels: ``channels + outputs``.
    """

    def __init__(self, channels: int, outputs: int = 16, dimensions: int = 8) -> None:
        super().__init__()
        self.outputs, self.out_channels = outputs, channels + outputs
        self.projection = nn.Linear(channels, outputs * dimensions, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C + outputs, H, W)``."""
        rows = self.projection(x.mean((2, 3))).unflatten(1, (self.outputs, -1))  # (N, outputs, dimensions)
        distance = (rows[:, None] - rows[None]).abs().sum(3)  # (N, N, outputs)
        closeness = torch.exp(-distance).sum(1)
        return torch.cat([x, closeness[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


class _Unchanged(nn.Identity):
    """An identity with the attribute `out_channels` of the other layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels


def minibatch_layer(name: MinibatchName, channels: int) -> MinibatchStd | MinibatchDiscrimination | _Unchanged:
    """The layer of that name: ``(N, channels, H, W)`` -> ``(N, layer.out_channels, H, W)``.

    Args:
        name: ``none``, ``std`` or ``discrimination``.
        channels: channels of the input.
    """
    if name == "none":
        return _Unchanged(channels)
    return MinibatchStd(channels) if name == "std" else MinibatchDiscrimination(channels)
