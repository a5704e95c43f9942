"""Confidence intervals of figures by drawing the images anew."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LEVEL = 0.95
"""Share of the resampled figures that lies within an interval."""


def bootstrap_interval(metric: Any, images: int, resamples: int) -> tuple[float, float] | None:
    """The percentile interval of a metric over images that are drawn with replacement (Efron 1979).

    It holds for the images at hand as a sample of all that there could be, not for other seeds of the training. Of
    metrics that compare sets there is none: an image that is drawn twice is a pair without distance, which makes
    distances of sets, precision and recall of a resample other figures than those of so many different images.

    Args:
        metric: it has seen the images; with a method `of_images`.
        images: how many it has seen.
        resamples: how often they are drawn.

    Returns:
        The lower and the upper end; None where the metric has no such method, or there are fewer than two images.
    """
    if images < 2 or resamples < 1 or not callable(getattr(metric, "of_images", None)):
        return None
    random = np.random.default_rng(0)
    values = [float(metric.of_images(random.integers(images, size=images))) for _ in range(resamples)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def values_of_images(metric: Any, images: int) -> list[float] | None:
    """The figure of each single image that a metric has seen, in their order; None where it has no `of_images`."""
    if not callable(getattr(metric, "of_images", None)):
        return None
    return [float(metric.of_images([place])) for place in range(images)]
