"""Converts a training in memory to a checkpoint, and back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from importlib.metadata import version

from i2i.config.changes import first_few
from i2i.engine.context import Pools
from i2i.engine.optim.phases import PhaseOptimizer
from i2i.engine.recipe_state import checked_state, set_state
from i2i.engine.state import Training
from i2i.engine.validation.record import ValidationRecord
from i2i.errors import RunError
from i2i.runs.checkpoint import Checkpoint
from i2i.runs.weights import mismatched_keys


def to_checkpoint(training: Training, pools: Pools) -> Checkpoint:
    """Everything that exact continuation needs.

    Args:
        training: the run in memory; its tensors are referred to, not copied.
        pools: the image pools of all processes.
    """
    optimizers = {_optimizer_key(one): one.built.state() for one in training.phase_optimizers}
    sample = {
        key: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)} for key, tensor in training.data.sample.items()
    }
    versions = {name: version(name) for name in ("i2i-toolkit", "torch", "numpy")}
    return Checkpoint(
        step=training.step,
        networks={name: module.state_dict() for name, module in training.modules.items()},
        ema={name: average.state_dict() for name, average in training.averages.items()},
        training={"optimizers": optimizers, "pools": pools},
        recipe=checked_state(training.recipe, training.owner),
        state={
            "config": training.config.to_dict(),
            "sample": sample,
            "value_type": training.data.value_type,
            "values": {key: asdict(values) for key, values in training.data.values.items()},
            "labels": list(training.data.labels),
            "bands": {key: asdict(bands) for key, bands in training.data.bands.items()},
            "kinds": dict(training.data.kinds),
            "teachers": list(training.teachers),
            "rollbacks": training.rollbacks,
            "rate_scale": training.rate_scale,
            "validation": training.validated.to_state(),
            "versions": versions | {"python": sys.version.split()[0]},
        },
    )


def restore(training: Training, checkpoint: Checkpoint) -> None:
    """Puts a training back to a checkpoint.

    Raises:
        RunError: the checkpoint does not fit the networks, optimisers, labels or number of steps.
    """
    labels, here = tuple(checkpoint.state["labels"]), training.data.labels
    if labels != here:
        raise RunError(f"the run was trained for the labels {', '.join(labels)}, not {', '.join(here)}")
    if wrong := mismatched_keys(training.modules, checkpoint.networks):
        raise RunError(
            f"the checkpoint of step {checkpoint.step} does not fit the configuration: {first_few(wrong)}; use the "
            "run's own data and settings, or start a new run from its weights with --from RUN"
        )
    if checkpoint.state.get("teachers", list(training.teachers)) != list(training.teachers):
        raise RunError("the model that the recipe learns from is not the one that it began with: put that back")
    try:
        _load_states(training, checkpoint)
    except RunError as error:
        raise RunError(f"the checkpoint of step {checkpoint.step} does not fit the configuration: {error}") from error
    except (KeyError, RuntimeError, ValueError) as error:
        reason = "its optimisers or averages are of others; use the run's own settings"
        raise RunError(f"the checkpoint of step {checkpoint.step} does not fit the configuration: {reason}") from error
    if checkpoint.step > training.steps:
        raise RunError(f"the run has done {checkpoint.step} steps already: ask for more than {training.steps}")
    training.context.load_pools(checkpoint.training["pools"])
    set_state(training.recipe, checkpoint.recipe, training.context.device)
    training.step = checkpoint.step
    training.rollbacks = checkpoint.state.get("rollbacks", 0)
    training.rate_scale = checkpoint.state.get("rate_scale", 1.0)
    training.validated = ValidationRecord.from_state(checkpoint.state.get("validation", {}))
    training.health.reset()


def _load_states(training: Training, checkpoint: Checkpoint) -> None:
    for name, module in training.modules.items():
        if module.state_dict():  # of a frozen network without any, strict batch norm would miss its counter
            module.load_state_dict(checkpoint.networks.get(name, {}))
    for name, average in training.averages.items():
        if name not in checkpoint.ema:
            raise RunError("it was trained without train.ema")
        average.load_state_dict(checkpoint.ema[name])
    for one in training.phase_optimizers:
        one.built.load(checkpoint.training["optimizers"][_optimizer_key(one)])


def _optimizer_key(one: PhaseOptimizer) -> str:
    """Phases that share an optimiser have one key."""
    return "+".join(one.optimizes)
