"""The runs and exported models in a folder, as rows of a table. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.errors import ModelError, RunError, system_reason
from i2i.runs.facts import BestStep, RunFacts, read_facts
from i2i.runtime.metadata import from_entries

MAX_DEPTH = 2
"""Folders between the given one and a run; runs are often put together by project."""


@dataclass(frozen=True)
class ModelEntry:
    """A run, or a model file outside of any run.

    Attributes:
        path: the run folder, or the file.
        recipe: name of the recipe; empty if it is not known.
        data: the data folder as the user gave it; empty if it is not known, or the samples are drawn by code.
        steps: finished steps; None for a file.
        planned: steps that the run was to do; None if it is not known.
        best: the best step; None if nothing was measured.
        size: bytes of all its files.
        changed: time of the last change, in seconds since 1970.
        models: names of the exported files.
        status: of a run, see `RunFacts.status`; ``model`` for a file, or ``foreign`` if i2i has not exported it;
            ``damaged`` for what cannot be read.
        notes: what is damaged or missing, a line each.
    """

    path: Path
    recipe: str
    data: str
    steps: int | None
    planned: int | None
    best: BestStep | None
    size: int
    changed: float
    models: tuple[str, ...]
    status: str
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        best = self.best
        return {
            "path": str(self.path),
            "status": self.status,
            "recipe": self.recipe,
            "data": self.data,
            "steps": self.steps,
            "planned_steps": self.planned,
            "best": {"step": best.step, "metric": best.metric, "value": best.value} if best else None,
            "bytes": self.size,
            "changed": self.changed,
            "models": list(self.models),
            "notes": list(self.notes),
        }


def list_models(folder: Path) -> list[ModelEntry]:
    """The runs in a folder and the ONNX files that lie beside them, those changed last first.

    Args:
        folder: a folder of runs, or a run itself.

    Raises:
        RunError: there is no such folder, or it cannot be read.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    try:
        entries = [*_entries(folder, MAX_DEPTH)]
    except OSError as error:
        raise RunError(f"{folder}: cannot be read: {system_reason(error)}") from error
    return sorted(entries, key=lambda entry: (-entry.changed, str(entry.path)))


def _entries(folder: Path, depth: int) -> Iterator[ModelEntry]:
    if _is_run(folder):
        yield _run_entry(folder)
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and (depth or _is_run(path)):
            try:
                yield from _entries(path, depth - 1)
            except OSError as error:
                yield _damaged(path, f"cannot be read: {system_reason(error)}")
        elif path.suffix == ".onnx":
            yield _file_entry(path)


def _is_run(folder: Path) -> bool:
    """Whether a run was begun there; one that lost its configuration still has figures or checkpoints."""
    return any((folder / name).exists() for name in ("config.yaml", "metrics.jsonl", "checkpoints"))


def _run_entry(folder: Path) -> ModelEntry:
    try:
        facts = read_facts(folder)
    except RunError:
        return _damaged(folder, "neither config.yaml nor metrics.jsonl is there")
    size, changed = _size_and_change(folder)
    root = facts.option("data", "root")
    return ModelEntry(
        path=folder,
        recipe=facts.recipe,
        data=str(root) if root else "",
        steps=facts.done,
        planned=facts.planned,
        best=facts.best,
        size=size,
        changed=changed,
        models=tuple(model.name for model in facts.models),
        status="damaged" if _is_unusable(facts) else facts.status,
        notes=tuple(facts.problems),
    )


def _is_unusable(facts: RunFacts) -> bool:
    """Whether the run cannot be used or gone on with: its configuration is lost, and there is no model."""
    return not facts.config and not facts.models


def _file_entry(path: Path) -> ModelEntry:
    size, changed = _size_and_change(path)
    try:
        found = _onnx_entries(path)
    except ModelError as error:
        return ModelEntry(path, "", "", None, None, None, size, changed, (), "damaged", (str(error),))
    try:
        metadata = from_entries(found)
    except ModelError as error:
        return ModelEntry(path, "", "", None, None, None, size, changed, (path.name,), "foreign", (str(error),))
    return ModelEntry(path, metadata.recipe, "", None, None, None, size, changed, (path.name,), "model")


def _onnx_entries(path: Path) -> Mapping[str, str]:
    """The metadata of an ONNX file.

    Raises:
        ModelError: it cannot be read, or has no network in it.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ModelError(f"cannot be read: {system_reason(error)}") from error
    except (DecodeError, ValueError) as error:
        raise ModelError("damaged, or no ONNX file") from error
    if not model.graph.node:
        raise ModelError("damaged, or no ONNX file: there is no network in it")
    return {entry.key: entry.value for entry in model.metadata_props}


def _damaged(path: Path, note: str) -> ModelEntry:
    size, changed = _size_and_change(path)
    return ModelEntry(path, "", "", None, None, None, size, changed, (), "damaged", (note,))


def _size_and_change(path: Path) -> tuple[int, float]:
    """Bytes of a file or of all files in a folder, and the time of the last change; a run may prune meanwhile."""
    size, changed = 0, 0.0
    for file in (path, *path.rglob("*")):
        try:
            status = file.stat()
        except OSError:
            continue
        changed = max(changed, status.st_mtime)
        size += status.st_size if file.is_file() else 0
    return size, changed
