"""Metrics by a given network in an ONNX file: label maps by a segmenter, classes by a classifier.

Isola et al. 2017 (arXiv:1611.07004, section 3.4) judge images made from label maps in this way: what a segmenter that
was trained on real images sees in them should be the label map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import i2i
from i2i_metrics.networks.onnx_file import OnnxNetwork
from i2i_metrics.options import ClassifierConfig, SegmenterConfig
from i2i_metrics.preparing import QUANTISATION, eight_bits

MAX_CLASSES = 65536
"""Largest number of classes of label maps."""


@dataclass(frozen=True)
class Confusion:
    """How many pixels of each class were given each class; pairs of classes that are nowhere have no entry.

    Attributes:
        wanted: the target's class, ``(P,)`` int64.
        found: the output's class, ``(P,)`` int64.
        pixels: how many pixels have these two, ``(P,)`` float64.
    """

    wanted: Tensor
    found: Tensor
    pixels: Tensor

    def by_class(self) -> tuple[Tensor, Tensor, Tensor]:
        """By class the pixels where both have it, those where the target has it, and those where the output has it."""
        size = int(torch.cat([self.wanted, self.found]).max()) + 1 if len(self.wanted) else 0
        both = torch.where(self.wanted == self.found, self.pixels, 0.0)
        kinds = ((self.wanted, both), (self.wanted, self.pixels), (self.found, self.pixels))
        hits, wanted, found = (torch.bincount(classes, pixels, minlength=size) for classes, pixels in kinds)
        return hits, wanted, found


def confusion_of(found: Tensor, wanted: Tensor, ignore: int | None) -> Confusion:
    """Compares two label maps ``(H, W)`` int64; pixels with `ignore` as the target's class do not count.

    Raises:
        i2i.DataError: class numbers are below 0 or too large.
    """
    counting = torch.ones_like(wanted, dtype=torch.bool) if ignore is None else wanted != ignore
    found, wanted = found[counting], wanted[counting]
    if wanted.numel():
        lowest, highest = int(torch.minimum(found, wanted).min()), int(torch.maximum(found, wanted).max())
        if lowest < 0 or highest >= MAX_CLASSES:
            raise i2i.DataError(f"label maps have classes from {lowest} to {highest}, not from 0 to {MAX_CLASSES - 1}")
    pairs, pixels = (wanted * MAX_CLASSES + found).unique(return_counts=True)
    return Confusion(pairs // MAX_CLASSES, pairs % MAX_CLASSES, pixels.double())


class LabelMaps:
    """A figure of the label maps of outputs and targets, over all pixels of all images.

    Args:
        config: the segmenter; without its `path` label maps alone can be compared.
        figure: from the confusion of all pixels to the figure.
        what: the figure's name in messages.

    Attributes:
        takes_label_maps: it compares outputs that are label maps themselves, too.
        takes_images: whether it also compares images, for there is a segmenter.
    """

    kind = "pair"
    higher_is_better = True
    takes_label_maps = True

    def __init__(self, config: SegmenterConfig, figure: Callable[[Confusion], Tensor], what: str) -> None:
        self.ignore, self.figure = config.ignore, figure
        self.takes_images = bool(config.path)
        self.segmenter = OnnxNetwork(config, f"the segmenter of {what}") if config.path else None
        self.reset()

    def update(self, output: Tensor, target: Tensor) -> None:
        """Adds images ``(N, C, H, W)`` in [-1, 1], which the segmenter sees, or label maps ``(N, H, W)`` of integers.

        The output's label map is resized to the target's by nearest neighbours, if the sizes differ.

        Raises:
            i2i.DataError: class numbers are below 0 or too large.
            i2i.ModelError: there is no segmenter for images, it fails, or gives no label maps.
        """
        found, wanted = self._labels(output), self._labels(target)
        if found.shape[1:] != wanted.shape[1:]:
            found = F.interpolate(found[:, None].double(), wanted.shape[1:], mode="nearest-exact")[:, 0].long()
        self._images += [confusion_of(*both, self.ignore) for both in zip(found, wanted, strict=True)]

    def compute(self) -> Tensor:
        """The figure of all images, a scalar in float64; NaN without any pixel that counts."""
        return self.of_images(range(len(self._images)))

    def of_images(self, places: Sequence[int]) -> Tensor:
        """The figure of some of the images, by their places from 0, of which each may be there several times."""
        chosen = [self._images[place] for place in places]
        if not sum(len(one.pixels) for one in chosen):
            return torch.tensor(float("nan"), dtype=torch.float64)
        parts = [torch.cat([getattr(one, name) for one in chosen]) for name in ("wanted", "found", "pixels")]
        return self.figure(Confusion(*parts))

    def reset(self) -> None:
        """Forgets all images."""
        self._images: list[Confusion] = []

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about."""
        maps = {"network": "none: label maps are compared"}
        said = self.segmenter.protocol | {"quantisation": QUANTISATION} if self.segmenter else maps
        highest = max((int(one.wanted.max()) for one in self._images if len(one.wanted)), default=-1)
        return said | {"images": len(self._images), "classes": highest + 1, "ignore": self.ignore}

    def _labels(self, images: Tensor) -> Tensor:
        """Label maps ``(N, H, W)``, given or found."""
        if not images.is_floating_point():
            return images.cpu().long()
        if self.segmenter is None:
            raise i2i.ModelError("images need a segmenter: say which by the option path=FILE.onnx")
        given = self.segmenter(eight_bits(images).float() / 127.5 - 1)
        if given.ndim == 4 and given.is_floating_point():
            return given.argmax(1)
        if given.ndim == 4 and given.shape[1] == 1:
            given = given[:, 0]
        if given.ndim != 3 or given.is_floating_point():
            shape, kind = tuple(given.shape), str(given.dtype).removeprefix("torch.")
            problem = f"gives {shape} of {kind}, not logits (N, classes, H, W) or classes (N, H, W)"
            raise i2i.ModelError(problem, path=str(self.segmenter.file))
        return given.long()


def mean_iou(config: SegmenterConfig) -> LabelMaps:
    """Mean over classes of intersection over union (Long et al. 2015, arXiv:1411.4038, section 5).

    Classes that neither the outputs nor the targets have do not count.
    """

    def figure(confusion: Confusion) -> Tensor:
        hits, wanted, found = confusion.by_class()
        either = wanted + found - hits
        return (hits / either)[either > 0].mean()

    return LabelMaps(config, figure, "miou")


def pixel_accuracy(config: SegmenterConfig) -> LabelMaps:
    """Share of the pixels with the target's class."""

    def figure(confusion: Confusion) -> Tensor:
        hits, wanted, _ = confusion.by_class()
        return hits.sum() / wanted.sum()

    return LabelMaps(config, figure, "pixel-accuracy")


class ClassAccuracy:
    """Share of the generated images that a classifier takes for the class that they were to be.

    Args:
        config: the classifier.
    """

    kind = "scores"
    takes_labels = True
    higher_is_better = True

    def __init__(self, config: ClassifierConfig) -> None:
        self.classifier = OnnxNetwork(config, "the classifier of class-accuracy")
        self.classes = config.classes
        self.reset()

    def update_fake(self, images: Tensor, labels: Tensor) -> None:
        """Adds generated images.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1].
            labels: the class that each was to be, ``(N,)``.

        Raises:
            i2i.ConfigError: the option `classes` lacks a label.
            i2i.ModelError: the classifier fails, or gives no logits.
        """
        if self.classes and int(labels.max()) >= len(self.classes):
            raise i2i.ConfigError(
                f"class-accuracy: classes has {len(self.classes)} numbers, and label {int(labels.max())} none"
            )
        wanted = torch.tensor(self.classes)[labels.cpu()] if self.classes else labels.cpu()
        given = self.classifier(eight_bits(images).float() / 127.5 - 1)
        if given.ndim != 2 or int(wanted.max()) >= given.shape[1]:
            problem = f"gives {tuple(given.shape)}, not logits (N, classes) with class {int(wanted.max())}"
            raise i2i.ModelError(problem, path=str(self.classifier.file))
        self._right += (given.argmax(1) == wanted).double().tolist()

    def compute(self) -> Tensor:
        """The share, a scalar in float64; NaN without any image."""
        return self.of_images(range(len(self._right)))

    def of_images(self, places: Sequence[int]) -> Tensor:
        """The share among some of the images, by their places from 0, of which each may be there several times."""
        return torch.tensor([self._right[place] for place in places], dtype=torch.float64).mean()

    def reset(self) -> None:
        """Forgets all images."""
        self._right: list[float] = []

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about."""
        return self.classifier.protocol | {"quantisation": QUANTISATION, "fake_images": len(self._right)}
