"""The lines that a training prints before its first step, and facts about machine and networks for its summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from i2i.components.processes import Processes
from i2i.data.loading import Data
from i2i.engine.state import Training
from i2i.images import ValueRange


def run_facts(training: Training, fabric: Processes) -> dict[str, Any]:
    """Machine, what the engine chose, and parameters of each network, by their names in the summary."""
    device = torch.cuda.get_device_name() if fabric.device.type == "cuda" else str(fabric.device)
    start_from = training.config.train.start_from
    parameters = {
        f"{name} parameters": f"{sum(p.numel() for p in module.parameters()) / 1e6:.2f} M"
        for name, module in training.modules.items()
        if next(module.parameters(), None) is not None
    }
    started = {"started from": start_from} if start_from else {}
    machine = {"device": device, "processes": fabric.world_size, "precision": training.precision}
    engine = training.config.engine
    chosen = {"memory format": engine.memory_format.replace("_", " ")} | (
        {"networks": "compiled"} if engine.compile else {}
    )
    return machine | chosen | started | parameters


def opening_lines(training: Training, data: Data, facts: Mapping[str, Any], where: str = "") -> list[str]:
    """Lines about the data, the machine and the steps to be done.

    Args:
        training: the run in memory.
        data: its samples.
        facts: from `run_facts`.
        where: added to the last line.
    """
    start = f"from step {training.step} " if training.step else ""
    return [
        *(f"warning: left out {problem}" for problem in data.problems),
        *(f"warning: {line}" for line in data.warnings),
        f"{training.config.recipe}: {len(data.train)} training and {len(data.val)} validation samples ({data.layout})",
        *(_scale_line(key, values) for key, values in data.values.items() if values.bounds is not None),
        ", ".join(f"{key} {value}" for key, value in facts.items()),
        *(f"note: {note}" for one in training.phase_optimizers for note in one.notes),
        *_idle_end(training),
        f"training {start}to step {training.steps}{where}",
    ]


def _idle_end(training: Training) -> list[str]:
    """A note for each schedule that leaves the last epoch, above a twentieth of the run, at a learning rate of 0."""
    steps, epoch = training.steps, training.epoch_length
    begin = math.ceil((steps - 1) // epoch * epoch)
    if (steps - begin) * 20 <= steps:
        return []
    schedules = [one.schedule for one in training.phase_optimizers]
    idle = [one for one in schedules if not any(one.factor(step, steps, epoch) for step in (begin, steps - 1))]
    return [
        f"note: schedule '{name}' trains the last epoch, from step {begin} of {steps}, at a rate of 0: "
        f"set {key}.name=linear to use all steps"
        for key, name in sorted({(one.key, one.name) for one in idle})
    ]


def _scale_line(key: str, values: ValueRange) -> str:
    """What a number of the losses and metrics is in the units of the images."""
    assert values.bounds is not None
    low, high = values.bounds
    scale = f"{values.text} are -1..1 to losses and metrics, where 0.01 is {(high - low) / 200:.3g}"
    return f"{key}s of {values.dtype}: {scale}"
