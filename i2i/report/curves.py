"""Which curves of the runs share a chart, and in which colours."""

from __future__ import annotations

from collections.abc import Sequence

from i2i.report import charts
from i2i.report.meanings import meaning
from i2i.report.run import RunPage

COLOURS = 8
_DASHES = 4
"""Colours and dash patterns that the page's style sheet has; further curves begin again with the first."""

_TOGETHER = ("loss", "lr", "accuracy", "grad")
"""Beginnings of names whose figures share a chart."""

_BY_CLASS = "/class"
"""How the common part of names ends whose figures are of single classes; they share a chart, too."""

_HIDDEN = ("epoch",)
_ERRORS = "val_error/"


def run_charts(runs: Sequence[RunPage]) -> list[charts.Chart]:
    """A chart for each phase's losses, for the learning rates, for a metric by class, and for every other figure.

    The colour tells curves apart; where there are several runs it tells the runs apart, and the dashes the curves.
    """
    groups: dict[str, dict[str, str]] = {}
    for key in dict.fromkeys(key for run in runs for key in run.facts.series):
        if key in _HIDDEN or key.startswith(_ERRORS):
            continue
        head, _, tail = key.rpartition("/")
        together = head.split("/")[0] in _TOGETHER or head.endswith(_BY_CLASS)
        groups.setdefault(head if together else key, {})[key] = tail
    drawn = []
    for title, members in sorted(groups.items(), key=lambda item: _rank(item[0])):
        figures = next((run.facts.validation.get("figures") for run in runs if run.facts.validation), None)
        what = meaning(title.removesuffix(_BY_CLASS), figures if isinstance(figures, dict) else {})
        curves = [
            _curve(runs, place, number, key, members)
            for place, run in enumerate(runs)
            for number, key in enumerate(members)
            if key in run.facts.series
        ]
        drawn.append(charts.draw(title, curves, phrase=what.phrase, direction=what.direction))
    return drawn


def _curve(runs: Sequence[RunPage], place: int, number: int, key: str, members: dict[str, str]) -> charts.Curve:
    """The curve of a run's figure; `number` is its place among those of the chart."""
    run, several = runs[place], len(runs) > 1
    short = members[key]
    name = f"{run.name}: {short}" if several and len(members) > 1 else run.name if several else short
    colour, dash = (place, number) if several else (number, 0)
    best = run.facts.best.step if run.facts.best and key.startswith("val/") else None
    alone = key.startswith("val/") and len(members) == 1  # of many curves, bars would hide the others
    errors = run.facts.series.get(_ERRORS + key.removeprefix("val/"), {}) if alone else {}
    return charts.Curve(name, run.facts.series[key], colour % COLOURS, dash % _DASHES, errors, best)


def _rank(title: str) -> int:
    """Validation first, then losses, accuracies, learning rates and the rest, each in the order logged."""
    order = ("val", "loss", "accuracy", "lr", "grad")
    head = title.split("/")[0]
    return order.index(head) if head in order else len(order)
