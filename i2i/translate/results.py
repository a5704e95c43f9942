"""What translating and generating many images gives: an iterator that knows how much there is."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from i2i.errors import UserError
from i2i.files import printable

if TYPE_CHECKING:
    from i2i.translate.folders.plan import Task

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input, or one frame of it.

    Attributes:
        input: the file that was read.
        output: the file that was, or would have been, written.
        status: whether it was written now, was there already, or failed.
        reason: why it was skipped or failed, on one line that names the input; empty when written.
        note: what is worth knowing about an image that was written, such as frames that were left out.
        frame: number of the frame from 0; None unless all frames were asked for.
        width: of the output in pixels; None unless written.
        height: likewise.
        decode: seconds of work.
        network: likewise; its share of the batch.
        encode: likewise.
    """

    input: Path
    output: Path
    status: Literal["written", "skipped", "failed"]
    reason: str = ""
    note: str = ""
    frame: int | None = None
    width: int | None = None
    height: int | None = None
    decode: float = 0.0
    network: float = 0.0
    encode: float = 0.0

    @property
    def seconds(self) -> float:
        """Of work on it, whatever else was going on at the same time."""
        return self.decode + self.network + self.encode

    @classmethod
    def begun(cls, task: Task, seconds: float = 0.0) -> Result:
        """Of a task that was decoded in that time."""
        return cls(task.input, task.outputs[0], "written", frame=task.frame, decode=seconds)

    @classmethod
    def settled(cls, task: Task) -> Result | None:
        """Of a task about which all is known without reading it."""
        begun = cls.begun(task)
        if task.refused:
            return replace(begun, status="failed", reason=f"{printable(task.input)}: {task.refused}")
        return begun.skipped() if task.skip else None

    def skipped(self) -> Result:
        """The same, its output being there already."""
        reason = f"{printable(self.input)}: {printable(self.output)} exists"
        return replace(self, status="skipped", note="", reason=reason)

    def failed(self, error: UserError) -> Result:
        """The same, after that error."""
        name, reason = f"{printable(self.input)}: ", str(error).removeprefix(f"{printable(self.input)}: ")
        if self.frame is not None and not reason.startswith("frame "):
            reason = f"frame {self.frame}: {reason}"
        return replace(self, status="failed", note="", reason=name + reason)


class Results(Iterator[R]):
    """Results in their order; the work goes on a little ahead of those that are taken, until they are closed.

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops within seconds; what is being written is finished. For the thread that takes the results."""
        self._results.close()
