"""Figures as a table: ``figures.csv`` in the run folder, a row for each figure of a step.

The long form, with columns step, name and value, needs no other header when a figure appears later; ``pivot`` of pandas
makes one column a figure of it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import i2i

HEADER = ("step", "name", "value")


class CsvTracker:
    """Appends rows; of a run that goes on, rows of later steps are dropped.

    Args:
        config: no options.
        run: the run.
    """

    def __init__(self, config: i2i.Config, *, run: i2i.TrackedRun) -> None:
        self.path = run.folder / "figures.csv"
        rows = [row for row in _rows(self.path) if int(row[0]) <= run.step] if run.step else []
        new = self.path.with_name(".figures.csv.new")
        with new.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
        new.replace(self.path)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a row for each figure."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows((step, *item) for item in values.items())


def _rows(path: Path) -> list[list[str]]:
    """The whole rows of the file, without its header and without a last row that a kill has cut."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0].decode("utf-8", errors="replace")
    return [row for row in csv.reader(whole.splitlines()) if len(row) == len(HEADER) and row[0].isdecimal()]
