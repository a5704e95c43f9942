"""Checks of trackers: they take what a training tells them, and leave the run alone."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from i2i.api import TrackedRun, Tracker, TrackerChoice
from i2i.errors import ConfigError, PluginError, UserError, one_line
from i2i.plugins.builder import Builder
from i2i.testing.subject import Check, Skipped, Subject, fail, failing_as

MAX_SECONDS = 5
"""Seconds that `finish` may take after a few figures."""
FIGURES: Sequence[tuple[int, dict[str, float]]] = (
    (0, {"val/psnr": 9.5}),
    (2, {"epoch": 0.25, "loss/l1": 1e-9, "lr/generator": 2e-4}),
    (4, {"epoch": 0.5, "loss/l1": 0.125, "loss/penalty @2": -3.0}),
    (4, {"val/psnr": 12.0, "val/fid": math.nan}),  # the same step again, and a name that was not there
    (6, {"epoch": 0.75, "loss/l1": math.inf}),
)
"""Steps with their figures, as a training gives them."""
SIZES = ((1, 1), (33, 70), (256, 128))
"""Height and width of the pictures."""
TEXTS = ("the discriminator wins: accuracy 0.99", '<b>"Übermaß" & 3 % {x}</b>', "x" * 2000)


def figures(subject: Subject) -> None:
    """Takes figures of every step, names that come later, and numbers that are not finite."""
    tracker = _opened(subject, "figures")
    for step, values in FIGURES:
        given = dict(values)
        with failing_as(f"log({step}, {values})"):
            tracker.log(step, given)
        if repr(given) != repr(values):
            fail(f"log changes its values from {values} to {given}: copy them, for other trackers get them, too")


def pictures(subject: Subject) -> None:
    """Takes pictures (H, W, 3) of uint8, and leaves them as they are."""
    tracker = _opened(subject, "pictures")
    images = _method(tracker, "images")
    for step, (height, width) in enumerate(SIZES):
        picture = np.random.default_rng(step).integers(0, 256, (height, width, 3), np.uint8)
        given = picture.copy()
        with failing_as(f"images({step}, 'samples', an array {picture.shape})"):
            images(step, "samples", given)
            images(step, "cycle/A to B", np.flip(picture.copy(), 1))  # whose pixels lie otherwise in memory
        if (given != picture).any():
            fail("images writes into the picture: copy it first")


def texts(subject: Subject) -> None:
    """Takes texts of any length with any characters."""
    text = _method(_opened(subject, "texts"), "text")
    for step, line in enumerate(TEXTS):
        with failing_as(f"text({step}, 'warning', {line[:40]!r})"):
            text(step, "warning", line)
            text(step, "warning", line)


def end(subject: Subject) -> None:
    """Ends in time, whether the run is done or not."""
    for done in (True, False):
        tracker = _opened(subject, f"end-{done}")
        tracker.log(*FIGURES[0])
        _finish(tracker, done)


def resume(subject: Subject) -> None:
    """Goes on with a run that was stopped, at a step before its last one, and once more from the beginning."""
    _track(_opened(subject, "resume"), 0, done=False)
    for step in (4, 0):
        try:
            again = _opened(subject, "resume", step)
        except UserError as error:
            fail(f"for the same run with run.step={step}: {error}")
        with failing_as(f"after it was built again with run.step={step}"):
            _track(again, step, done=step == 0)


def run_folder(subject: Subject) -> None:
    """Leaves the files of the run folder as they are."""
    folder = subject.folder / "run-folder" / "run-001"
    _make_run(folder)
    before = dict(_files(folder))
    for step in (0, 4):
        _track(_opened(subject, "run-folder", step), step, done=True)
    after = dict(_files(folder))
    if changed := [name for name, data in before.items() if after.get(name) != data]:
        fail(f"it changes {', '.join(changed)} of the run folder: write to a file of its own")


TRACKER: Sequence[Check] = (figures, pictures, texts, end, resume, run_folder)


def _opened(subject: Subject, check: str, step: int = 0) -> Tracker:
    """A tracker for a run folder of the check's own; the check is skipped where it lacks something, such as a login."""
    folder = subject.folder / check / "run-001"
    _make_run(folder)
    config = {"recipe": "pix2pix", "seed": 0, "data": {"root": None, "size": [64, 96]}, "train": {"lr": 2e-4}}
    builder = Builder(subject.plugins, (0, 0))
    try:
        choice = TrackerChoice(subject.name, subject.options)
        return builder.tracker(choice, TrackedRun(folder, "pix2pix", config, step))
    except (PluginError, ConfigError):
        raise
    except UserError as error:
        raise Skipped(str(error)) from error


def _make_run(folder: Path) -> None:
    """What a training has written before it builds a tracker, if it is not there yet."""
    (folder / "checkpoints" / "step-0000004").mkdir(parents=True, exist_ok=True)
    (folder / "samples").mkdir(exist_ok=True)
    for name in ("config.yaml", "metrics.jsonl", "checkpoints/step-0000004/state.json", "samples/step-0000004.png"):
        if not (folder / name).exists():
            (folder / name).write_text(f"{name}\n")


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The content of every file below a folder by its name there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _track(tracker: Tracker, after: int, *, done: bool) -> None:
    """Tells it all of the steps after one, and ends it."""
    picture = np.zeros((8, 8, 3), np.uint8)
    for step, values in FIGURES:
        if step > after or not after:
            tracker.log(step, dict(values))
            getattr(tracker, "images", _nothing)(step, "samples", picture)
            getattr(tracker, "text", _nothing)(step, "warning", TEXTS[0])
    _finish(tracker, done)


def _nothing(*arguments: Any) -> None:
    """What happens where a tracker lacks a method."""


def _method(tracker: Tracker, name: str) -> Any:
    method = getattr(tracker, name, None)
    if method is None:
        raise Skipped(f"it has no method {name}")
    return method


def _finish(tracker: Tracker, done: bool) -> None:
    """Calls `finish`, if there is one, as training does: in another thread."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            getattr(tracker, "finish", _nothing)(done)
        except BaseException as error:  # told below, in the thread that checks
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(MAX_SECONDS)
    if thread.is_alive():
        fail(f"finish({done}) takes more than {MAX_SECONDS} s: give up on what cannot be sent")
    if failed:
        fail(f"finish({done}): {one_line(failed[0])}")
