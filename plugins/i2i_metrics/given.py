"""Metrics by a given network in an ONNX file: label maps by a segmenter, classes by a classifier.

Isola et al. 2017 (arXiv:1611.07004, section 3.4) judge images made from label maps in this way: what a segmenter that
was trained on real images sees in them should be the label map.
"""

from __future__ import annotations

from collections.abc import Callable
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


class Confusion:
    """How often pixels of each class were given each class, over all images.

    Args:
        ignore: class number of pixels of the target that do not count.
    """

    def __init__(self, ignore: int | None) -> None:
        self.ignore, self.images = ignore, 0
        self.counts = torch.zeros((0, 0), dtype=torch.int64)

    def add(self, found: Tensor, wanted: Tensor) -> None:
        """Adds label maps ``(N, H, W)`` of one shape."""
        self.images += len(wanted)
        found, wanted = found.flatten(), wanted.flatten()
        if self.ignore is not None:
            found, wanted = found[wanted != self.ignore], wanted[wanted != self.ignore]
        if not wanted.numel():
            return
        lowest, highest = int(torch.minimum(found, wanted).min()), int(torch.maximum(found, wanted).max())
        if lowest < 0 or highest >= MAX_CLASSES:
            raise i2i.DataError(f"label maps have classes from {lowest} to {highest}, not from 0 to {MAX_CLASSES - 1}")
        size = max(highest + 1, len(self.counts))
        more = size - len(self.counts)
        self.counts = F.pad(self.counts, (0, more, 0, more))
        self.counts += torch.bincount(wanted * size + found, minlength=size * size).view(size, size)


class LabelMaps:
    """A figure of the label maps of outputs and targets, over all pixels of all images.

    Args:
        config: the segmenter.
        figure: from the confusion matrix, rows by the target's class, to the figure.
        what: the figure's name in messages.
    """

    kind = "pair"
    higher_is_better = True

    def __init__(self, config: SegmenterConfig, figure: Callable[[Tensor], Tensor], what: str) -> None:
        self.ignore, self.figure = config.ignore, figure
        self.segmenter = OnnxNetwork(config, f"the segmenter of {what}")
        self.reset()

    def update(self, output: Tensor, target: Tensor) -> None:
        """Adds images ``(N, C, H, W)`` in [-1, 1], which the segmenter sees, or label maps ``(N, H, W)`` of integers.

        What the segmenter gives is resized to the target's label map by nearest neighbours, if that is given.

        Raises:
            i2i.DataError: class numbers are below 0 or too large.
            i2i.ModelError: the segmenter fails, or gives no label maps.
        """
        found, wanted = self._labels(output), self._labels(target)
        if found.shape[1:] != wanted.shape[1:]:
            found = F.interpolate(found[:, None].double(), wanted.shape[1:], mode="nearest-exact")[:, 0].long()
        self.confusion.add(found, wanted)

    def compute(self) -> Tensor:
        """The figure, a scalar in float64; NaN without any pixel that counts."""
        counts = self.confusion.counts.double()
        return self.figure(counts) if counts.sum() else torch.tensor(float("nan"), dtype=torch.float64)

    def reset(self) -> None:
        """Forgets all images."""
        self.confusion = Confusion(self.ignore)

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about."""
        said = self.segmenter.protocol | {"quantisation": QUANTISATION, "images": self.confusion.images}
        return said | {"classes": len(self.confusion.counts), "ignore": self.ignore}

    def _labels(self, images: Tensor) -> Tensor:
        """Label maps ``(N, H, W)``, given or found."""
        if not images.is_floating_point():
            return images.cpu().long()
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

    def figure(counts: Tensor) -> Tensor:
        hits, either = counts.diagonal(), counts.sum(0) + counts.sum(1) - counts.diagonal()
        return (hits / either)[either > 0].mean()

    return LabelMaps(config, figure, "miou")


def pixel_accuracy(config: SegmenterConfig) -> LabelMaps:
    """Share of the pixels with the target's class."""
    return LabelMaps(config, lambda counts: counts.diagonal().sum() / counts.sum(), "pixel-accuracy")


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
        self._right += int((given.argmax(1) == wanted).sum())
        self._count += len(images)

    def compute(self) -> Tensor:
        """The share, a scalar in float64; NaN without any image."""
        return torch.tensor(self._right / self._count if self._count else float("nan"), dtype=torch.float64)

    def reset(self) -> None:
        """Forgets all images."""
        self._right, self._count = 0, 0

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about."""
        return self.classifier.protocol | {"quantisation": QUANTISATION, "fake_images": self._count}
