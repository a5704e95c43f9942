"""Means over the images of all training processes, differentiable any number of times."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def all_mean(x: Tensor) -> Tensor:
    """Mean of a tensor over the processes, for means over a whole batch of which each process has an equal share.

    Every process must call it. The gradient is right if the gradients of all processes are averaged afterwards, as the
    engine does.

    Args:
        x: of any shape, the same in every process.

    Returns:
        Tensor of the shape of `x`; `x` itself in a single process.
    """
    return x if processes() == 1 else _AllReduce.apply(x) / processes()


def processes() -> int:
    """Number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


class _AllReduce(torch.autograd.Function):
    """Sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The sum."""
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """The sum of the processes' gradients."""
        return _AllReduce.apply(grad)
