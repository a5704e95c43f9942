"""What the validations of a run have found, in memory and in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from i2i.engine.validation.best import Best
from i2i.engine.validation.spent import Spent
from i2i.metrics.figures import Figure


@dataclass
class ValidationRecord:
    """The last validation of a run, the best one, and the time that all have taken.

    Attributes:
        step: step of the last one; None as long as there is none.
        figures: what it measured, by name.
        best: the best one.
        spent: time of the run and of its validations.
    """

    step: int | None = None
    figures: dict[str, Figure] = field(default_factory=dict)
    best: Best = field(default_factory=Best)
    spent: Spent = field(default_factory=Spent)

    @property
    def values(self) -> dict[str, float]:
        """The figures' values by name, but for those that could not be computed."""
        return {name: figure.value for name, figure in self.figures.items() if not figure.problem}

    def to_state(self) -> dict[str, Any]:
        """The values for a checkpoint, as JSON can hold them."""
        figures = {name: figure.to_json() for name, figure in self.figures.items()}
        best, spent = self.best.to_json(), self.spent.to_json()
        return {"step": self.step, "figures": figures, "best": best, "spent": spent}

    @classmethod
    def from_state(cls, entry: Mapping[str, Any]) -> ValidationRecord:
        """The record that `to_state` gave; an empty one for checkpoints of before."""
        if not entry:
            return cls()
        figures = {name: Figure.from_json(figure) for name, figure in entry["figures"].items()}
        return cls(entry["step"], figures, Best.from_json(entry["best"]), Spent.from_json(entry["spent"]))

    def report(self, stopped_early: str) -> dict[str, Any]:
        """The record for ``validation.json``, for people and programs.

        Args:
            stopped_early: why the run ends before its last step, in a few words; empty if it does not.
        """
        best = self.best
        found = None
        if best.figure is not None and best.step is not None:
            metric, higher = best.figure.metric, best.figure.higher_is_better
            found = {"metric": metric, "higher_is_better": higher, "step": best.step, "value": best.value}
        figures = {name: figure.to_json() for name, figure in self.figures.items()}
        return {"step": self.step, "best": found, "stopped_early": stopped_early or None, "figures": figures}
