"""From samples to the batches of each training step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from multiprocessing.context import BaseContext
from typing import Any

from i2i.components.processes import Processes
from i2i.data.batches import SKIPPED, BatchOrder, batches, to_device
from i2i.data.loading import Data
from i2i.data.reading.cores import usable_cores
from i2i.engine.batching.stages import Stage
from i2i.engine.device.loader import survive_worker_death
from i2i.engine.state import Batch, Training
from i2i.errors import TrainingError

MAX_WORKERS = 8
"""Loader processes beside a GPU where the user does not say how many."""


def step_batches(
    training: Training,
    data: Data,
    fabric: Processes,
    skipped: Counter[str] | None = None,
    on_death: Callable[[TrainingError], None] | None = None,
) -> Generator[list[Batch]]:
    """The batches of each step for `Training.train_step`, beginning at the training's own step; never ends.

    Args:
        training: its step and configuration.
        data: where samples come from.
        fabric: this process and its device.
        skipped: counts the samples that had to be replaced, by what was wrong with them; None: nobody counts.
        on_death: called when a loader process dies; the rest is then loaded in this one. None: ends with the error.
    """
    skipped = Counter() if skipped is None else skipped
    step = training.step
    for stage in training.stages:
        if stage.stop <= step:
            continue
        loaded = _loaded(training, data, fabric, stage, step, on_death)
        last = stage is training.stages[-1]
        while last or step < stage.stop:
            of_step = []
            for _ in range(training.batches_per_step):
                with training.clock.part("data: loading"):
                    batch = next(loaded)
                skipped.update(batch[SKIPPED])
                with training.clock.part("data: to the device"):
                    of_step.append(to_device(batch, fabric.device, training.context.dtype))
            yield of_step
            step += 1


def _loaded(
    training: Training,
    data: Data,
    fabric: Processes,
    stage: Stage,
    step: int,
    on_death: Callable[[TrainingError], None] | None,
) -> Iterator[dict[str, Any]]:
    """The batches of a stage from a step on; never ends."""
    config, on_gpu = training.config, fabric.device.type == "cuda"
    samples = data.train.at_size(stage.size)
    begin = (step - stage.first) * training.batches_per_step

    def load(first: int, workers: int, context: BaseContext) -> Iterator[dict[str, Any]]:
        order = BatchOrder(
            len(samples) if data.weights is None else data.weights,
            stage.batch_size,
            config.seed,
            taken=stage.seen + (begin + first) * stage.batch_size,
            rank=fabric.global_rank,
            world=fabric.world_size,
        )
        return batches(samples, order, workers, pin_memory=on_gpu, context=context)

    default = min(MAX_WORKERS, usable_cores()) if on_gpu else 0
    return survive_worker_death(load, default if config.data.workers is None else config.data.workers, on_death)
