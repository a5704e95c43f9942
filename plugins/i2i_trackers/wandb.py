"""Weights & Biases. A run that goes on keeps its number there, in the file ``wandb.id`` of the run folder."""

from __future__ import annotations

import html
import os
import secrets
from collections.abc import Mapping

import numpy as np
import wandb

import i2i
from i2i_trackers.kept import kept
from i2i_trackers.options import WandbConfig

MAX_SECONDS = 50
"""Seconds for what reaches the server: to begin, and at the end for what has not been sent."""


class WandbTracker:
    """Sends curves, pictures and texts; wandb's own thread and process do the sending.

    Its steps cannot go back, so ours is a figure ``step`` of its own, over which the charts draw the others. What a run
    that goes on had logged of later steps stays there, and comes a second time.

    Args:
        config: the options.
        run: the run.

    Raises:
        i2i.UserError: nobody is logged in; wandb itself would ask, and wait for an answer.
    """

    def __init__(self, config: WandbConfig, *, run: i2i.TrackedRun) -> None:
        mode = config.mode or os.environ.get("WANDB_MODE") or "online"
        if mode == "online" and not wandb.login(prompt=False):
            raise i2i.UserError("nobody is logged in to wandb: run `wandb login`, or set its option mode=offline")
        self.run = wandb.init(
            project=config.project,
            entity=config.entity,
            mode=mode,
            id=kept(run, "wandb", lambda: secrets.token_hex(6)),
            resume="allow",
            name=run.name,
            group=run.recipe,
            dir=run.folder,
            config=dict(run.config),
            reinit="create_new",  # whoever calls i2i.train may have a run of their own
            settings=wandb.Settings(console="off", init_timeout=MAX_SECONDS, finish_timeout=MAX_SECONDS),
        )
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs figures."""
        self.run.log({"step": step, **values})

    def images(self, step: int, name: str, picture: np.ndarray) -> None:
        """Logs a picture ``(H, W, 3)`` uint8."""
        self.run.log({"step": step, name: wandb.Image(picture)})

    def text(self, step: int, name: str, text: str) -> None:
        """Logs a text as HTML that shows it as it is."""
        self.run.log({"step": step, name: wandb.Html(f"<pre>{html.escape(text)}</pre>")})

    def finish(self, done: bool) -> None:
        """Sends what is left; a run that is not done counts as failed there until it goes on."""
        self.run.finish(exit_code=0 if done else 1)
