"""Weights of one run as the beginning of another: fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from i2i.config.changes import listed
from i2i.errors import RunError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import open_run

if TYPE_CHECKING:
    from i2i.engine.state import Training


def find_start(path: Path) -> Path:
    """The checkpoint that is meant by a run, its best or else its last one, or by a checkpoint's own folder.

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


def begin_from(training: Training, path: Path, *, strict: bool) -> list[str]:
    """Gives the networks of a run at step 0 the weights of a checkpoint.

    These are the weights that were trained, not their moving average: they are what discriminators were trained
    against. Optimisers, pools and the new run's own average begin anew.

    Args:
        training: the run in memory.
        path: the checkpoint's folder.
        strict: whether every tensor must be there and of the same shape, and none be left over.

    Returns:
        Lines to say: what was taken, and what was not.

    Raises:
        RunError: the checkpoint is damaged, does not fit, or nothing of it fits; the networks are as before.
    """
    found = checkpoints.load(path, training=False)
    wrong = misfits(training.modules, found.networks)
    if wrong and strict:
        raise RunError(
            f"{path}: does not fit: {listed(wrong)}; "
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
        raise RunError(f"{path}: no weight of it fits: {listed(wrong)}")
    lines = [f"starting with the weights of {path} (step {found.step})"]
    if wrong:
        lines.append(f"warning: not taken: {listed(wrong)}")
    labels = tuple(found.state.get("labels", ()))
    if labels != training.labels:
        old, new = (", ".join(names) or "none" for names in (labels, training.labels))
        lines.append(f"warning: its labels were {old}; here they are {new}")
    return lines


def misfits(modules: Mapping[str, nn.Module], given: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """One line for each tensor, or whole network, that is on one side only or has another shape.

    Args:
        modules: the networks that want weights.
        given: state dicts by network.
    """
    lines = [f"{name}: in the checkpoint only" for name in given if name not in modules]
    for name, module in modules.items():
        own = module.state_dict()
        if own and name not in given:
            lines.append(f"{name}: not in the checkpoint")
            continue
        there = given.get(name, {})
        for key, tensor in own.items():
            if key not in there:
                lines.append(f"{name}.{key}: not in the checkpoint")
            elif there[key].shape != tensor.shape:
                lines.append(f"{name}.{key}: {_shape(there[key])} in the checkpoint, {_shape(tensor)} here")
        lines += [f"{name}.{key}: in the checkpoint only" for key in there if key not in own]
    return lines


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"
