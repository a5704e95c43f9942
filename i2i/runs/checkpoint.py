"""Checkpoints: folders that are complete or not there at all, and that can run no code when they are loaded.

``networks.safetensors`` and ``ema.safetensors`` hold state dicts, each key behind its network's name.
``recipe.safetensors`` holds the tensors of `i2i.Recipe.state`, if there are any. ``training.pt`` has optimisers and
image pools and is loaded with ``weights_only=True``. ``state.json`` has the step, the configuration and the other
values of `i2i.Recipe.state`, ``SHA256SUMS`` the digest of each of these files. Everything is written under a temporary
name, synced to the disk and renamed; nothing is removed before what replaces it is safe. torch is imported where
tensors are read or written.
"""

from __future__ import annotations

import json
import math
import pickle  # for the name of an error only
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from i2i.errors import RunError, TrainingError, system_reason
from i2i.files import remove, sync, temporary_path
from i2i.runs import sums
from i2i.runs.disk import cannot_write

if TYPE_CHECKING:
    from torch import Tensor

    from i2i.api.recipes import StateValue

    StateDicts = dict[str, dict[str, Tensor]]

FORMAT = 2
NETWORKS, EMA, RECIPE = "networks.safetensors", "ema.safetensors", "recipe.safetensors"
TRAINING, STATE = "training.pt", "state.json"


class DamagedError(RunError):
    """A checkpoint is not whole."""


@dataclass
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        step: finished training steps.
        networks: state dicts by network.
        ema: state dicts of the averaged networks; empty without averaging.
        training: optimisers and image pools: tensors and plain values only.
        state: JSON values: configuration, sample shapes, versions, ``metrics`` of the validation by name, a ``score``
            that is higher for a better checkpoint, and ``score_of``, the figure that it comes from.
        recipe: what the recipe keeps in its `state`.
    """

    step: int
    networks: StateDicts
    ema: StateDicts = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, StateValue] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes ``folder/step-NNNNNNN``.

    Returns:
        The checkpoint's folder.

    Raises:
        TrainingError: the disk is full or cannot be written to; what was there before is untouched.
    """
    final = folder / f"step-{checkpoint.step:07d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_path(final) as temporary:
            temporary.mkdir()
            _write(temporary, checkpoint)
            _put(temporary, final)
        sync(folder)
    except (OSError, RuntimeError, SafetensorError) as error:  # each library has its own for a full disk
        raise TrainingError(
            f"{cannot_write(final, error, size_of(checkpoint))}; the checkpoints before it are whole: "
            "make room and go on with --resume"
        ) from error
    return final


def size_of(checkpoint: Checkpoint) -> int:
    """Bytes that a checkpoint's tensors take on the disk; what is beside them is small."""
    tensors = _tensors([checkpoint.networks, checkpoint.ema, checkpoint.training, checkpoint.recipe])
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def load(path: Path, *, training: bool = True) -> Checkpoint:
    """Reads and verifies a checkpoint's folder.

    Args:
        path: the checkpoint's folder.
        training: also read what only training needs.

    Raises:
        DamagedError: a file is missing or damaged.
        RunError: a newer version of i2i wrote it, or it cannot be read for lack of rights or memory.
    """
    import torch
    from safetensors.torch import load_file

    try:
        digests = _digests(path)
        sums.check_sums(path, digests, [name for name in digests if training or name != TRAINING])
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        if state["format"] > FORMAT:
            raise RunError(f"{path}: written by a newer version of i2i, which is needed to read it")
        return Checkpoint(
            step=state["step"],
            networks=_nested(load_file(path / NETWORKS)),
            ema=_nested(load_file(path / EMA)) if EMA in digests else {},
            training=torch.load(path / TRAINING, map_location="cpu", weights_only=True) if training else {},
            recipe=state.get("recipe_state", {}) | (load_file(path / RECIPE) if RECIPE in digests else {}),
            state=state,
        )
    except RunError:
        raise
    except (PermissionError, MemoryError) as error:  # the checkpoint may well be whole
        reason = "not enough memory" if isinstance(error, MemoryError) else system_reason(error)
        raise RunError(f"{path}: cannot be read: {reason}") from error
    except sums.MismatchError as error:
        raise DamagedError(str(error)) from error
    except pickle.UnpicklingError as error:  # torch's own message advises to load it nevertheless
        raise DamagedError(f"{path / TRAINING}: not loaded: it holds more than tensors and plain values") from error
    except Exception as error:
        what = (
            system_reason(error)
            if isinstance(error, OSError)
            else "a file in it is cut off, damaged or of another sort"
        )
        raise DamagedError(f"{path}: not a whole checkpoint: {what}") from error


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, and one line for each damaged one that was passed over.

    Raises:
        RunError: one that may be whole cannot be read.
    """
    damaged: list[str] = []
    for path in reversed(list_checkpoints(folder)):
        try:
            return load(path), damaged
        except DamagedError as error:
            damaged.append(str(error))
    return None, damaged


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints' folders, oldest step first."""
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdigit()]
    return sorted(found, key=lambda path: (step_of(path), len(path.name)))


def step_of(path: Path) -> int:
    """The step in the name of a checkpoint's folder."""
    return int(path.name.removeprefix("step-"))


def set_aside_after(folder: Path, step: int) -> None:
    """Renames checkpoints later than `step`, which were found damaged, so that none is taken for the last one."""
    for path in list_checkpoints(folder):
        if step_of(path) > step:
            aside = path.with_name(f".{path.name}.damaged")
            remove(aside)
            path.rename(aside)


def best(folder: Path) -> Path | None:
    """The best checkpoint by the figure that decided last; None when none has a ``score`` in its state.

    Checkpoints whose score comes from another figure count with their own value of that one, or not at all.
    """
    scored: dict[Path, dict[str, Any]] = {}
    for path in list_checkpoints(folder):
        try:
            state = json.loads((path / STATE).read_text(encoding="utf-8"))
            if math.isfinite(float(state["score"])):
                scored[path] = state
        except (OSError, ValueError, KeyError, TypeError):
            continue
    deciding = next((state.get("score_of") for state in reversed(scored.values())), None)
    scores = {path: _score(state, deciding) for path, state in scored.items()}
    found = [path for path, score in scores.items() if math.isfinite(score)]
    return max(found, key=lambda path: scores[path], default=None)


def _score(state: Mapping[str, Any], deciding: Mapping[str, Any] | None) -> float:
    """A checkpoint's score by a figure, from its state; NaN where it was not measured."""
    if state.get("score_of") == deciding:
        return float(state["score"])
    value = float(state["metrics"].get(deciding["metric"], math.nan)) if deciding else math.nan
    return value if deciding and deciding["higher_is_better"] else -value


def prune(folder: Path, keep_last: int, keep_every: int = 0) -> None:
    """Removes all but the best and the last few checkpoints; to be called after the new one is safe.

    Args:
        folder: the folder of the checkpoints.
        keep_last: how many of the newest ones stay.
        keep_every: those whose step is a multiple of this stay too; 0: no further ones.
    """
    keep = best(folder)
    for path in list_checkpoints(folder)[:-keep_last]:
        if path != keep and not (keep_every and step_of(path) % keep_every == 0):
            _remove(path)


def _remove(path: Path) -> None:
    """Removes a checkpoint under a temporary name, so that a kill never leaves half of it under a valid name."""
    with temporary_path(path) as doomed:
        path.rename(doomed)
        remove(doomed)


def _put(temporary: Path, final: Path) -> None:
    """Gives a complete checkpoint its final name, and removes an older checkpoint of that step.

    A folder cannot replace another one in a single step. So for a moment the name of the new one has one more zero,
    which is the same step and counts as newer: whenever the process is killed, one of them has a valid name.
    """
    spare = final.with_name(final.name.replace("step-", "step-0"))
    if final.exists():
        if spare.exists():
            _remove(spare)
        temporary.rename(spare)
        _remove(final)
        spare.rename(final)
    else:
        temporary.rename(final)
        if spare.exists():
            _remove(spare)


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    import torch
    from safetensors.torch import save_file

    save_file(_flat(checkpoint.networks), folder / NETWORKS)
    if checkpoint.ema:
        save_file(_flat(checkpoint.ema), folder / EMA)
    torch.save(checkpoint.training, folder / TRAINING)
    kept = checkpoint.recipe
    tensors = {name: _copied(value) for name, value in kept.items() if isinstance(value, torch.Tensor)}
    if tensors:
        save_file(tensors, folder / RECIPE)
    values = {name: value for name, value in kept.items() if name not in tensors}
    state = checkpoint.state | {"recipe_state": values, "format": FORMAT, "step": checkpoint.step}
    (folder / STATE).write_text(json.dumps(state, indent=2), encoding="utf-8")
    for path in folder.glob("*.safetensors"):  # safetensors lets only the owner read them, whatever the umask says
        shutil.copymode(folder / STATE, path)
    sums.write_sums(folder)
    for path in (*folder.iterdir(), folder):
        sync(path)


def _digests(path: Path) -> dict[str, str]:
    """The digests by file name; all files that must be there have one."""
    if not (path / sums.NAME).exists():
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        if state["format"] == 1:  # format 1 has the digests in this file
            return dict(state["files"])
    found = sums.read_sums(path)
    if missing := [name for name in (NETWORKS, TRAINING, STATE) if name not in found]:
        raise sums.MismatchError(f"{path / sums.NAME}: damaged: {missing[0]} is not in it")
    return found


def _flat(states: StateDicts) -> dict[str, Tensor]:
    return {f"{name}/{key}": _copied(tensor) for name, state in states.items() for key, tensor in state.items()}


def _copied(tensor: Tensor) -> Tensor:
    """A copy in main memory, for safetensors refuses tensors that share memory, as tied weights do."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _nested(flat: Mapping[str, Tensor]) -> StateDicts:
    states: StateDicts = {}
    for key, tensor in flat.items():
        name, _, rest = key.partition("/")
        states.setdefault(name, {})[rest] = tensor
    return states


def _tensors(value: Any) -> Iterator[Tensor]:
    from torch import Tensor

    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
