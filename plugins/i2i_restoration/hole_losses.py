"""Losses of inpainting by partial convolutions (Liu et al. 2018, arXiv:1804.07723, section 3.3, equations 3 to 7).

Sums over pixels are divided as in the paper, and averaged over the batch. The total variation is that of the hole and
one pixel around it, as the paper says, not of the whole image, as a well-known other implementation has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Features = Callable[[Tensor], Sequence[Tensor]]
"""A feature network: images ``(N, C, H, W)`` in [-1, 1] -> feature maps."""


def hole_and_valid(made: Tensor, real: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute error in the hole, and outside of it, both divided by the number of all values (before equation 3).

    Args:
        made: images ``(N, C, H, W)``.
        real: images of that shape.
        mask: ``(N, 1, H, W)``, 1 in the holes and 0 elsewhere.

    Returns:
        Two scalars, whose sum is the mean absolute error.
    """
    error = (made - real).abs()
    return (mask * error).mean(), ((1 - mask) * error).mean()


def perceptual_and_style(features: Features, made: Tensor, filled: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of feature maps (equation 3), and of their correlations (equations 4 and 5).

    The result is compared with the real image both as it is and with the known pixels in it.

    Args:
        features: the feature network.
        made: the generator's images ``(N, C, H, W)`` in [-1, 1].
        filled: the same with the known pixels.
        real: the real images.

    Returns:
        Two scalars, sums over the feature maps.
    """
    with torch.no_grad():
        of_real = features(real)
    perceptual, style = [], []
    for images in (made, filled):
        for one, true in zip(features(images), of_real, strict=True):
            perceptual.append((one - true).abs().mean())
            style.append((correlations(one) - correlations(true)).abs().mean())
    return torch.stack(perceptual).sum(), torch.stack(style).sum()


def correlations(features: Tensor) -> Tensor:
    """Gram matrices ``(N, C, C)`` of feature maps ``(N, C, H, W)``, divided by C * H * W."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def total_variation(filled: Tensor, mask: Tensor) -> Tensor:
    """Absolute differences of neighbours that are both in the hole or next to it (equation 6).

    Args:
        filled: images ``(N, C, H, W)`` with the known pixels.
        mask: ``(N, 1, H, W)``, 1 in the holes and 0 elsewhere.

    Returns:
        Scalar: the sum over all pairs of neighbours, divided by the number of all values.
    """
    region = F.max_pool2d(mask, 3, 1, 1)
    across = (filled[..., 1:] - filled[..., :-1]).abs() * region[..., 1:] * region[..., :-1]
    down = (filled[..., 1:, :] - filled[..., :-1, :]).abs() * region[..., 1:, :] * region[..., :-1, :]
    return (across.sum() + down.sum()) / filled.numel()
