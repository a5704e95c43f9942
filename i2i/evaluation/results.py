"""What an evaluation found: figures with intervals, figures of single images, and what could not be measured."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from i2i.metrics.figures import Figure


@dataclass(frozen=True)
class Evaluated:
    """The figures of one model, or of one folder of images.

    Attributes:
        name: the model, or the folder, as it was given.
        translator: which of a model's translators it is; empty for a folder.
        figures: by name; see `i2i.metrics.figures.Figure`.
        intervals: of some figures the lower and upper end of their 95 % confidence interval, by name.
        images: names of the outputs that were compared one by one, in order; empty where there are no pairs.
        per_image: the figures of these single images in their order, by the figure's name.
        left_out: of each image that could not be used one line with the reason.
        notes: further lines for the user, such as about metrics that could not be measured.
    """

    name: str
    translator: str
    figures: Mapping[str, Figure]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    images: Sequence[str] = ()
    per_image: Mapping[str, Sequence[float]] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything but the figures of single images, for a JSON file."""
        figures = {}
        for name, figure in self.figures.items():
            low, high = self.intervals.get(name, (math.nan, math.nan))
            interval = [low, high] if math.isfinite(low) and math.isfinite(high) else None
            figures[name] = figure.to_json() | {"interval_95": interval}
        said = {"name": self.name, "translator": self.translator, "figures": figures}
        return said | {"left_out": list(self.left_out), "notes": list(self.notes)}


def number_of_images(figure: Figure) -> str:
    """How many images a figure is of: ``106``, or of two sets ``50 real, 200``; empty where its protocol lacks it."""
    said = figure.protocol
    if "images" in said:
        return str(said["images"])
    fake, real = said.get("fake_images"), said.get("real_images")
    return ", ".join([*([f"{real} real"] if real is not None else []), *([str(fake)] if fake is not None else [])])


def per_image_csv(evaluated: Sequence[Evaluated]) -> str:
    """A table of single images as CSV: a row for each image of each model or folder, a column for each figure."""
    names = list(dict.fromkeys(name for one in evaluated for name in one.per_image))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["name", "translator", "image", *names])
    for one in evaluated:
        for place, image in enumerate(one.images):
            values = [one.per_image[name][place] if name in one.per_image else math.nan for name in names]
            rows.writerow([one.name, one.translator, image, *("" if math.isnan(value) else value for value in values)])
    return text.getvalue()
