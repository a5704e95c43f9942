"""What trackers are told: the run that they follow, and the methods that training calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class TrackedRun:
    """The run that a tracker follows; the keyword `run` of a tracker's `build` gets it.

    Attributes:
        folder: the run folder. A tracker may keep files of its own there, such as the number of the run on a server.
        recipe: name of the training method.
        config: the whole configuration as nested plain values, as in the folder's ``config.yaml``.
        step: finished steps that the run goes on from; 0 for one that begins. What a tracker was told of later steps,
            by a process that was killed or before the training went back, did not come about: it is told again.
    """

    folder: Path
    recipe: str
    config: Mapping[str, Any]
    step: int = 0

    @property
    def name(self) -> str:
        """Name of the run folder, such as ``pix2pix-001``."""
        return self.folder.resolve().name


class Tracker(Protocol):
    """Takes the figures of a run elsewhere: the type of what the hook `i2i_trackers` builds; no base class is needed.

    `log` is required; `images`, `text` and `finish` may be left out. They are called in the training loop of the first
    process, between two steps: what takes long belongs in a thread of the tracker's own. A method that raises gets the
    tracker left out, with one warning; the training goes on.
    """

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Takes figures of a step.

        Args:
            step: number of finished steps. It never falls, and comes several times: with losses, then with metrics.
            values: numbers by name, such as ``loss/l1``, ``lr/generator`` or ``val/psnr``. Names may come later than
                in the first call, or be missing; numbers may be infinite or NaN. Not to be changed.
        """

    def images(self, step: int, name: str, picture: np.ndarray) -> None:
        """Takes a picture, such as the grid of samples.

        Args:
            step: number of finished steps.
            name: what it shows, such as ``samples``.
            picture: ``(H, W, 3)`` uint8, RGB. Not to be changed.
        """

    def text(self, step: int, name: str, text: str) -> None:
        """Takes a text.

        Args:
            step: number of finished steps.
            name: what it is: ``warning``.
            text: one line.
        """

    def finish(self, done: bool) -> None:
        """Ends the tracking; no call follows. It comes from another thread, and training waits for it for a minute.

        Args:
            done: whether the run has reached its last step; if not, it was stopped, failed or goes back, and another
                tracker may be built for it to go on.
        """
