"""MLflow. A run that goes on keeps its number there, in the file ``mlflow.id`` of the run folder."""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

import i2i
from i2i_trackers.kept import kept
from i2i_trackers.options import MlflowConfig

MAX_PARAMS = 100
"""Parameters that MLflow takes at once."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Seconds, and repetitions, for a server that does not answer; by MLflow's own it would hold up the training for
minutes. Variables of the environment are how MLflow is told; what the user has set there stays."""


class MlflowTracker:
    """Logs metrics and parameters, pictures, and each text as a file.

    What a run that goes on had logged of later steps stays there, and comes a second time.

    Args:
        config: the options.
        run: the run.
    """

    def __init__(self, config: MlflowConfig, *, run: i2i.TrackedRun) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        self.client = MlflowClient(config.uri)
        self.id = kept(run, "mlflow", lambda: self._begun(config.experiment, run))
        self.client.update_run(self.id, status="RUNNING")
        self.client.log_dict(self.id, dict(run.config), "config.yaml")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Logs metrics; characters that MLflow's names cannot have become ``_``."""
        now = int(time.time() * 1000)
        metrics = [Metric(_name(name), value, now, step) for name, value in values.items()]
        self.client.log_batch(self.id, metrics)

    def images(self, step: int, name: str, picture: np.ndarray) -> None:
        """Logs a picture ``(H, W, 3)`` uint8."""
        self.client.log_image(self.id, picture, key=_name(name), step=step, synchronous=True)

    def text(self, step: int, name: str, text: str) -> None:
        """Logs a text as a file of a name of its own."""
        self.client.log_text(self.id, text, f"{_name(name)}/step-{step:07d}-{zlib.crc32(text.encode()):08x}.txt")

    def finish(self, done: bool) -> None:
        """Says how the run ended."""
        self.client.set_terminated(self.id, "FINISHED" if done else "KILLED")

    def _begun(self, experiment: str, run: i2i.TrackedRun) -> str:
        """Makes the run there, with the configuration as its parameters, which cannot change later."""
        known = self.client.get_experiment_by_name(experiment)
        number = known.experiment_id if known else self.client.create_experiment(experiment)
        made = str(self.client.create_run(number, run_name=run.name, tags={"recipe": run.recipe}).info.run_id)
        parameters = list(_flat(run.config))
        for first in range(0, len(parameters), MAX_PARAMS):
            self.client.log_batch(made, params=parameters[first : first + MAX_PARAMS])
        return made


def _name(name: str) -> str:
    return re.sub(r"[^\w .:/-]", "_", name)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[Param]:
    """The values of nested mappings, each under its keys joined by dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield Param(_name(f"{prefix}{key}"), str(value)[:500])
