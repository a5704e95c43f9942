"""Trackers: where the figures, sample grids and warnings of a run go besides its metrics.jsonl.

Each has a module of its own, imported when a training has done its first step: TensorBoard takes long to import, and
wandb, mlflow and trackio are packages of extras.
"""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_trackers() -> list[i2i.Component]:
    """Files in the run folder, files elsewhere, and the clients of three experiment trackers."""
    from i2i_trackers import options as o

    def component(name: str, cls: str, config: type[i2i.Config], summary: str) -> i2i.Component:
        return i2i.Component(name, f"i2i_trackers.{name}:{cls}", config, summary)

    return [
        component("tensorboard", "TensorBoardTracker", i2i.Config, "TensorBoard's event files in the run folder"),
        component("csv", "CsvTracker", i2i.Config, "figures.csv in the run folder: step, name, value"),
        component("jsonl", "JsonLinesTracker", o.JsonLinesConfig, "One file of JSON lines for several runs"),
        component("wandb", "WandbTracker", o.WandbConfig, "Weights & Biases, online or offline"),
        component("mlflow", "MlflowTracker", o.MlflowConfig, "MLflow, a server or local files"),
        component("trackio", "TrackioTracker", o.TrackioConfig, "Trackio, a local database or a Space"),
    ]
