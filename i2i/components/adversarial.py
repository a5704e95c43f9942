"""Adversarial losses on logits, called as ``loss(player, real=logits, fake=logits)``."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from i2i.api import Config

Player = Literal["discriminator", "generator"]


class NonSaturating(nn.Module):
    """GAN loss with the non-saturating generator (Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and section 3).

    With D = sigmoid(logit): the discriminator minimises ``-log D(real) - log(1 - D(fake))``, the generator
    ``-log D(fake)``.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()

    def forward(self, player: Player, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The player's loss: a scalar, the mean over all logits. The generator's does not need `real`."""
        if player == "generator":
            return softplus(-fake).mean()
        assert real is not None
        return softplus(-real).mean() + softplus(fake).mean()


class LeastSquares(nn.Module):
    """Least-squares GAN (Mao et al. 2017, arXiv:1611.04076, equation 9 times 2): targets 1 for real, 0 for fake.

    The discriminator minimises ``(D(real) - 1)^2 + D(fake)^2``, the generator ``(D(fake) - 1)^2``.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()

    def forward(self, player: Player, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The player's loss: a scalar, the mean over all logits. The generator's does not need `real`."""
        if player == "generator":
            return torch.square(fake - 1).mean()
        assert real is not None
        return torch.square(real - 1).mean() + torch.square(fake).mean()
