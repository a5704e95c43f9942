"""Halving and doubling of feature maps with a fixed blur, against aliasing (Zhang 2019, arXiv:1904.11486).

CUT's networks halve with the kernel [1, 2, 1] on mirrored borders and double with [1, 3, 3, 1] on repeated ones, which
is bilinear interpolation (Park et al. 2020, arXiv:2007.15651, the authors' code).

Both are linear in rows and in columns. In trainings on a CPU they are computed as products with a matrix for each, in
0.2 to 0.6 of the time of the convolution, forward and backward: its gradient is slow there, in bfloat16 above all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv2d, interpolate, pad

MAX_MATRIX_SIDE = 256
"""Height and width up to which products with matrices are the faster way; their work for each pixel grows with it."""


class BlurHalving(nn.Module):
    """Blurs by [1, 2, 1] / 4 in both directions and keeps every second row and column."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", torch.tensor([0.25, 0.5, 0.25]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, ceil(H / 2), ceil(W / 2))``; H and W at least 2."""
        if _by_matrices(self, x):
            return _separable(x, lambda rows: conv1d(pad(rows, (1, 1), "reflect"), self.kernel[None, None], stride=2))
        channels = x.shape[1]
        kernel = torch.outer(self.kernel, self.kernel).expand(channels, 1, 3, 3)
        return conv2d(pad(x, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=channels)


class BilinearDoubling(nn.Module):
    """Doubles height and width by bilinear interpolation."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> ``(N, C, 2 * H, 2 * W)``."""
        if _by_matrices(self, x):
            return _separable(x, lambda rows: interpolate(rows, scale_factor=2, mode="linear"))
        return interpolate(x, scale_factor=2, mode="bilinear")


def _by_matrices(module: nn.Module, x: Tensor) -> bool:
    return module.training and x.device.type == "cpu" and max(x.shape[2:]) <= MAX_MATRIX_SIDE


def _separable(x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Changes rows, then columns.

    Args:
        x: ``(N, C, H, W)``.
        change: a linear map of signals ``(n, 1, length)``.
    """
    columns, rows = (_matrix(side, change, x) for side in x.shape[2:])
    return columns.T @ (x @ rows)


def _matrix(side: int, change: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """What the map makes of the unit vectors: ``(side, new side)``."""
    wide = torch.float64 if like.dtype == torch.float64 else torch.float32
    with torch.autocast(like.device.type, enabled=False):
        return change(torch.eye(side, dtype=wide, device=like.device)[:, None])[:, 0].to(like.dtype)
