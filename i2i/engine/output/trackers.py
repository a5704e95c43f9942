"""The trackers of a run, which take its figures elsewhere; one that fails is left out, and the training goes on."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from i2i.api import TrackedRun, Tracker
from i2i.config import RunConfig
from i2i.errors import ConfigError, PluginError, UserError, debugging, one_line
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i.runs.folder import RunFolder

MAX_SECONDS = 60
"""Seconds that the end of a training waits for a tracker that still sends what it was told."""


class Trackers:
    """The trackers that a configuration names.

    Args:
        config: the run's configuration.
        plugins: where trackers are looked up.
        run: the run's folder.

    Attributes:
        warn: is told a line of each tracker that fails: once, for then it is left out until the process ends.
    """

    def __init__(self, config: RunConfig, plugins: Plugins, run: RunFolder) -> None:
        self.warn: Callable[[str], None] = lambda line: None
        self._config, self._builder, self._folder = config, Builder(plugins, (0, 0)), run.path
        self._chosen = {choice.name: choice for choice in config.train.trackers}
        self._open: dict[str, Tracker] = {}

    def begin(self, step: int) -> None:
        """Builds the trackers, those anew that were at work: the run goes on from `step`, 0 for one that begins."""
        self.finish(done=False)
        run = TrackedRun(self._folder, self._config.recipe, self._config.to_dict(), step)
        failed: dict[str, BaseException] = {}
        for name, choice in self._chosen.items():
            try:
                self._open[name] = self._builder.tracker(choice, run)
            except (Exception, SystemExit) as error:
                failed[name] = error
        for name, failure in failed.items():  # only now, when the others are there to be told
            self._leave_out(name, failure)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Passes figures on; see `i2i.Tracker`."""
        self._tell("log", step, dict(values))

    def images(self, step: int, name: str, picture: np.ndarray) -> None:
        """Passes a picture on."""
        self._tell("images", step, name, picture)

    def text(self, step: int, name: str, text: str) -> None:
        """Passes a text on."""
        self._tell("text", step, name, text)

    def finish(self, *, done: bool) -> None:
        """Ends them, each within `MAX_SECONDS`."""
        while self._open:  # the warning about one goes to those that have not ended yet
            name = next(iter(self._open))
            if error := _finished(self._open.pop(name), done):
                self._leave_out(name, error)

    def _tell(self, method: str, *arguments: Any) -> None:
        for name, tracker in list(self._open.items()):
            call = getattr(tracker, method, None)
            if call is None or name not in self._open:  # it failed at the warning about another one
                continue
            try:
                call(*arguments)
            except (Exception, SystemExit) as error:
                self._leave_out(name, error)

    def _leave_out(self, name: str, error: BaseException) -> None:
        self._open.pop(name, None)
        del self._chosen[name]
        if debugging():
            traceback.print_exception(error)
        who = self._builder.plugins.full_name("tracker", name)
        self.warn(f"{who} is left out: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """What went wrong, in one line: the message of an error for people, else the error that a plugin raised."""
    while isinstance(error, PluginError | ConfigError) and error.__cause__ is not None:  # those name the tracker again
        error = error.__cause__
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    return f"{one_line(error)} (I2I_DEBUG=1 shows where)"


def _finished(tracker: Tracker, done: bool) -> BaseException | None:
    """Ends a tracker in a thread of its own, which is left behind if it takes too long; returns what went wrong."""
    finish = getattr(tracker, "finish", None)
    if finish is None:
        return None
    failed: list[BaseException] = []

    def work() -> None:
        try:
            finish(done)
        except (Exception, SystemExit) as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="tracker", daemon=True)
    thread.start()
    thread.join(MAX_SECONDS)
    if thread.is_alive():
        return TimeoutError(f"finish takes more than {MAX_SECONDS} s")
    return failed[0] if failed else None
