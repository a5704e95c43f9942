"""Which checkpoint of a run is meant. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from i2i.errors import RunError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder, open_run


def find_checkpoint(run: RunFolder, which: str) -> Path:
    """The folder of a checkpoint.

    Args:
        run: the run.
        which: ``last``, ``best`` by the figure of `train.best_metric`, or a step.

    Raises:
        RunError: there is none.
    """
    existing = checkpoints.list_checkpoints(run.checkpoints)
    if not existing:
        raise RunError(f"{run.path}: no checkpoint in it yet")
    if which == "last":
        return existing[-1]
    if which == "best":
        return checkpoints.best(run.checkpoints) or existing[-1]
    by_step = {str(checkpoints.step_of(path)): path for path in existing}
    if which not in by_step:
        raise RunError(f"{run.path}: no checkpoint '{which}'; there are: last, best, {', '.join(by_step)}")
    return by_step[which]


def find_start(path: Path) -> Path:
    """The checkpoint to start from.

    Args:
        path: a run folder, whose best checkpoint is taken or else its last one, or a checkpoint's own folder.

    Raises:
        RunError: there is none.
    """
    if (path / "state.json").is_file():
        return path
    run = open_run(path)
    found = checkpoints.best(run.checkpoints) or next(reversed(checkpoints.list_checkpoints(run.checkpoints)), None)
    if found is None:
        raise RunError(f"{path}: no checkpoint in it yet to start from")
    return found
