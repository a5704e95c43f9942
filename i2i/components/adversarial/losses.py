"""Adversarial losses on logits, called as ``loss(player, real=logits, fake=logits)``.

Each returns a scalar, the mean over all logits. In formulas D is the probability ``sigmoid(logit)`` for the losses that
are cross-entropies, and the logit itself for the others.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, softplus

from i2i.api import Config
from i2i.components.collective import all_mean
from i2i.components.options import RelativisticConfig, SmoothingConfig

Player = Literal["discriminator", "generator"]
"""The two players of the adversarial game: whose loss is asked for."""


class NonSaturating(nn.Module):
    """GAN loss with the non-saturating generator (Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and section 3).

    The discriminator minimises ``-log D(real) - log(1 - D(fake))``, the generator ``-log D(fake)``. With smoothing s
    the first term is ``-(1 - s) log D(real) - s log(1 - D(real))`` (Salimans et al. 2016, arXiv:1606.03498, 3.4).

    Attributes:
        boundary: logits above it mean real, here and in the other losses that have one.
    """

    boundary = 0.0

    def __init__(self, config: SmoothingConfig) -> None:
        super().__init__()
        self.smoothing = config.smoothing

    def forward(self, player: Player, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The loss of a player from logits of any shape; only the discriminator's needs those of `real` images."""
        return softplus(-fake).mean() if player == "generator" else _cross_entropy(fake, real, self.smoothing)


class Minimax(nn.Module):
    """The game with one value for both players (Goodfellow et al. 2014, arXiv:1406.2661, equation 1).

    As `NonSaturating`, but the generator minimises ``log(1 - D(fake))``, whose gradient vanishes where the
    discriminator is sure.
    """

    boundary = 0.0

    def __init__(self, config: SmoothingConfig) -> None:
        super().__init__()
        self.smoothing = config.smoothing

    def forward(self, player: Player, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The loss of a player from logits of any shape; only the discriminator's needs those of `real` images."""
        return -softplus(fake).mean() if player == "generator" else _cross_entropy(fake, real, self.smoothing)


class LeastSquares(nn.Module):
    """Least-squares GAN (Mao et al. 2017, arXiv:1611.04076, equation 9 times 2): targets 1 for real, 0 for fake.

    The discriminator minimises ``(D(real) - 1)^2 + D(fake)^2``, the generator ``(D(fake) - 1)^2``; D is the logit.
    """

    boundary = 0.5

    def __init__(self, config: SmoothingConfig) -> None:
        super().__init__()
        self.target = 1 - config.smoothing

    def forward(self, player: Player, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The loss of a player from logits of any shape; only the discriminator's needs those of `real` images."""
        if player == "generator":
            return torch.square(fake - 1).mean()
        assert real is not None
        return torch.square(real - self.target).mean() + torch.square(fake).mean()


class Hinge(nn.Module):
    """Hinge loss (Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17).

    The discriminator minimises ``max(0, 1 - D(real)) + max(0, 1 + D(fake))``, the generator ``-D(fake)``.
    """

    boundary = 0.0

    def __init__(self, config: Config) -> None:
        super().__init__()

    def forward(self, player: Player, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The loss of a player from logits of any shape; only the discriminator's needs those of `real` images."""
        if player == "generator":
            return -fake.mean()
        assert real is not None
        return relu(1 - real).mean() + relu(1 + fake).mean()


class Wasserstein(nn.Module):
    """Wasserstein distance by a critic (Arjovsky et al. 2017, arXiv:1701.07875, equation 2).

    The critic minimises ``D(fake) - D(real)``, the generator ``-D(fake)``. It measures a distance only while something
    keeps the critic Lipschitz: a gradient penalty, clipped weights or spectral norm.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()

    def forward(self, player: Player, *, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The loss of a player from logits of any shape; only the discriminator's needs those of `real` images."""
        if player == "generator":
            return -fake.mean()
        assert real is not None
        return fake.mean() - real.mean()


class Relativistic(nn.Module):
    """Relativistic average GAN (Jolicoeur-Martineau 2018, arXiv:1807.00734, equations 10 and 11 and appendix D).

    Judges how much more real an image is than the average of the other kind. With ``r = real - mean(fake)`` and
    ``f = fake - mean(real)`` the discriminator minimises ``a(r) + b(f)`` and the generator ``a(f) + b(r)``, where a and
    b are ``-log sigmoid(x)`` and ``-log(1 - sigmoid(x))``, or ``(x - 1)^2`` and ``(x + 1)^2`` for lsgan, or
    ``max(0, 1 - x)`` and ``max(0, 1 + x)`` for hinge. The averages are over the images of all
    processes.

    Attributes:
        compares: the generator's loss needs the real images' logits.
    """

    compares = True

    def __init__(self, config: RelativisticConfig) -> None:
        super().__init__()
        self.base = config.base

    def forward(self, player: Player, *, fake: Tensor, real: Tensor) -> Tensor:
        """The loss of a player from logits of any shape; both players' need those of `real` images."""
        high, low = real - all_mean(fake.mean()), fake - all_mean(real.mean())
        if player == "generator":
            high, low = low, high
        if self.base == "vanilla":
            return softplus(-high).mean() + softplus(low).mean()
        if self.base == "lsgan":
            return torch.square(high - 1).mean() + torch.square(low + 1).mean()
        return relu(1 - high).mean() + relu(1 + low).mean()


def _cross_entropy(fake: Tensor, real: Tensor | None, smoothing: float) -> Tensor:
    """The discriminator's ``-(1 - s) log D(real) - s log(1 - D(real)) - log(1 - D(fake))``, means over the logits.

    ``softplus(-x)`` is ``-log sigmoid(x)``, and ``softplus(x)`` is ``-log(1 - sigmoid(x))``.
    """
    assert real is not None
    return ((1 - smoothing) * softplus(-real) + smoothing * softplus(real)).mean() + softplus(fake).mean()
