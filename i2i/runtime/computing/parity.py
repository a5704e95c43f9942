"""How far apart two results of one model are, and how far apart they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from i2i.interface import Image, LabelMap, Output
from i2i.runtime.computing.backend import Precision

MIN_DECIBELS = 40.0
"""Least peak signal-to-noise ratio of a fast image to the exact one."""
MAX_MEAN = 1.0
"""Largest mean difference of a fast image, in units of 1/255; it has to stay below."""
MAX_EXACT = 1.0
"""Largest difference of an exact image, in units of 1/255."""
MAX_OTHER_CLASSES = 1e-3
"""Largest share of a label map's pixels of another class: where two classes score the same, rounding decides."""
MAX_NUMBERS: Mapping[Precision, float] = {"exact": 1e-4, "fast": 1e-2}
"""Largest difference of numbers and vectors, as a share of the largest magnitude."""


@dataclass(frozen=True)
class Difference:
    """How far a result is from the exact one, at worst over all outputs.

    Attributes:
        decibels: peak signal-to-noise ratio of images, ``20 log10(255 / root mean square of the difference)``; infinite
            if they are equal.
        mean: mean difference of images in units of 1/255.
        largest: largest difference of images in units of 1/255.
        other_classes: share of the pixels of label maps whose class is another one.
        numbers: difference of numbers and vectors, as a share of the largest magnitude.
        broken: an output is missing, has another shape or type, or values that are not finite.
    """

    decibels: float = math.inf
    mean: float = 0.0
    largest: float = 0.0
    other_classes: float = 0.0
    numbers: float = 0.0
    broken: bool = False

    def fits(self, precision: Precision) -> bool:
        """Whether a result of that precision may differ so much."""
        if self.broken or self.other_classes > MAX_OTHER_CLASSES or self.numbers > MAX_NUMBERS[precision]:
            return False
        if precision == "exact" or self.largest <= MAX_EXACT:
            return self.largest <= MAX_EXACT
        return self.decibels >= MIN_DECIBELS and self.mean < MAX_MEAN

    def __str__(self) -> str:
        """In words, such as ``62.3 dB to the exact result, 0.1 of 255 levels apart on average``."""
        if self.broken:
            return "an output is missing, has another shape or type, or values that are not finite"
        if self.other_classes:
            return f"another class at {100 * self.other_classes:.2g} % of the pixels"
        if self.numbers and math.isinf(self.decibels):
            return f"numbers {100 * self.numbers:.2g} % apart"
        if math.isinf(self.decibels):
            return "equal to the exact result"
        return f"{self.decibels:.1f} dB to the exact result, {self.mean:.2g} of 255 levels apart on average"


def difference(outputs: Mapping[str, Output], exact: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> Difference:
    """Compares the results of one run with the exact ones.

    Args:
        outputs: the types of the results by name.
        exact: the exact results, in that order; images are uint8 or float32 in [0, 1].
        other: the results to judge, in that order.
    """
    decibels, mean, largest, classes, numbers = math.inf, 0.0, 0.0, 0.0, 0.0
    if len(other) != len(exact) or not all(isinstance(two, np.ndarray) for two in other):
        return Difference(broken=True)
    for of, one, two in zip(outputs.values(), exact, other, strict=True):
        if one.shape != two.shape or one.dtype != two.dtype or not np.isfinite(two).all():
            return Difference(broken=True)
        apart = np.abs(one.astype(np.float64) - two.astype(np.float64))
        if isinstance(of, LabelMap):
            classes = max(classes, float((apart > 0).mean()))
        elif isinstance(of, Image):
            levels = apart if one.dtype == np.uint8 else 255 * apart
            mean, largest = max(mean, float(levels.mean())), max(largest, float(levels.max()))
            if (square := float(np.square(levels).mean())) > 0:
                decibels = min(decibels, 10 * math.log10(255**2 / square))
        else:
            numbers = max(numbers, float(apart.max() / max(float(np.abs(one).max()), 1e-12)))
    return Difference(decibels, mean, largest, classes, numbers)
