"""What datasets and transforms promise of their samples; one that breaks its promise is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from i2i.errors import PluginError, attributed_to, short_repr

IMAGES, LABELS = ("source", "target"), ("label", "target_label")
"""Keys of a sample that have a meaning of their own; others are numbers or arrays that a recipe knows."""

Sample = dict[str, Any]


def check_sample(who: str, sample: Any, labels: Sequence[str] = (), *, keys: Sequence[str] = ()) -> None:
    """Checks one sample before it becomes tensors.

    Args:
        who: dataset or transform, and the sample's number, for the message.
        sample: what was given.
        labels: names of the classes; without any, every number will do.
        keys: that it must have.

    Raises:
        PluginError: it is no dictionary, lacks a key, or an image or a label is of the wrong kind.
    """
    if not isinstance(sample, Mapping):
        raise PluginError(f"{who}: must be a dictionary with source, target and so on, not a {type(sample).__name__}")
    check_keys(who, sample, keys)
    for key in [key for key in IMAGES if key in sample]:
        if problem := image_problem(sample[key]):
            raise PluginError(f"{who}: {key} {problem}")
    for key in [key for key in LABELS if key in sample]:
        label = sample[key]
        if isinstance(label, np.ndarray | torch.Tensor) and label.ndim:  # a label map, or several labels
            continue
        if not isinstance(label, int | np.integer) or isinstance(label, bool) or label < 0:
            raise PluginError(f"{who}: {key} must be a class's number from 0, not {short_repr(label)}")
    if problem := label_problem(sample, labels):
        raise PluginError(f"{who}: {problem}")


def check_keys(who: str, sample: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Checks that a sample has all those keys.

    Raises:
        PluginError: it lacks one.
    """
    if missing := [key for key in keys if key not in sample]:
        raise PluginError(f"{who}: must have {', '.join(missing)}, and has only {', '.join(sample) or 'nothing'}")


def label_problem(sample: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Which label is none of the dataset's, as a sentence; nothing if all are, or the dataset names no labels.

    On a GPU such a label would end the process, and say nothing of where it comes from.
    """
    for key in [key for key in LABELS if labels and key in sample]:
        label = sample[key]
        if isinstance(label, np.ndarray | torch.Tensor) and label.ndim:
            for extreme in (int(label.min()), int(label.max())) if 0 not in label.shape else ():
                if not 0 <= extreme < len(labels):
                    return f"{key} has the value {extreme}, and the dataset's labels are {len(labels)}, from 0"
        elif isinstance(label, int | np.integer | torch.Tensor) and int(label) >= len(labels):
            return f"{key} is {int(label)}, and the dataset's labels are {len(labels)}, from 0"
    return ""


def image_problem(image: Any) -> str:
    """What is wrong with an image array, as the rest of a sentence; nothing if it is one, or a tensor of other data."""
    want = "must be an array (H, W, C) of uint8, uint16 or float32 with 1, 3 or 4 channels"
    if isinstance(image, torch.Tensor):
        return ""
    if not isinstance(image, np.ndarray):
        return f"{want}, not a {type(image).__name__}"
    fits = image.ndim == 3 and image.shape[2] in (1, 3, 4) and min(image.shape) > 0
    if not fits or image.dtype not in (np.uint8, np.uint16, np.float32):
        return f"{want}, not {image.shape} of {image.dtype}"
    return ""


@dataclass(frozen=True)
class CheckedTransform:
    """A transform whose failures name it.

    Attributes:
        transform: from sample to sample.
        who: what messages call it.
    """

    transform: Callable[[Sample], Sample]
    who: str

    def __call__(self, sample: Sample) -> Sample:
        """The transformed sample.

        Raises:
            PluginError: it fails, drops a key, or returns something else than images.
        """
        with attributed_to(self.who):
            changed = self.transform(sample)
        check_sample(f"{self.who}: what it returns", changed, keys=list(sample))
        return changed
