"""What a tracker keeps in the run folder, to find the run again when it goes on."""

from __future__ import annotations

from collections.abc import Callable

import i2i


def kept(run: i2i.TrackedRun, tracker: str, make: Callable[[], str]) -> str:
    """By what a tracker knows a run: the same text each time the run goes on, kept in a file ``TRACKER.id``.

    Args:
        run: the run.
        tracker: the tracker's name.
        make: makes the text when the run is tracked for the first time.
    """
    file = run.folder / f"{tracker}.id"
    if file.exists() and (known := file.read_text(encoding="utf-8").strip()):
        return known
    known = make()
    file.write_text(known + "\n", encoding="utf-8")
    return known
