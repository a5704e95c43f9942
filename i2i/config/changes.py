"""Checks which options have changed when a run is resumed: those that would make it another training are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from i2i.api import DiscriminatorChoice, FeaturesChoice, GeneratorChoice
from i2i.config.resolve import RunConfig
from i2i.errors import RunError, short_repr

CHANGEABLE = (
    "data.root",  # a folder may have moved
    "data.val_root",
    "data.val_whole",
    "data.workers",
    "data.cache_mb",
    "data.check_*",
    "train.steps",
    "train.epochs",
    "train.max_hours",
    "train.start_strict",
    "train.schedule.*",
    "train.phases.*",
    "train.log_every",
    "train.sample_every",
    "train.sample_count",
    "train.val_images",
    "train.validate_*",
    "train.best_*",
    "train.patience",
    "train.trackers",
    "train.checkpoint_every",
    "train.keep_*",
    "train.health*",
    "engine.*",
)
"""Keys, as patterns, that may change when a run is resumed; so may numbers of the recipe, such as weights of losses."""
BATCH = ("train.batch_size", "train.accumulate")
"""Keys that may change if their product stays the same: each step then sees the same samples."""
OPTIMIZERS = ("train.optimizer.*", "train.phases.*.optimizer", "train.phases.*.optimizer.*")
"""Keys, as patterns, of optimisers, which may change in `RATES` only."""
RATES = ("lr", "betas", "eps", "weight_decay")
"""Options on which no optimiser's state depends; one that began without momentum, for instance, has none saved."""
NETWORKS = (GeneratorChoice, DiscriminatorChoice, FeaturesChoice)
"""Choices in the recipe's section whose options decide the shape of weights, and may not change."""


def resumed_config(saved: RunConfig, requested: RunConfig, run: Path) -> tuple[RunConfig, str]:
    """The configuration with which a run goes on.

    Args:
        saved: the run's own configuration.
        requested: the configuration resolved from `saved` and the user's options.
        run: the run folder, for messages.

    Returns:
        `requested`, where ``auto`` is replaced by the run's values, which may be ``auto``, too, in older runs; and one
        line that names the changes, empty if there are none.

    Raises:
        RunError: a change would make the run another training.
    """
    train: dict[str, Any] = {}
    if requested.train.metrics is None:  # the run has chosen already
        train["metrics"] = saved.train.metrics
    if not requested.train.batch_size:  # auto: the run has measured already
        train["batch_size"] = saved.train.batch_size
    old, new = saved.train.start_from, requested.train.start_from
    if old and new and Path(old).resolve().is_relative_to(Path(new).resolve()):  # the checkpoint that was taken then
        train["start_from"] = old
    ranges = {
        key: getattr(saved.data, key)
        for key in ("source_range", "target_range")
        if getattr(requested.data, key) == "auto"  # the run has measured already
    }
    chosen = {
        key: getattr(saved.engine, key)
        for key in ("precision", "memory_format", "compile")
        if getattr(requested.engine, key) == "auto"  # the run has chosen already
    }
    requested = replace(
        requested,
        train=requested.train.model_copy(update=train),
        data=requested.data.model_copy(update=ranges),
        engine=requested.engine.model_copy(update=chosen),
    )
    if saved.recipe != requested.recipe:
        raise RunError(f"{run}: is a run of recipe '{saved.recipe}', not of '{requested.recipe}': choose another --out")
    allowed, refused = [], []
    old_batch, new_batch = (one.train.batch_size * one.train.accumulate for one in (saved, requested))
    for key, before, after in _differences(saved.to_dict(), requested.to_dict()):
        if (old_batch == new_batch and key in BATCH) or _may_change(key, before, after, requested):
            allowed.append(f"{key}={_text(after)} (was {_text(before)})")
        else:
            refused.append(f"{key}: run has {_text(before)}, asked for {_text(after)}")
    if refused:
        raise RunError(
            f"{run}: cannot go on with other settings: {first_few(refused)}; leave them out, or start a new run from "
            f"its weights with --from {run}"
        )
    return requested, f"going on with {first_few(allowed, 20)}" if allowed else ""


def first_few(lines: Sequence[str], count: int = 5) -> str:
    """The first few lines joined into one, and how many more there are."""
    rest = f"; and {len(lines) - count} more" if len(lines) > count else ""
    return "; ".join(lines[:count]) + rest


def _differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Key, old and new value of everything that differs; a choice of another component as a whole."""
    before, after = ({} if value is None else value for value in (old, new))  # no settings of a phase are null each
    both = isinstance(before, Mapping) and isinstance(after, Mapping)
    if both and before.get("name") == after.get("name"):
        for part in dict.fromkeys([*before, *after]):
            if key or part != "preset":  # what it stood for is in the other keys
                yield from _differences(before.get(part), after.get(part), f"{key}.{part}" if key else part)
    elif old != new:
        yield key, old, new


def _may_change(key: str, before: Any, after: Any, requested: RunConfig) -> bool:
    section, _, option = key.partition(".")
    if section == requested.recipe:
        weight = isinstance(before, float) and isinstance(after, float)
        return weight and not any(f"{option}.".startswith(f"{name}.") for name in _networks(requested.options))
    if any(fnmatchcase(key, one) for one in OPTIMIZERS):
        return key.rpartition(".optimizer.")[2] in RATES
    return any(fnmatchcase(key, one) for one in CHANGEABLE)


def _networks(section: BaseModel, prefix: str = "") -> Iterator[str]:
    """Keys of a recipe's section whose values choose networks."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, NETWORKS):
            yield prefix + name
        elif isinstance(value, BaseModel):
            yield from _networks(value, f"{prefix}{name}.")


def _text(value: Any) -> str:
    if isinstance(value, Mapping) and "name" in value:
        return str(value["name"])
    return "null" if value is None else value if isinstance(value, str) else short_repr(value)
