"""Contextual attention: features of holes are copied from known places (Yu et al. 2018, arXiv:1801.07892, section 4).

As in the authors' code: 3x3 patches of every second row and column are compared by cosine similarity; the similarities
of neighbouring shifts are added up, along rows and along columns (equation 5); a softmax of 10 times the sum over the
known patches weighs 4x4 patches of the full feature map, which are put together with their overlaps averaged.

Everything is slices, matrix products and one transposed convolution of constants, so that it can be exported for any
size. Memory grows with the square of the number of places, a 64th of the image's pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 10.0
"""Factor of the similarities in the softmax."""
MIN_NORM = 1e-4
"""Least norm by which a patch is divided."""


class ContextualAttention(nn.Module):
    """Attention from every place of a feature map to those around which all is known; it has no weights."""

    def forward(self, x: Tensor, hole: Tensor) -> Tensor:
        """Puts a feature map together from its own known patches.

        Args:
            x: ``(N, C, H, W)``, both sides even.
            hole: ``(N, 1, H, W)``, 1 in the holes and 0 elsewhere.

        Returns:
            A feature map of the shape of `x`; 0 where nothing at all is known.
        """
        count, channels, height, width = x.shape
        rows, columns = height // 2, width // 2
        known = (F.max_pool2d(hole[..., ::2, ::2], 3, 1, 1) == 0).to(x.dtype).flatten(2)  # (N, 1, places)
        patches = _windows(x[..., ::2, ::2], 3, 1).flatten(1, 2).flatten(2)  # (N, C * 9, places)
        unit = patches / patches.norm(dim=1, keepdim=True).clamp(min=MIN_NORM)
        alike = _fused(patches.transpose(1, 2) @ unit, rows, columns)  # (N, places, known places)
        weights = torch.softmax(alike * known * SCALE, 2) * known
        whole = _windows(x, 4, 2).flatten(1, 2).flatten(2)  # (N, C * 16, places)
        copied = (whole @ weights.transpose(1, 2)).view(count, channels * 16, rows, columns)
        paste = torch.eye(16, dtype=x.dtype, device=x.device).view(16, 1, 4, 4).repeat(channels, 1, 1, 1)
        return F.conv_transpose2d(copied, paste, stride=2, padding=1, groups=channels) / 4


def _windows(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Windows around the pixels of every `stride`-th row and column: ``(N, C, kernel^2, H / stride, W / stride)``."""
    height, width = x.shape[2] // stride, x.shape[3] // stride
    padded = F.pad(x, (1, 1, 1, 1))
    pieces = [
        padded[..., row : row + (height - 1) * stride + 1 : stride, column : column + (width - 1) * stride + 1 : stride]
        for row in range(kernel)
        for column in range(kernel)
    ]
    return torch.stack(pieces, 2)


def _fused(alike: Tensor, rows: int, columns: int) -> Tensor:
    """Similarities plus those of the places before and after both, first row by row, then column by column."""
    for height, width in ((rows, columns), (columns, rows)):
        padded = F.pad(alike, (1, 1, 1, 1))
        alike = padded[:, :-2, :-2] + padded[:, 1:-1, 1:-1] + padded[:, 2:, 2:]
        grid = alike.view(-1, height, width, height, width).transpose(1, 2).transpose(3, 4)
        alike = grid.reshape(-1, height * width, height * width)
    return alike
