"""Trackio. A run that goes on keeps its name there, in the file ``trackio.id`` of the run folder."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout

import numpy as np
import trackio

import i2i
from i2i_trackers.kept import kept
from i2i_trackers.options import TrackioConfig


class TrackioTracker:
    """Logs figures and pictures, and each text as an alert; trackio's own thread writes or sends them.

    What a run that goes on had logged of later steps stays there, and comes a second time.

    Args:
        config: the options.
        run: the run.
    """

    def __init__(self, config: TrackioConfig, *, run: i2i.TrackedRun) -> None:
        with redirect_stdout(sys.stderr):  # stdout is for results
            self.run = trackio.init(
                project=config.project,
                name=kept(run, "trackio", lambda: f"{run.name}-{secrets.token_hex(2)}"),  # folders may have one name
                group=run.recipe,
                space_id=config.space,
                config=dict(run.config),
                resume="allow",
                embed=False,
                auto_log_cpu=False,
                auto_log_gpu=False,
            )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs figures."""
        self.run.log(dict(values), step=step)

    def images(self, step: int, name: str, picture: np.ndarray) -> None:
        """Logs a picture ``(H, W, 3)`` uint8."""
        self.run.log({name: trackio.Image(picture)}, step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """Raises an alert."""
        self.run.alert(name, text, trackio.AlertLevel.WARN, step)

    def finish(self, done: bool) -> None:
        """Writes what is left."""
        with redirect_stdout(sys.stderr):
            self.run.finish()
