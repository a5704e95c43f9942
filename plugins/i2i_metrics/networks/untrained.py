"""A small network of fixed random weights, so that figures of sets can be compared where no weights can be had.

Random features of several scales tell distributions apart (Saxe et al. 2011, On random weights and unsupervised
feature learning), if less finely than trained ones. Images are resized to 64x64 pixels. Each of four 3x3 convolutions,
of stride 2 from the second on, is followed by a leaky ReLU; they have 16, 32, 64 and 64 channels. The features are the
mean and the standard deviation of each channel of each of them: 352 numbers. The weights are normal with the variance
of He et al. 2015 (arXiv:1502.01852), from numpy's Mersenne twister with seed 0, whose numbers never change.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i_metrics.preparing import RESIZE, as_colour, resized

SIDE, CHANNELS, SLOPE = 64, (3, 16, 32, 64, 64), 0.2


class RandomFeatures(nn.Module):
    """The network.

    Args:
        config: it has no options.

    Attributes:
        protocol: name and resizing.
    """

    def __init__(self, config: i2i.Config) -> None:
        super().__init__()
        draw = np.random.RandomState(0)
        for number, (into, out) in enumerate(pairwise(CHANNELS)):
            scale = (2 / ((1 + SLOPE**2) * 9 * into)) ** 0.5
            weights = torch.from_numpy(draw.standard_normal((out, into, 3, 3)) * scale).float()
            self.register_buffer(f"weights{number}", weights, persistent=False)
        self.protocol = {"network": "random", "resize": f"{RESIZE}, {SIDE}"}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Four feature maps.

        Args:
            images: ``(N, 3, H, W)`` in [-1, 1], or of one channel, which is repeated.
        """
        x, maps = resized(as_colour(images), SIDE), []
        for number in range(len(CHANNELS) - 1):
            weights = self.get_buffer(f"weights{number}")
            x = F.leaky_relu(F.conv2d(x, weights, stride=2 if number else 1, padding=1), SLOPE)
            maps.append(x)
        return maps

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        """Features ``(N, 352)``: mean and standard deviation of each channel."""
        maps = [one.flatten(2) for one in self(images)]
        return {"features": torch.cat([part for one in maps for part in (one.mean(2), one.std(2, correction=0))], 1)}
