"""Results of translating or generating many images, which come one by one."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input of a folder, or of one frame of it.

    Attributes:
        input: the file that was read.
        output: the file that was, or would have been, written; of a model that gives several, the first.
        status: whether it was written now, was there already, or failed.
        reason: why it was skipped or failed, on one line that names the input; empty when written.
        note: a line for the user about an image that was written, such as that frames were left out; may be empty.
        frame: number of the frame from 0; None unless all frames were asked for.
        width: width of the output in pixels; None unless written.
        height: height of the output in pixels; None unless written.
        decode: seconds of reading and decoding the input.
        network: seconds in the network: its share of the batch.
        encode: seconds of encoding and writing the output.
        files: all files that were written, by name of the output, where these are several.
        numbers: the numbers that the model gave, by name of the output.
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
    files: Mapping[str, Path] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds of work on this input, whatever else was going on at the same time."""
        return self.decode + self.network + self.encode


class Results(Iterator[R]):
    """An iterator over results in order; the work runs a little ahead of the results that are taken, until `close`.

    Args:
        results: generator that does the work.
        total: number of results that there will be.
        notes: lists of lines for the user, which may grow as the work goes on.

    Attributes:
        total: number of results that there will be; fewer come if the frames of a file end early.
    """

    def __init__(self, results: Generator[R, None, None], total: int, notes: Sequence[Sequence[str]]) -> None:
        self.total = total
        self._results, self._notes = results, notes

    @property
    def notes(self) -> list[str]:
        """Lines for the user about the whole work so far, such as that a device could not be used."""
        return [note for notes in self._notes for note in notes]

    def __next__(self) -> R:
        return next(self._results)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops within seconds, and finishes the files being written; to be called by the thread that takes results."""
        self._results.close()
