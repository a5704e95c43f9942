"""What translating and generating many images gives: an iterator that knows how much there is."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

R = TypeVar("R")


class Results(Iterator[R]):
    """Results in their order; the work is done as they are taken.

    Attributes:
        total: number of results that there will be; fewer come of a file whose frames end early.
    """

    def __init__(self, results: Generator[R, None, None], total: int, notes: Sequence[Sequence[str]]) -> None:
        self.total = total
        self._results, self._notes = results, notes

    @property
    def notes(self) -> list[str]:
        """What is worth knowing about the whole so far, such as a device that could not be used; one line each."""
        return [note for notes in self._notes for note in notes]

    def __next__(self) -> R:
        return next(self._results)

    def close(self) -> None:
        """Stops within seconds; what is being written is finished. For the thread that takes the results."""
        self._results.close()
