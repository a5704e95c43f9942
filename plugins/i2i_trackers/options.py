"""Options of the trackers."""

from __future__ import annotations

from typing import Literal

import i2i


class JsonLinesConfig(i2i.Config):
    """Options of jsonl."""

    path: str | None = None
    """The file, to which several runs may write; null: figures.jsonl beside the run folder."""


class WandbConfig(i2i.Config):
    """Options of wandb."""

    project: str = "i2i"
    """Project that the run belongs to."""
    entity: str | None = None
    """User or team that the project belongs to; null: the one that is logged in."""
    mode: Literal["online", "offline"] | None = None
    """offline: into files, which `wandb sync` sends later; null: what WANDB_MODE says, else online."""


class MlflowConfig(i2i.Config):
    """Options of mlflow."""

    experiment: str = "i2i"
    """Experiment that the run belongs to; made if need be."""
    uri: str | None = None
    """A server, https://..., or a database, sqlite:///FILE; null: MLFLOW_TRACKING_URI, else mlflow's own default."""


class TrackioConfig(i2i.Config):
    """Options of trackio."""

    project: str = "i2i"
    """Project that the run belongs to."""
    space: str | None = None
    """Hugging Face Space that shows the run, user/space; null: on this machine only, for `trackio show`."""
