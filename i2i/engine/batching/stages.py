"""Sizes of images and of batches that change during a training, as for progressive growing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from i2i.api import Recipe
from i2i.components.processes import Processes
from i2i.config import RunConfig, Size, height_and_width, size_text
from i2i.errors import ConfigError, PluginError, attributed_to, short_repr


@dataclass(frozen=True)
class Stage:
    """Steps that follow one another with images of one size and batches of one size.

    Attributes:
        first: number of its first step.
        stop: number of the step after its last one.
        size: size of the training crops in pixels: the side of a square, or height and width.
        batch_size: images a step, over all processes together.
        seen: samples that the steps before have taken.
    """

    first: int
    stop: int
    size: Size
    batch_size: int
    seen: int = 0


def find_stages(
    recipe: Recipe, config: RunConfig, fabric: Processes, owner: str, *, steps: int, batches: int
) -> list[Stage]:
    """The stages of a run: those that the recipe asks for, or a single one.

    Args:
        recipe: the training method.
        config: the run's configuration, whose ``data.size`` is the largest size.
        fabric: this process.
        owner: the recipe's name in messages.
        steps: steps of the whole run.
        batches: batches that each step takes.

    Raises:
        ConfigError: a size does not fit ``data.size`` or ``data.scale``, or a batch the number of processes.
        PluginError: the recipe gives something else than a size and a number.
    """
    found = [Stage(0, steps, config.data.size, config.train.batch_size)]
    if type(recipe).stages is not Recipe.stages:
        found = []
        for step in range(steps):
            with attributed_to(f"{owner}, stages"):
                asked = recipe.stages(step / steps)
            size, batch = _numbers(asked, config, owner)
            if found and (found[-1].size, found[-1].batch_size) == (size, batch):
                found[-1] = Stage(found[-1].first, step + 1, size, batch, found[-1].seen)
                continue
            found.append(Stage(step, step + 1, size, batch, samples_seen(found, step, batches)))
    for stage in found:
        _check(stage, config, fabric.world_size, owner)
    return found


def samples_seen(stages: Sequence[Stage], step: int, batches: int) -> int:
    """How many samples the steps before a step have taken, of which each takes so many batches."""
    stage = next((one for one in reversed(stages) if one.first < step or one is stages[0]), None)
    if stage is None:
        return 0
    return stage.seen + (step - stage.first) * stage.batch_size * batches


def _numbers(asked: object, config: RunConfig, owner: str) -> tuple[Size, int]:
    if asked is None:
        return config.data.size, config.train.batch_size
    if isinstance(asked, tuple) and len(asked) == 2:
        size, batch = asked
        sides = size if isinstance(size, tuple) and len(size) == 2 else (size,)
        if all(type(number) is int and number > 0 for number in (*sides, batch)):
            return size, batch
    reason = f"stages must return a size in pixels and a batch size, whole numbers, not {short_repr(asked)}"
    raise PluginError(f"{owner}: {reason}")


def _check(stage: Stage, config: RunConfig, world: int, owner: str) -> None:
    where = "" if stage.first == 0 and stage.size == config.data.size else f"{owner}, stage at step {stage.first}: "
    batch, size, scale = stage.batch_size, stage.size, config.data.scale
    if batch % world:
        name = f"{where}a batch of {batch}" if where else f"train.batch_size={batch}"
        raise ConfigError(f"{name} cannot be shared by {world} processes: set a multiple of {world}")
    sides = zip(height_and_width(size), config.data.height_width, strict=True)
    if any(side > most or side % scale for side, most in sides):
        limits = f"at most data.size={size_text(config.data.size)}" + (
            f", and a multiple of data.scale={scale}" if scale > 1 else ""
        )
        raise ConfigError(f"{where}images of {size_text(size)} pixels: a stage's size is {limits}")
