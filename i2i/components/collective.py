"""Sums and means over the images of all training processes, differentiable as often as one likes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def all_mean(x: Tensor) -> Tensor:
    """Mean of a tensor over the processes; of equal shares of a batch that is the batch's mean.

    Every process must call it. Its gradient is right where the engine averages the gradients of all processes.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return x
    return _AllReduce.apply(x) / distributed.get_world_size()


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
