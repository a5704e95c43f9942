"""Confidence intervals of figures by drawing the images anew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from i2i.errors import attributed_to
from i2i.metrics.building import BuiltMetric

LEVEL = 0.95
"""Share of the resampled figures that lies within an interval."""


def of_single_images(
    metrics: Mapping[str, BuiltMetric], images: int, resamples: int
) -> tuple[dict[str, tuple[float, float]], dict[str, list[float]]]:
    """Confidence intervals, and the figures of single images, of the metrics that know these.

    Args:
        metrics: by the names of their figures; they have seen the images.
        images: how many they have seen.
        resamples: how often the images are drawn.

    Returns:
        The lower and upper end of each interval, and the figures of the images in their order, by figure.

    Raises:
        PluginError: a metric fails.
    """
    intervals, values = {}, {}
    for name, built in metrics.items():
        if not callable(getattr(built.metric, "of_images", None)):
            continue
        with attributed_to(f"{built.owner}, of_images"):
            values[name] = [float(built.metric.of_images([place])) for place in range(images)]
            if interval := bootstrap_interval(built.metric, images, resamples):
                intervals[name] = interval
    return intervals, values


def bootstrap_interval(metric: Any, images: int, resamples: int) -> tuple[float, float] | None:
    """The percentile interval of a metric over images that are drawn with replacement (Efron 1979).

    It holds for the images at hand as a sample of all that there could be, not for other seeds of the training. Of
    metrics that compare sets there is none: an image that is drawn twice is a pair without distance, which makes
    distances of sets, precision and recall of a resample other figures than those of so many different images.

    Args:
        metric: it has seen the images, and has a method `of_images`.
        images: how many it has seen.
        resamples: how often they are drawn.

    Returns:
        The lower and the upper end; None for fewer than two images, or where no resample has a finite figure.
    """
    if images < 2 or resamples < 1:
        return None
    random = np.random.default_rng(0)
    values = [float(metric.of_images(random.integers(images, size=images))) for _ in range(resamples)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
