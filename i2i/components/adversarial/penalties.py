"""Penalties on a discriminator's gradient, called as ``penalty(score, real=images, fake=images, ctx=context)``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from i2i.api import Context
from i2i.components.options import GradientPenaltyConfig, R1Config

Score = Callable[[Tensor], Tensor]


class GradientPenalty(nn.Module):
    """WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028, equation 3): ``weight * mean((|grad D(x)| - target)^2)``.

    x is drawn uniformly from the line between a real and a generated image; the norm is over all values of an image.

    Args:
        config: the options.
    """

    penalty = True
    per_image = True

    def __init__(self, config: GradientPenaltyConfig) -> None:
        super().__init__()
        self.config, self.every = config, config.every

    def forward(self, score: Score, *, real: Tensor, fake: Tensor, ctx: Context) -> Tensor:
        """The penalty, a scalar, for images ``(N, ...)`` of equal shape.

        Raises:
            ValueError: the shapes differ.
        """
        if real.shape != fake.shape:
            raise ValueError(f"real and fake images differ in shape: {tuple(real.shape)} and {tuple(fake.shape)}")
        share = ctx.rand(len(real), *[1] * (real.ndim - 1))
        slope = ctx.input_gradient(score, torch.lerp(fake.detach(), real, share)).flatten(1).norm(dim=1)
        excess = slope - self.config.target
        return self.config.weight * (excess.clamp(min=0) if self.config.one_sided else excess).square().mean()


class R1(nn.Module):
    """R1 penalty (Mescheder et al. 2018, arXiv:1801.04406, equation 9): ``weight / 2 * mean(|grad D(real)|^2)``.

    Args:
        config: the options.
    """

    penalty = True
    per_image = True

    def __init__(self, config: R1Config) -> None:
        super().__init__()
        self.weight, self.every = config.weight, config.every

    def forward(self, score: Score, *, real: Tensor, fake: Tensor, ctx: Context) -> Tensor:
        """The penalty, a scalar; `fake` is not looked at."""
        return self.weight / 2 * ctx.input_gradient(score, real).flatten(1).square().sum(1).mean()
