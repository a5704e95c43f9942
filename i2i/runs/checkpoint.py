"""Checkpoints: folders that are complete or not there at all, and that can run no code when they are loaded.

``networks.safetensors`` and ``ema.safetensors`` hold state dicts, each key behind its network's name. ``training.pt``
has optimisers and image pools and is loaded with ``weights_only=True``. ``state.json`` has the step, the configuration
and a SHA-256 of each of the other files. Everything is written under a temporary name, synced to the disk and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from i2i.errors import RunError, TrainingError

FORMAT = 1
StateDicts = dict[str, dict[str, Tensor]]


@dataclass
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        step: finished training steps.
        networks: state dicts by network.
        ema: state dicts of the averaged networks; empty without averaging.
        training: optimisers and image pools: tensors and plain values only.
        state: JSON values: configuration, sample shapes, versions, validation metrics, and a ``score`` that is higher
            for a better checkpoint.
    """

    step: int
    networks: StateDicts
    ema: StateDicts = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes ``folder/step-NNNNNNN``.

    Returns:
        The checkpoint's folder.

    Raises:
        TrainingError: the disk is full or cannot be written to; what was there before is untouched.
    """
    final = folder / f"step-{checkpoint.step:07d}"
    temporary = folder / f".{final.name}.{os.getpid()}.tmp"
    needed = sum(
        t.numel() * t.element_size() for t in _tensors([checkpoint.networks, checkpoint.ema, checkpoint.training])
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(".step-*.tmp"):
            shutil.rmtree(left_over)
        temporary.mkdir()
        _write(temporary, checkpoint)
        if final.exists():  # the same step again, after a resume from an older one
            shutil.rmtree(final)
        temporary.rename(final)
        _sync(folder)
    except (OSError, RuntimeError, SafetensorError) as error:  # each library has its own for a full disk
        free = shutil.disk_usage(folder if folder.exists() else folder.parent).free
        shutil.rmtree(temporary, ignore_errors=True)
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise TrainingError(
            f"{final}: cannot save the checkpoint: {reason}; it needs {needed:,} bytes, {free:,} are free; "
            "the checkpoints before it are whole: make room and go on with --resume"
        ) from error
    return final


def load(path: Path, *, training: bool = True) -> Checkpoint:
    """Reads and verifies a checkpoint's folder.

    Args:
        path: the checkpoint's folder.
        training: also read what only training needs.

    Raises:
        RunError: a file is missing or damaged.
    """
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        if state["format"] > FORMAT:
            raise RunError(f"{path}: written by a newer version of i2i")
        for name, digest in state["files"].items():
            if (training or name != "training.pt") and _digest(path / name) != digest:
                raise RunError(f"{path / name}: damaged: its content does not match the digest in state.json")
        ema = path / "ema.safetensors"
        return Checkpoint(
            step=state["step"],
            networks=_nested(load_file(path / "networks.safetensors")),
            ema=_nested(load_file(ema)) if ema.exists() else {},
            training=torch.load(path / "training.pt", map_location="cpu", weights_only=True) if training else {},
            state=state,
        )
    except RunError:
        raise
    except Exception as error:
        raise RunError(f"{path}: not a whole checkpoint: {' '.join(str(error).split())[:200]}") from error


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, and one line for each damaged one that was passed over."""
    damaged: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return load(path), damaged
        except RunError as error:
            damaged.append(str(error))
    return None, damaged


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints' folders, oldest step first."""
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def set_aside_after(folder: Path, step: int) -> None:
    """Renames checkpoints later than `step`, which were found damaged, so that none is taken for the last one."""
    for path in list_checkpoints(folder):
        if int(path.name.removeprefix("step-")) > step:
            path.rename(path.with_name(f".{path.name}.damaged-{os.getpid()}"))


def best(folder: Path) -> Path | None:
    """The checkpoint with the highest ``score`` in its state; None when none has one."""
    scores = {}
    for path in list_checkpoints(folder):
        try:
            scores[path] = float(json.loads((path / "state.json").read_text(encoding="utf-8"))["score"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return max(scores, key=lambda path: scores[path]) if scores else None


def prune(folder: Path, keep_last: int) -> None:
    """Removes all but the best and the last few checkpoints; to be called after the new one is safe."""
    keep = best(folder)
    for path in list_checkpoints(folder)[:-keep_last]:
        if path != keep:
            doomed = path.with_name(f".{path.name}.tmp")
            path.rename(doomed)  # at no moment is there half a checkpoint under a valid name
            shutil.rmtree(doomed)


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    save_file(_flat(checkpoint.networks), folder / "networks.safetensors")
    if checkpoint.ema:
        save_file(_flat(checkpoint.ema), folder / "ema.safetensors")
    torch.save(checkpoint.training, folder / "training.pt")
    files = sorted(folder.iterdir())
    state = checkpoint.state | {"format": FORMAT, "step": checkpoint.step, "files": {p.name: _digest(p) for p in files}}
    (folder / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
    for path in (*files, folder / "state.json", folder):
        _sync(path)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flat(states: StateDicts) -> dict[str, Tensor]:
    # a copy each: safetensors refuses tensors that share memory, as tied weights do
    return {
        f"{name}/{key}": tensor.detach().to("cpu", copy=True).contiguous()
        for name, state in states.items()
        for key, tensor in state.items()
    }


def _nested(flat: Mapping[str, Tensor]) -> StateDicts:
    states: StateDicts = {}
    for key, tensor in flat.items():
        name, _, rest = key.partition("/")
        states.setdefault(name, {})[rest] = tensor
    return states


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
