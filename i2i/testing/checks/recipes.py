"""Checks of training methods, from their options to the exported model."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.utils._pytree import tree_leaves

from i2i.api import Choice, Phase
from i2i.config import RunConfig, resolve
from i2i.engine import launch
from i2i.engine import train as run_engine
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.setup import open_training
from i2i.engine.state import Batch, Training
from i2i.interface import ImageInput, Input, LabelMapInput, TextInput, is_required
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import open_run
from i2i.testing.processes import final_state, train_in_processes
from i2i.testing.subject import Check, Subject, fail, small_options
from i2i.training import Trained, train
from i2i.translate import Model, load

STEPS = 2
"""Training steps of a run."""
SIDE = 64
"""Height and width of the training crops, in pixels; the sources of super-resolution are smaller."""


def round_trip(subject: Subject) -> None:
    """The configuration comes back from its own commented YAML."""
    config = _config(subject)
    path = subject.folder / "round-trip.yaml"
    path.write_text(config.to_commented_yaml(subject.plugins, "check"), encoding="utf-8")
    again = resolve(subject.plugins, config=path, samples=False).to_dict()
    different = [key for key, value in config.to_dict().items() if again[key] != value]
    if different:
        fail(f"section {different[0]} comes back as another: an option must be a plain value, a list or a choice")


def losses(subject: Subject) -> None:
    """Every phase gives finite scalar losses, each explained by its name in a docstring."""
    named: set[str] = set()
    for phase, logs in _phases(subject, _config(subject)):
        for key in logs:
            name = key.rpartition("/")[2]
            named.add(name)
            if not re.fullmatch(r"[A-Za-z][\w.-]*", name):
                fail(f"phase '{phase.name}': loss '{name}' is no name for a curve: use letters, digits, - and _")
    text = _described(subject.component.builder)
    if unknown := sorted(name for name in named if name.lower() not in text):
        subject.notes.append(f"say what the losses {', '.join(unknown)} measure in the docstring of `losses`")


def gradients(subject: Subject) -> None:
    """Every network that a phase trains gets gradients and changes, and no other one changes."""
    training, steps = _opened(subject, _config(subject))
    for one in training.phase_optimizers:
        alone = replace(training, phase_optimizers=[one])
        before = _parameters(training)
        alone.train_step(next(steps), every_phase=True)
        phase, after = one.phase, _parameters(training)
        shared = {id(parameter) for parameter in one.parameters}
        for name in training.modules:
            own = dict(training.modules[name].named_parameters())
            moved = [key for key in own if not torch.equal(before[name][key], after[name][key])]
            if name not in phase.trains and any(id(own[key]) not in shared for key in moved):
                fail(f"phase '{phase.name}' changed '{name}', which it does not train: never change weights yourself")
            if name in phase.trains:
                _check_gradients(training, phase, name, moved=bool(moved))
    training.train_step(next(steps))  # all that are due, which share one forward pass


def resume(subject: Subject) -> None:
    """A run that goes on from a checkpoint ends with the same bits as one that was not interrupted."""
    whole = _run(subject)
    assert whole.run is not None
    halved = subject.folder / "resumed"
    shutil.copytree(whole.run, halved)
    shutil.rmtree(halved / "checkpoints" / f"step-{STEPS:07d}")
    config = _config(subject)
    run_engine(config, subject.plugins, launch(config.engine), open_run(halved))
    last = f"checkpoints/step-{STEPS:07d}"
    for file in ("networks.safetensors", "ema.safetensors"):
        one, other = load_file(whole.run / last / file), load_file(halved / last / file)
        different = [key for key in one if not torch.equal(one[key], other[key])]
        if different:
            fail(
                f"{different[0]} differs after a resume: draw random numbers from ctx or torch, and keep no state "
                "outside of networks, pools, self.state and ctx.step"
            )
    if _kept(whole.run / last) != _kept(halved / last):
        fail("self.state differs after a resume: let it follow from what it was before, from ctx and from the batch")
    states = [torch.load(run / last / "training.pt", weights_only=True) for run in (whole.run, halved)]
    leaves = [tree_leaves(state) for state in states]
    if len(leaves[0]) != len(leaves[1]) or not all(map(_equal, *leaves)):
        fail("optimisers or image pools differ after a resume")
    if _losses(whole.run) != _losses(halved):
        fail("the losses after a resume differ from those of the run that was not interrupted")


def processes(subject: Subject) -> None:
    """Two processes end with equal weights, and with those of one process on the same batches."""
    # SGD, for Adam's first steps do not depend on a factor, such as that of a sum
    rate = ["train.optimizer.name=sgd", "train.optimizer.lr=0.01"]
    config = _config(subject, "engine.precision=fp64", "train.ema=0", *rate)
    path = subject.folder / "processes.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    first, second = train_in_processes(subject.plugins, path, subject.folder)
    if different := [key for key in first if not torch.equal(first[key], second[key])]:
        fail(f"{different[0]} differs between two processes: something random is drawn outside of ctx and networks")
    alone = final_state(subject.plugins, path)
    disturbed = final_state(subject.plugins, path, disturbed=True)
    if any(not torch.equal(alone[key], disturbed[key]) for key in alone):
        subject.notes.append("it draws from torch, of which every process has its own, so 1 and 2 were not compared")
        return
    for key, tensor in alone.items():
        apart = (first[key] - tensor).abs().max().item() if tensor.is_floating_point() and tensor.numel() else 0.0
        if apart > 1e-6:
            fail(
                f"{key} is {apart:.2g} off with two processes: losses must be means over the batch, random "
                "numbers come from ctx, and what compares images of a batch sees one process's: see i2i.all_mean"
            )


def bf16(subject: Subject) -> None:
    """Trains in bfloat16."""
    _phases(subject, _config(subject, "engine.precision=bf16"))  # losses that are not finite are refused there


def export(subject: Subject) -> None:
    """Exports to ONNX: onnxruntime gives what torch gives at two sizes, and any size can be translated."""
    trained = _run(subject)
    if not trained.exported:
        fail("nothing was exported: translators must return at least one")
    for one in trained.exported:
        model = load(one.path)
        label = model.labels[0] if model.labels else None
        if "image" not in one.inputs:
            found = [model.generate(2, label=label, **_inputs(model, (SIDE, SIDE)))]
        else:
            found = [v for size in ((41, 55), (SIDE, SIDE)) for v in _translated(model, size, label)]
        if any(np.size(value) == 0 for value in found):
            fail(f"{one.path.name} gives something empty")


RECIPE: Sequence[Check] = (round_trip, losses, gradients, bf16, export, resume, processes)


def _translated(model: Model, size: tuple[int, int], label: Any) -> list[Any]:
    """What the exported model gives for a random image of that (height, width)."""
    of = model.info.inputs.get("image", ImageInput(channels=model.channels[0]))
    result = model.translate(_value(of, size), label=label, **_inputs(model, size))
    outputs = result if isinstance(result, dict) else {model.info.pictures[0]: result}
    expected = tuple(model.scale * side for side in model.info.size or size)
    for name in model.info.pictures:
        if outputs[name].shape[:2] != expected:
            fail(f"an image of {size} became {outputs[name].shape[:2]} and should be {expected}")
    return list(outputs.values())


def _inputs(model: Model, size: tuple[int, int]) -> dict[str, Any]:
    """A value for each further input that the model needs, with images of that (height, width)."""
    inputs = model.info.inputs.items()
    return {name: _value(of, size) for name, of in inputs if name != "image" and is_required(of)}


def _value(of: Input, size: tuple[int, int]) -> Any:
    draw = np.random.default_rng(0)
    if isinstance(of, TextInput):
        return "text"[: of.length]
    if isinstance(of, LabelMapInput):
        return draw.integers(0, of.count, size, np.uint8)
    return draw.integers(0, 256, (*size, of.channels if isinstance(of, ImageInput) else 1), np.uint8)


def _kept(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint has of `Recipe.state`, in a form that can be compared."""
    kept = checkpoints.load(checkpoint, training=False).recipe
    return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in kept.items()}


def _described(recipe: Any) -> str:
    """The docstrings of a recipe, its methods and its module, in small letters: where losses may be explained."""
    texts = [sys.modules.get(getattr(recipe, "__module__", ""))]
    for base in getattr(recipe, "__mro__", (recipe,)):
        if not base.__module__.startswith("i2i.api."):
            texts += [base, *vars(base).values()]
    return "\n".join(str(getattr(text, "__doc__", None) or "") for text in texts).lower()


def _config(subject: Subject, *sets: str) -> RunConfig:
    """The recipe's configuration, made small; its preset for samples where there is one."""
    component = subject.component
    preset = "samples" if "samples" in component.presets else None
    chosen = resolve(subject.plugins, subject.name, preset=preset, sets=subject.sets, samples=False)
    own = {"sample_every": STEPS, "checkpoint_every": 1, "log_every": 1, "val_images": 1, "sample_count": 1}
    data: dict[str, Any] = {
        "size": SIDE // chosen.data.scale * chosen.data.scale,
        "load_size": None,
        "jitter": 1,
        "workers": 0,
    }
    if subject.data:
        data |= {"root": str(subject.data), "layout": "auto"}
    small = {
        "data": data,
        "train": {"batch_size": 2, "steps": STEPS, "ema": 0.9, **own},
        "engine": {"threads": 1, "precision": "fp32", "device": "cpu"},
        subject.name: _small_choices(subject, chosen.options),
    }
    return resolve(
        subject.plugins, subject.name, preset=preset, config=small, sets=[*subject.sets, *sets], samples=False
    )


def _small_choices(subject: Subject, options: Any) -> dict[str, Any]:
    """The recipe's components with options that make them small; those that the user set are left alone."""
    set_by_user = {key for text in subject.sets for key in text.partition("=")[0].split(".")}
    small = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, Choice) and value.name != "auto" and name not in set_by_user:
            component = subject.plugins.get(value.kind, value.name)
            if own := small_options(subject.plugins, value.kind, component):
                small[name] = {"name": value.name, **own}
    return small


def _opened(subject: Subject, config: RunConfig) -> tuple[Training, Any]:
    """A training that has made no step, and its batches."""
    fabric = launch(config.engine)
    training, data = open_training(config, subject.plugins, fabric)
    return training, step_batches(training, data, fabric)


def _phases(subject: Subject, config: RunConfig) -> list[tuple[Phase, dict[str, Tensor]]]:
    """Each phase with the losses of one step of it alone."""
    training, steps = _opened(subject, config)
    batch: list[Batch] = next(steps)
    done = []
    for one in training.phase_optimizers:
        logs = replace(training, phase_optimizers=[one]).train_step(batch, every_phase=True)
        done.append((one.phase, logs))
    return done


def _parameters(training: Training) -> dict[str, dict[str, Tensor]]:
    """Copies of the weights by network and name."""
    return {
        name: {key: parameter.detach().clone() for key, parameter in module.named_parameters()}
        for name, module in training.modules.items()
    }


def _check_gradients(training: Training, phase: Phase, name: str, *, moved: bool) -> None:
    gradients = [p.grad for p in training.modules[name].parameters() if p.grad is not None]
    if not any(gradient.any() for gradient in gradients):
        fail(f"phase '{phase.name}' trains '{name}', and none of its losses has a gradient there: is it detached?")
    if not moved:
        fail(f"phase '{phase.name}' does not change '{name}', although it has gradients: is the learning rate 0?")


def _run(subject: Subject) -> Trained:
    """A whole training of two steps, with a checkpoint after each, and its export."""

    def trained() -> Trained:
        path = subject.folder / "config.yaml"
        path.write_text(_config(subject).to_yaml(), encoding="utf-8")
        return train(config=path, out=subject.folder / "run", plugins=subject.plugins)

    return subject.once("run", trained)


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else bool(one == other)


def _losses(run: Path) -> list[dict[str, float]]:
    """The logged losses of a run, step by step."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key.startswith(("loss/", "step"))} for line in lines]
