"""Weights of one run as the beginning of another: fine-tuning."""

from __future__ import annotations

from pathlib import Path

from i2i.config.changes import first_few
from i2i.engine.state import Training
from i2i.errors import RunError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.weights import mismatched_keys


def load_start_weights(training: Training, path: Path, *, strict: bool) -> list[str]:
    """Gives the networks of a run at step 0 the weights of a checkpoint.

    These are the weights that were trained, not their moving average: they are what discriminators were trained
    against. Optimisers, pools and the new run's own average begin anew.

    Args:
        training: the run in memory.
        path: the checkpoint's folder.
        strict: whether every tensor must be there and of the same shape, and none be left over.

    Returns:
        Lines for the user: what was taken, and what was not.

    Raises:
        RunError: the checkpoint is damaged, does not fit, or nothing of it fits; the networks are as before.
    """
    found = checkpoints.load(path, training=False)
    wrong = mismatched_keys(training.modules, found.networks)
    if wrong and strict:
        raise RunError(
            f"{path}: does not fit: {first_few(wrong)}; "
            "train.start_strict=false takes what fits and leaves the rest as new"
        )
    taken = 0
    for name, module in training.modules.items():
        own, given = module.state_dict(), found.networks.get(name, {})
        fitting = {key: tensor for key, tensor in given.items() if key in own and own[key].shape == tensor.shape}
        module.load_state_dict(fitting, strict=False)
        taken += len(fitting)
        if name in training.averages:
            training.averages[name].module.load_state_dict(module.state_dict())
    if not taken:
        raise RunError(f"{path}: no weight of it fits: {first_few(wrong)}")
    lines = [f"starting with the weights of {path} (step {found.step})"]
    if wrong:
        lines.append(f"warning: not taken: {first_few(wrong)}")
    if found.recipe:
        lines.append(f"warning: not taken: what its recipe had in its state ({first_few(sorted(found.recipe))})")
    labels, here = tuple(found.state.get("labels", ())), training.data.labels
    if labels != here:
        old, new = (", ".join(names) or "none" for names in (labels, here))
        lines.append(f"warning: its labels were {old}; here they are {new}")
    return lines
