"""What commands that write many images say: progress, each failure, a summary, and the exit code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import typer

from i2i.errors import UserError


class Result(Protocol):
    """What became of one image."""

    @property
    def status(self) -> str:
        """Such as ``written`` or ``failed``."""

    @property
    def reason(self) -> str:
        """Why it failed."""


R = TypeVar("R", bound=Result)


def show(
    results: Iterable[R],
    record: Callable[[R], dict[str, Any]],
    out: Path,
    *,
    doing: str,
    done: str,
    statuses: Sequence[str],
    as_json: bool,
) -> None:
    """Works through the results and reports them; times what it waits for.

    Args:
        results: done as they are taken.
        record: a result for ``--json``.
        out: folder of the outputs.
        doing: what the progress bar says, such as ``translating``.
        done: the same when it is over, such as ``translated``.
        statuses: the statuses that there are, ``failed`` among them.
        as_json: print one JSON object on stdout.

    Raises:
        UserError: nothing but failures.
        typer.Exit: some failures, with code 1.
    """
    from rich.console import Console
    from rich.progress import track

    from i2i.data.image_errors import shown

    begin = time.monotonic()
    console = Console(stderr=True, highlight=False)
    seen: list[R] = []
    for result in track(results, doing, console=console, transient=True) if console.is_terminal else results:
        seen.append(result)
        if result.status == "failed":
            print(f"failed: {shown(result.reason)}", file=sys.stderr)
    counts = {status: sum(result.status == status for result in seen) for status in statuses}
    seconds = time.monotonic() - begin
    speed = counts["written"] / max(seconds, 1e-9)
    if as_json:
        summary = counts | {"seconds": round(seconds, 3), "images_per_second": round(speed, 3)}
        print(json.dumps(summary | {"results": [record(result) for result in seen]}))
    text = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    print(f"{text}, {speed:.3g} images/s, in {shown(out)}", file=sys.stderr)
    if counts["failed"] and counts["failed"] == len(seen):
        raise UserError(f"none of {counts['failed']} images could be {done}, see the reasons above")
    if counts["failed"]:
        raise typer.Exit(1)
