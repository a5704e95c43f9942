"""Class labels: counting them, and encoding them as tensors for networks."""

from __future__ import annotations

import torch
from torch import Tensor

import i2i


def count_classes(build: i2i.Build) -> int:
    """The number of the data's classes.

    Raises:
        DataError: the data does not name any.
    """
    if not build.labels:
        raise i2i.DataError("the data numbers its classes but does not name them (see the dataset's attribute labels)")
    return len(build.labels)


def one_hot(labels: Tensor, classes: int, like: Tensor) -> Tensor:
    """Labels ``(N,)`` -> ``(N, classes)`` of zeros and ones, in the type and on the device of `like`.

    `torch.nn.functional.one_hot` is not used because it looks at the values, which a graph for export cannot.
    """
    return (labels[:, None] == torch.arange(classes, device=labels.device)).to(like.dtype)


def label_maps(image: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Appends one-hot maps of the labels to images: a map of ones for the image's class, maps of zeros for the others.

    Args:
        image: ``(N, C, H, W)``.
        labels: ``(N,)`` integers.
        classes: number of classes.

    Returns:
        Tensor ``(N, C + classes, H, W)``.
    """
    maps = one_hot(labels, classes, image)[:, :, None, None].expand(-1, -1, image.shape[2], image.shape[3])
    return torch.cat([image, maps], 1)
