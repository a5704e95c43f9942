"""PSNR image by image, as papers on denoising report it."""

from __future__ import annotations

import math

from torch import Tensor

import i2i


class MeanPSNR:
    """``10 log10(255^2 / mean squared error)`` in dB of each image, rounded to 8 bits; the mean over the images.

    The built-in `psnr` takes the pixels of all images together, so that the worst images rule it. An image without any
    error counts like one with a single value off by one step.

    Args:
        config: without options.
    """

    higher_is_better = True

    def __init__(self, config: i2i.Config) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets all images."""
        self.total, self.images = 0.0, 0

    def update(self, output: Tensor, target: Tensor) -> None:
        """Takes images ``(N, C, H, W)`` in [-1, 1] in."""
        steps = [((images.double().clamp(-1, 1) + 1) * 127.5).round() for images in (output, target)]
        for error in (steps[0] - steps[1]).square():
            self.total += 10 * math.log10(255**2 / max(error.mean().item(), 1 / error.numel()))
            self.images += 1

    def compute(self) -> float:
        """Mean over the images seen."""
        return self.total / max(self.images, 1)
