"""Chooses for a long run what computes the same in less time, by a few timed steps of throw-away copies.

A copy is built as the run itself is, from the seed, and makes steps on the same few samples; then it is forgotten. All
that is random in a step or sample follows from its number, so that the run is the same as without. Only settings that
are tested for right gradients are tried: contiguous weights or channels last, and in runs of hours compiled networks.
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from i2i.components.processes import Processes
from i2i.config import RunConfig
from i2i.data.batches import SKIPPED, collate, to_device
from i2i.data.loading import Data
from i2i.engine.device.launch import chosen_by_rule
from i2i.engine.setup import build_training, planned_steps
from i2i.engine.state import Batch, Training
from i2i.plugins import Plugins

MIN_STEPS = 5000
"""Steps of a run from which a trial is worth its 8 steps, and from which noise does not decide between short runs."""
MIN_COMPILED_S = 3600.0
"""Seconds that a run must take from which compiling is tried, which takes a minute or so."""
MIN_GAIN = 0.05
"""Share of the time that a setting must save to be chosen against what the rule says."""
TIMED = 3
"""Timed steps of a setting, after one that warms up."""


def tune(config: RunConfig, data: Data, plugins: Plugins, fabric: Processes) -> tuple[RunConfig, str]:
    """Replaces ``auto`` in the section ``engine`` of a new run: by rule, or in a long one by what is measured.

    With several processes the rule alone decides: one whose trial fails would leave the others waiting.

    Args:
        config: the run's configuration.
        data: its samples.
        plugins: where components are looked up.
        fabric: this process.

    Returns:
        The configuration, and a line on what was measured; empty if nothing was.

    Raises:
        UserError: networks cannot be built.
    """
    asked, ruled = config.engine, chosen_by_rule(config.engine, fabric.device)
    config = replace(config, engine=ruled)
    if asked.tune == "off" or fabric.world_size > 1 or "auto" not in (asked.memory_format, asked.compile):
        return config, ""
    steps = _steps(config, data, plugins, fabric)
    if steps < MIN_STEPS:
        return config, ""

    def seconds(engine_options: dict[str, object]) -> tuple[float, float]:
        tried = replace(config, engine=ruled.model_copy(update=engine_options))
        with _random_state_kept(fabric.device):
            return _measure(tried, data, plugins, fabric)

    best, found = _best_format(seconds, ruled.memory_format, free=asked.memory_format == "auto")
    eager = found[best]
    texts = [f"{name.replace('_', ' ')} {_seconds_text(value)}" for name, value in found.items()]
    compiled = False
    expected = min(eager * steps, 3600 * (config.train.max_hours or math.inf))
    if asked.compile == "auto" and eager < math.inf and expected > MIN_COMPILED_S:
        first, later = seconds({"memory_format": best, "compile": True})
        compiled = first + later * expected / eager < expected * (1 - MIN_GAIN)
        texts.append(f"compiled {_seconds_text(later)} after {_seconds_text(first)}")
    chosen = ruled.model_copy(update={"memory_format": best, "compile": compiled or ruled.compile})
    words = f"{best.replace('_', ' ')} weights, {'compiled' if chosen.compile else 'eager'}"
    return replace(config, engine=chosen), f"engine.tune=auto: {words} (a step takes, {', '.join(texts)})"


def _best_format(
    seconds: Callable[[dict[str, object]], tuple[float, float]], ruled: str, *, free: bool
) -> tuple[str, dict[str, float]]:
    """The memory format to take, and seconds a step of those that were tried."""
    formats = [ruled, *(one for one in ("contiguous", "channels_last") if free and one != ruled)]
    found = {one: seconds({"memory_format": one})[1] for one in formats}
    fastest = min(found, key=lambda name: found[name])
    return (fastest if found[fastest] < found[ruled] * (1 - MIN_GAIN) else ruled), found


def _measure(config: RunConfig, data: Data, plugins: Plugins, fabric: Processes) -> tuple[float, float]:
    """Seconds of the first step and of a later one, of every phase; both infinite where the setting fails."""
    try:
        training = build_training(config, plugins, data, fabric)
        samples = collate([data.train[0, number % len(data.train)] for number in range(config.train.batch_size)])
        samples.pop(SKIPPED)
        batch = to_device(samples, fabric.device, training.context.dtype)
        first, *later = [_step_seconds(training, batch, fabric) for _ in range(1 + TIMED)]
        return first, min(later)
    except Exception:  # too little memory, no compiler, numbers that are not finite: the run itself will tell
        return float("inf"), float("inf")
    finally:
        gc.collect()
        if fabric.device.type == "cuda":
            torch.cuda.empty_cache()


def _step_seconds(training: Training, batch: Batch, fabric: Processes) -> float:
    begin = time.perf_counter()
    training.train_step([batch] * training.batches_per_step, every_phase=True)
    if fabric.device.type == "cuda":
        torch.cuda.synchronize(fabric.device)
    return time.perf_counter() - begin


def _seconds_text(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < float("inf") else "fails"


def _steps(config: RunConfig, data: Data, plugins: Plugins, fabric: Processes) -> int:
    """Steps of the run. Epochs take fewer where phases are repeated, which is known only once networks are built."""
    most = planned_steps(config, data, config.train.accumulate)
    if most < MIN_STEPS or config.train.steps:
        return most
    with _random_state_kept(fabric.device):
        return build_training(config, plugins, data, fabric).steps


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    """What is drawn after the context, on the CPU and this device, does not depend on what was drawn in it."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
