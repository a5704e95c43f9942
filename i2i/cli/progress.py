"""Progress of commands on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from i2i.cli.common import say

_SECONDS_BETWEEN_LINES = 10.0
"""Seconds from one line of progress to the next where there is no terminal."""

Show = Callable[[int], None]
"""Called with how many images are done."""


@contextmanager
def progress(doing: str, total: int) -> Iterator[Show]:
    """Gives a function that shows how much of some work is done.

    Args:
        doing: present participle of the work, such as ``translating``.
        total: number of images.
    """
    if total < 2 or not sys.stderr.isatty():  # nor is rich imported then, which takes as long as a small image
        yield _lines(doing, total)
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[speed]} images/s"),
        bars.TimeRemainingColumn(),
    )
    begin = time.monotonic()
    with bars.Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
        task = bar.add_task(doing, total=total, speed="-")

        def show(done: int) -> None:
            bar.update(task, completed=done, speed=f"{done / max(time.monotonic() - begin, 1e-9):.3g}")

        yield show


def _lines(doing: str, total: int) -> Show:
    begin = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            speed, last = done / (now - begin), now
            left = timedelta(seconds=round((total - done) / speed))
            say(f"{doing}: {done} of {total}, {speed:.3g} images/s, {left} left")

    return show
