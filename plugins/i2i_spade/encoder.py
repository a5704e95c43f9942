"""The image encoder of SPADE's variational autoencoder (Park et al. 2019, arXiv:1903.07291, appendix A, figure 14)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu
from torch.nn.utils.parametrizations import spectral_norm

SMALLEST = 4
"""Height and width of the last feature maps."""
MAX_LAYERS = 6
"""Layers of the paper's encoder, for 256 pixels."""
WIDEST = 8
"""The layer with the most channels has this many times those of the first."""


class StyleEncoder(nn.Module):
    """Image to mean and logarithm of the variance of its style.

    Images are resized to a square first, of 256 pixels in the paper, and here of the largest power of two within the
    training size.

    Args:
        channels: channels of the images.
        filters: channels of the first layer.
        style: length of a style.
        size: (height, width) of the training images.

    Raises:
        ValueError: the images are smaller than 8 pixels.
    """

    def __init__(self, channels: int, filters: int, style: int, size: tuple[int, int]) -> None:
        super().__init__()
        layers = min(MAX_LAYERS, (min(size) // SMALLEST).bit_length() - 1)
        if layers < 1:
            raise ValueError(f"the encoder needs images of at least 8 pixels, got {size[0]}x{size[1]}: set data.size")
        self.side = SMALLEST * 2**layers
        widths = [channels, *(filters * min(2**layer, WIDEST) for layer in range(layers))]
        self.convolutions = nn.ModuleList(
            spectral_norm(_drawn(nn.Conv2d(into, out, 3, 2, 1, bias=False))) for into, out in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(width, width, affine=False) for width in widths[1:])
        self.mean, self.log_variance = (_drawn(nn.Linear(widths[-1] * SMALLEST**2, style)) for _ in range(2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, C, H, W)`` in [-1, 1] -> mean and logarithm of the variance, each ``(N, style)``."""
        x = interpolate(images, size=(self.side, self.side), mode="bilinear", align_corners=False)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = leaky_relu(norm(convolution(x)), 0.2)
        x = x.flatten(1)
        return self.mean(x), self.log_variance(x)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of styles from N(0, 1) (Kingma & Welling 2014, arXiv:1312.6114, appendix B).

    The authors' code adds up the images of a GPU; here it is their mean, so that it does not depend on their number.

    Args:
        mean: ``(N, style)``.
        log_variance: ``(N, style)``, natural logarithms.

    Returns:
        Scalar: the sum over a style, and the mean over the images.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()


def drawn_style(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """A style of that distribution from `noise`, N(0, 1), all ``(N, style)`` (the same paper, section 2.4)."""
    return mean + torch.exp(0.5 * log_variance) * noise


def _drawn(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    nn.init.xavier_normal_(layer.weight, 0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
