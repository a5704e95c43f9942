"""Terms of the losses that are neither adversarial nor a distance of images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1) (Kingma & Welling 2014, appendix B).

    It is ``-1/2 * sum(1 + log_variance - mean^2 - exp(log_variance))`` over the code, and the mean over the batch; the
    authors of BicycleGAN sum over the batch, which is a single image to them.

    Args:
        mean: ``(N, Z)``.
        log_variance: ``(N, Z)``.

    Returns:
        Scalar, at least 0.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()


def sampled(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Draws from N(mean, exp(log_variance)) with gradients to both, noise from N(0, 1) (Kingma & Welling 2014, 2.4)."""
    return mean + (0.5 * log_variance).exp() * noise


def falling_weight(weight: float, step: int, steps: int) -> float:
    """A weight that falls linearly from the first step on and is 0 from step `steps` on (StarGAN v2, appendix B)."""
    return weight * max(0.0, 1 - step / steps)


@contextmanager
def untrained(network: Any) -> Iterator[None]:
    """Inside, what a network computes has gradients to its inputs and none to its weights.

    Args:
        network: a module, or what a recipe gets for one.
    """
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
