"""Output of commands that write many images: progress, each failure, a summary, and the exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import typer

from i2i.cli.common import closed_stdout_ignored, say
from i2i.cli.progress import progress
from i2i.errors import UserError


class ReportedImage(Protocol):
    """The result of one image, as far as it is reported."""

    @property
    def status(self) -> str:
        """One of the statuses that the report counts, such as ``written`` or ``failed``."""

    @property
    def reason(self) -> str:
        """Why it failed, on one line; empty if it did not."""


R = TypeVar("R", bound=ReportedImage)


class ProgressReport(Generic[R]):
    """Counts results and prints failures and notes as they come; keeps records only for ``--json``.

    Args:
        statuses: all statuses that results may have, ``written`` and ``failed`` among them.
        record: converts a result to its entry in the JSON object; None: no JSON object is printed.
        notes: gives all lines for the user about the whole work so far.
        work: gives the seconds of work on a result, by stage.
    """

    def __init__(
        self,
        statuses: Sequence[str],
        record: Callable[[R], dict[str, Any]] | None,
        notes: Callable[[], Sequence[str]] = tuple,
        work: Callable[[R], dict[str, float]] = lambda result: {},
    ) -> None:
        self.counts = dict.fromkeys(statuses, 0)
        self._record, self._notes, self._work_of = record, notes, work
        self._records: list[dict[str, Any]] = []
        self._work: dict[str, float] = {}
        self._notes_printed: set[str] = set()
        self._begin = time.monotonic()

    def add(self, result: R) -> None:
        """Counts a result, and prints its failure or note and the notes that are new."""
        self.counts[result.status] += 1
        for stage, seconds in self._work_of(result).items():
            self._work[stage] = self._work.get(stage, 0.0) + seconds
        if self._record is not None:
            self._records.append(self._record(result))
        if result.status == "failed":
            say(f"failed: {result.reason}")
        elif note := getattr(result, "note", ""):
            say(f"note: {note}")
        self.print_notes()

    def print_notes(self) -> None:
        """Prints the notes that have come since the last time."""
        for note in self._notes():  # new ones come at the end of each of several lists
            if note not in self._notes_printed:
                say(f"note: {note}")
                self._notes_printed.add(note)

    def finish(self, out: Path, *, complete: bool) -> None:
        """Prints the summary, and with ``--json`` the object.

        Args:
            out: folder of the outputs, or the only one.
            complete: whether all results have come.
        """
        seconds = time.monotonic() - self._begin
        speed = self.counts["written"] / max(seconds, 1e-9)
        if self._record is not None:
            summary: dict[str, Any] = {**self.counts, "complete": complete, "seconds": round(seconds, 3)}
            summary["images_per_second"] = round(speed, 3)
            if self._work:
                summary["work_seconds"] = {stage: round(spent, 3) for stage, spent in self._work.items()}
            with closed_stdout_ignored():
                print(json.dumps({**summary, "notes": list(self._notes()), "results": self._records}), flush=True)
        text = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count) or "nothing done"
        say(f"{text}, {speed:.3g} images/s, {'as' if out.is_file() else 'in'} {out}")


def report_all(
    report: ProgressReport[R], results: Iterable[R], total: int, out: str, *, wording: tuple[str, str]
) -> None:
    """Iterates over the results and reports them; prints the summary also if an error or a signal ends the work.

    Args:
        report: counts and prints them.
        results: an iterator that does the work.
        total: how many results there will be.
        out: folder of the outputs, or the only one.
        wording: present and past participle of the work, such as ``translating`` and ``translated``.

    Raises:
        UserError: all images failed.
        typer.Exit: some images failed; with code 1.
    """
    doing, done = wording
    complete = False
    report.print_notes()
    try:
        for result in _with_progress(results, total, doing):
            report.add(result)
        complete = True
    finally:
        report.finish(Path(out), complete=complete)
    failed = report.counts["failed"]
    if failed and failed == sum(report.counts.values()):
        raise UserError(f"none of {failed} images could be {done}, see the reasons above")
    if failed:
        raise typer.Exit(1)


def _with_progress(results: Iterable[R], total: int, doing: str) -> Iterator[R]:
    """The results as they are, with progress on stderr."""
    with progress(doing, total) as show:
        for count, result in enumerate(results, start=1):
            yield result
            show(count)
