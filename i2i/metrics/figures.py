"""A metric's figure, with what is needed to understand and to repeat it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from i2i.errors import attributed_to
from i2i.metrics.building import BuiltMetric
from i2i.metrics.showing import problem_of


@dataclass(frozen=True)
class Figure:
    """What a metric measured.

    Attributes:
        value: the figure; NaN where the metric has none, such as for too few images.
        error: the metric's own error bar; None without. `protocol` says which one it is.
        higher_is_better: which of two values is the better one; None where that is not known.
        summary: what is measured, in a few words.
        protocol: how the figure came about: the network and its digest, resizing, colour, numbers of images and so on;
            values that JSON can hold.
        problem: why there is no value, in one line; empty where there is one, or the metric does not say.
    """

    value: float
    error: float | None = None
    higher_is_better: bool | None = None
    summary: str = ""
    protocol: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    def __str__(self) -> str:
        """Value, error bar and number of images: ``0.0123 ± 0.002 (50 images)``."""
        images = self.protocol.get("fake_images", self.protocol.get("images"))
        bar = "" if self.error is None else f" ± {self.error:.2g}"
        return f"{self.value:.4g}{bar}" + (f" ({images} images)" if images else "")

    def to_json(self) -> dict[str, Any]:
        """The figure for a JSON file, which has no NaN and no infinity: null in their place."""
        finite = self.value if math.isfinite(self.value) else None
        said: dict[str, Any] = {"value": finite, "error": self.error, "higher_is_better": self.higher_is_better}
        said |= {"summary": self.summary, "protocol": dict(self.protocol)}
        return said | ({"problem": self.problem} if self.problem else {})

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Figure:
        """The figure that `to_json` wrote."""
        value, others = entry["value"], {key: entry[key] for key in entry if key != "value"}
        return cls(math.nan if value is None else float(value), **others)


def figure_of(built: BuiltMetric) -> Figure:
    """The figure of all images that a metric was shown since its last reset.

    Raises:
        PluginError: the metric fails, or gives no number.
    """
    metric = built.metric
    with attributed_to(f"{built.owner}, compute must return a scalar"):
        value = float(metric.compute())
    with attributed_to(built.owner):
        error = float(metric.error_bar()) if callable(getattr(metric, "error_bar", None)) else math.nan
        protocol = dict(getattr(metric, "protocol", {}))
        problem = problem_of(metric) if math.isnan(value) else ""
    bar = error if math.isfinite(error) else None
    return Figure(value, bar, built.higher_is_better, built.summary, protocol, problem)
