"""Going back to the last good state when numbers are no longer finite, with a lower learning rate."""

from __future__ import annotations

from collections.abc import Callable

from i2i.engine.health import DivergedError
from i2i.engine.saving import restore
from i2i.engine.state import Training
from i2i.errors import TrainingError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder

MAX_ROLLBACKS = 3
"""How often a run goes back before it stops."""
RATE_FACTOR = 0.5
"""Factor by which all learning rates are multiplied each time."""


def roll_back(error: DivergedError, training: Training, run: RunFolder, restart: Callable[[], None]) -> str:
    """Goes back to the newest whole checkpoint, or to the beginning; every process must call it.

    Args:
        error: the step that failed, and why.
        training: the run in memory, which is changed.
        run: where the checkpoints are.
        restart: brings the training to its beginning, for a run without a checkpoint.

    Returns:
        A line for the user.

    Raises:
        TrainingError: a lower rate cannot help, or did not help `MAX_ROLLBACKS` times.
    """
    saved = f"{error}; nothing of it was saved"
    if error.in_batch:
        advice = "mend or remove the sample or the transform that makes it, then go on with --resume"
        raise TrainingError(f"{saved}: {advice}") from error
    done, scale = training.rollbacks, training.rate_scale
    lower = f"lower train.optimizer.lr (all rates were at {scale:g} of what is configured), or engine.precision=fp32"
    if done >= MAX_ROLLBACKS:
        raise TrainingError(f"{saved}, and the run went back {done} times already: try a {lower}") from error
    found, _ = checkpoints.load_newest(run.checkpoints)
    spent = training.validated.spent
    if found:
        restore(training, found)
    else:
        restart()
    training.rollbacks, training.rate_scale = done + 1, scale * RATE_FACTOR
    training.validated.spent = spent  # time does not come back
    where = f"the checkpoint of step {training.step}" if found else "the beginning"
    return (
        f"{saved}; back to {where} with all learning rates at {training.rate_scale:g} of what is configured "
        f"({training.rollbacks} of at most {MAX_ROLLBACKS} times)"
    )
