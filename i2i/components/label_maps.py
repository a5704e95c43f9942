"""Label maps as the channels that networks take: a channel for each class, and the borders between instances."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def label_channels(labels: Tensor, count: int, ignore: int | None = None) -> Tensor:
    """A channel for each class, 1 where a pixel is of that class and 0 elsewhere (one-hot).

    Args:
        labels: ``(N, H, W)``, whole numbers.
        count: number of classes, which have the numbers from 0.
        ignore: the number of pixels whose class is not known, which get one more channel; None: there are none.

    Returns:
        Tensor ``(N, count, H, W)`` float32, or ``(N, count + 1, H, W)`` with `ignore`; pixels of any other number are 0
        in all channels.
    """
    numbers = torch.arange(count, device=labels.device)
    if ignore is not None:
        numbers = torch.cat([numbers, numbers.new_full((1,), ignore)])
    return (labels.unsqueeze(1) == numbers.view(1, -1, 1, 1)).float()


def instance_edges(instances: Tensor) -> Tensor:
    """Where a pixel's instance is another one than that of a neighbour, left, right, above or below.

    It is the boundary map of pix2pixHD (Wang et al. 2018, arXiv:1711.11585, section 3.3).

    Args:
        instances: ``(N, H, W)``, whole numbers that tell the objects apart.

    Returns:
        Tensor ``(N, 1, H, W)`` float32, 1 at borders and 0 elsewhere.
    """
    beside = (instances[:, :, 1:] != instances[:, :, :-1]).float()
    below = (instances[:, 1:] != instances[:, :-1]).float()
    sides = pad(beside, (1, 0)), pad(beside, (0, 1)), pad(below, (0, 0, 1, 0)), pad(below, (0, 0, 0, 1))
    return torch.stack(sides).amax(0).unsqueeze(1)
