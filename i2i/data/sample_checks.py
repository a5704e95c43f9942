"""Checks of what datasets and transforms return; an error names the component that is at fault."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from i2i.api import Transform
from i2i.errors import PluginError, attributed_to, short_repr
from i2i.images.pixels import has_channels_first
from i2i.kinds import ValueKind

IMAGES = ("source", "target")
"""Keys of a sample that hold images."""
LABELS = ("label", "target_label")
"""Keys of a sample that hold numbers of classes. All other keys hold numbers or arrays that only the recipe knows."""

Sample = dict[str, Any]


def check_sample(name: str, sample: Any, labels: Sequence[str] = (), *, keys: Sequence[str] = ()) -> None:
    """Checks one sample before it becomes tensors.

    Args:
        name: the sample's name in messages: its dataset or transform, and its number.
        sample: what the dataset or transform returned.
        labels: names of the classes; without any, every number will do.
        keys: keys that it must have.

    Raises:
        PluginError: it is no dictionary, lacks a key, or an image or a label is of the wrong kind.
    """
    if not isinstance(sample, Mapping):
        raise PluginError(f"{name}: must be a dictionary with source, target and so on, not a {type(sample).__name__}")
    check_keys(name, sample, keys)
    for key in [key for key in IMAGES if key in sample]:
        if problem := image_problem(sample[key]):
            raise PluginError(f"{name}: {key} {problem}")
    for key in [key for key in LABELS if key in sample]:
        label = sample[key]
        if (isinstance(label, np.ndarray) or _is_tensor(label)) and label.ndim:  # a label map, or several labels
            continue
        if not isinstance(label, int | np.integer) or isinstance(label, bool) or label < 0:
            raise PluginError(f"{name}: {key} must be a class's number from 0, not {short_repr(label)}")
    if problem := label_problem(sample, labels):
        raise PluginError(f"{name}: {problem}")


def check_keys(name: str, sample: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Checks that a sample has all those keys.

    Raises:
        PluginError: it lacks one.
    """
    if missing := [key for key in keys if key not in sample]:
        raise PluginError(f"{name}: must have {', '.join(missing)}, and has only {', '.join(sample) or 'nothing'}")


def label_problem(sample: Mapping[str, Any], labels: Sequence[str]) -> str:
    """A message about a label beyond the dataset's classes; empty if there is none, or if the classes have no names.

    On a GPU such a label would end the process with an error that does not tell where it comes from.
    """
    for key in [key for key in LABELS if labels and key in sample]:
        label = sample[key]
        if (isinstance(label, np.ndarray) or _is_tensor(label)) and label.ndim:
            for extreme in (int(label.min()), int(label.max())) if 0 not in label.shape else ():
                if not 0 <= extreme < len(labels):
                    return f"{key} has the value {extreme}, and the dataset's labels are {len(labels)}, from 0"
        elif (isinstance(label, int | np.integer) or _is_tensor(label)) and int(label) >= len(labels):
            return f"{key} is {int(label)}, and the dataset's labels are {len(labels)}, from 0"
    return ""


def image_problem(image: Any) -> str:
    """What is wrong with an image array, to follow its name in a message; empty if nothing is. Tensors always pass."""
    want = "must be an array (H, W, C) of uint8, uint16 or float32 with one channel or more"
    if _is_tensor(image):
        return ""
    if not isinstance(image, np.ndarray):
        return f"{want}, not a {type(image).__name__}"
    fits = image.ndim == 3 and min(image.shape) > 0
    channels_first = fits and has_channels_first(image.shape)
    if not fits or channels_first or image.dtype not in (np.uint8, np.uint16, np.float32):
        advice = ": move the channels to the last axis" if channels_first else ""
        return f"{want}, not {image.shape} of {image.dtype}{advice}"
    return ""


T = TypeVar("T")


def swapped_keys(values: Mapping[str, T], direction: str) -> dict[str, T]:
    """What is known by key of a dataset's samples, by key of training's, or the other way: exchanged with BtoA."""
    if direction == "AtoB":
        return dict(values)
    other = {"source": "target", "target": "source"}
    return {other.get(key, key): value for key, value in values.items()}


def _is_tensor(value: Any) -> bool:
    """Whether a value is a tensor, which it can be only where torch has been imported already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


@dataclass(frozen=True)
class CheckedTransform:
    """A transform whose failures name it.

    Attributes:
        transform: changes samples.
        full_name: its name in messages.
        kinds: what the images stand for, by key.
    """

    transform: Transform
    full_name: str
    kinds: Mapping[str, ValueKind] = field(default_factory=dict)

    def __call__(self, sample: Sample) -> Sample:
        """The transformed sample.

        Raises:
            PluginError: it fails, drops a key, returns something else than images, or invents labels.
        """
        with attributed_to(self.full_name):
            changed = self.transform(sample)
        check_sample(f"{self.full_name}: what it returns", changed, keys=list(sample))
        for key in [key for key, kind in self.kinds.items() if kind == "labels" and key in sample]:
            if isinstance(changed[key], np.ndarray) and not np.isin(changed[key], np.unique(sample[key])).all():
                raise PluginError(
                    f"{self.full_name}: gives {key}, a label map, values that were not there: a transform that blends "
                    "or brightens takes the keyword kinds, and leaves labels as they are"
                )
        return changed
