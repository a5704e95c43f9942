"""Networks that compute in a range of values of their own, such as [0, 1], so that weights of BasicSR fit."""

from __future__ import annotations

from torch import Tensor, nn

Range = tuple[float, float]


def to_range(images: Tensor, limits: Range) -> Tensor:
    """Maps -1 to the lower limit and 1 to the upper one, linearly, and values beyond as well."""
    low, high = limits
    return images if limits == (-1.0, 1.0) else (images + 1) * ((high - low) / 2) + low


class RangeAdapter(nn.Module):
    """A generator that computes in a range of its own, seen from outside as one of [-1, 1].

    Args:
        network: the generator.
        limits: what -1 and 1 are inside.

    Attributes:
        scale: how many times larger the output is.
        multiple: what the sides of an image must be divisible by.
    """

    def __init__(self, network: nn.Module, limits: Range) -> None:
        super().__init__()
        self.network, self.limits = network, limits
        self.scale, self.multiple = network.scale, getattr(network, "multiple", 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1] -> ``(N, C', scale * H, scale * W)``, about [-1, 1]."""
        low, high = self.limits
        return (self.network(to_range(x, self.limits)) - low) * (2 / (high - low)) - 1


def in_range(network: nn.Module, limits: Range) -> nn.Module:
    """The generator as one of images in [-1, 1]; one that computes in that range is returned as it is."""
    return network if limits == (-1.0, 1.0) else RangeAdapter(network, limits)
