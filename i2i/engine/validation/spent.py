"""The time that validation takes of a run, and whether another one is to be paid for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FREE_S = 60.0
"""Seconds of validation, over the whole run, that no share limits."""


@dataclass
class Spent:
    """How long a run and its validations have taken, in all processes that one after another went on with it.

    Attributes:
        run: seconds of the run.
        validation: seconds of all its validations.
        last: seconds of the last one.
    """

    run: float = 0.0
    validation: float = 0.0
    last: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts a validation."""
        self.validation += seconds
        self.last = seconds

    def allows(self, share: float) -> bool:
        """Whether another validation like the last one would stay within a share of the run's time."""
        return self.validation < FREE_S or self.validation + self.last <= share * (self.run + self.last)

    def to_json(self) -> dict[str, float]:
        """The values for a JSON file."""
        return {"run": round(self.run, 3), "validation": round(self.validation, 3), "last": round(self.last, 3)}

    @classmethod
    def from_json(cls, entry: Mapping[str, float]) -> Spent:
        """What `to_json` wrote."""
        return cls(**entry)
