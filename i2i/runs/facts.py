"""What the files of a run folder say, for pages and lists about runs. Imports no torch.

A run that is still going, was interrupted or has lost a file has fewer of these; that is no error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

from i2i.errors import RunError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder

Series = dict[str, dict[int, float]]
"""Name of a figure -> its values by step."""

MAX_HEARTBEAT_AGE_S = 60.0
"""Seconds since its last sign of life after which a training counts as ended."""


@dataclass(frozen=True)
class BestStep:
    """The best step of a run.

    Attributes:
        step: the training step.
        metric: name of the metric that chose it; empty if it is not known.
        value: its value there; None if it is not known.
        higher_is_better: None if it is not known.
    """

    step: int
    metric: str = ""
    value: float | None = None
    higher_is_better: bool | None = None


@dataclass(frozen=True)
class RunFacts:
    """The content of a run folder's small files; empty for each that is missing or damaged.

    Attributes:
        run: the folder.
        config_text: ``config.yaml`` as it is.
        config: its values, nested.
        series: the figures in ``metrics.jsonl``.
        warnings: the warnings in it: step and text.
        summary: ``summary.json``.
        data: ``data.json``.
        validation: ``validation.json``.
        problems: a line for each of these files that is damaged.
    """

    run: RunFolder
    config_text: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    series: Series = field(default_factory=dict)
    warnings: list[tuple[int, str]] = field(default_factory=list)
    summary: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    validation: Mapping[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def recipe(self) -> str:
        """Name of the recipe; empty if it is not known."""
        return str(self.config.get("recipe", self.summary.get("recipe", "")))

    def option(self, section: str, name: str) -> Any:
        """A value of the configuration; None if it has none."""
        values = self.config.get(section)
        return values.get(name) if isinstance(values, Mapping) else None

    @property
    def done(self) -> int:
        """Finished steps, as far as they were logged or saved."""
        logged = [max(values) for values in self.series.values()]
        return max([0, *logged, *map(checkpoints.step_of, self.checkpoints)])

    @property
    def planned(self) -> int | None:
        """Steps that the configuration asks for; None if it does not say, or in epochs of unknown length."""
        steps, epochs = self.option("train", "steps"), self.option("train", "epochs")
        if isinstance(steps, int):
            return steps
        passed = self.series.get("epoch", {})
        if isinstance(epochs, int | float) and passed and passed[max(passed)] > 0:
            return round(epochs * max(passed) / passed[max(passed)])
        return None

    @cached_property
    def checkpoints(self) -> list[Path]:
        """The checkpoints' folders, oldest step first."""
        return checkpoints.list_checkpoints(self.run.checkpoints)

    @cached_property
    def models(self) -> list[Path]:
        """The exported models."""
        return [*sorted(self.run.path.glob("model.onnx")), *sorted(self.run.path.glob("model.*.onnx"))]

    @property
    def status(self) -> str:
        """``running``, ``exported``, ``stopped early``, ``trained`` (not exported), ``unfinished`` or ``empty``."""
        early = bool(self.validation.get("stopped_early"))
        complete = early or (bool(self.summary) if self.planned is None else self.done >= self.planned)
        if complete:  # also while its training still writes model and report
            return "trained" if not self.models else "stopped early" if early else "exported"
        if _is_alive(self.run.path / ".owner"):
            return "running"
        return "unfinished" if self.done or self.checkpoints else "empty"

    @cached_property
    def best(self) -> BestStep | None:
        """The best step, as the validation says, or the best checkpoint's in runs of older versions; None without."""
        said = self.validation.get("best")
        if isinstance(said, Mapping) and is_number(said.get("step")):
            value, higher = said.get("value"), said.get("higher_is_better")
            known = float(value) if is_number(value) else None
            return BestStep(
                int(said["step"]), str(said.get("metric", "")), known, higher if isinstance(higher, bool) else None
            )
        folder = checkpoints.best(self.run.checkpoints)
        if folder is None:
            return None
        state = _json(folder / checkpoints.STATE, [])
        return _scored(checkpoints.step_of(folder), state.get("score"), state.get("metrics"))


def read_facts(folder: Path) -> RunFacts:
    """Reads what a run folder has.

    Raises:
        RunError: there is no such folder, or it has neither ``config.yaml`` nor ``metrics.jsonl``.
    """
    run = RunFolder(folder)
    if not folder.is_dir():
        raise RunError(f"{folder} is no run folder: there is no such folder")
    if not run.config.is_file() and not run.metrics.is_file():
        raise RunError(f"{folder} is no run folder: it has neither config.yaml nor metrics.jsonl")
    problems: list[str] = []
    text = _text(run.config)
    series, warnings = _log(_text(run.metrics))
    return RunFacts(
        run=run,
        config_text=text,
        config=_config(text, problems),
        series=series,
        warnings=warnings,
        summary=_json(run.summary, problems),
        data=_json(run.data, problems),
        validation=_json(run.validation, problems),
        problems=problems,
    )


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number that an axis can hold: a diverged run logs NaN, infinities, or nearly so."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e100 < value < 1e100


def _scored(step: int, score: Any, metrics: Any) -> BestStep:
    """The best step of a checkpoint: its score is the value of the metric that chose it, or minus that."""
    for name, value in metrics.items() if isinstance(metrics, Mapping) and is_number(score) else ():
        if is_number(value) and abs(value) == abs(score):
            return BestStep(step, str(name), float(value), value == score)
    return BestStep(step)


def _is_alive(owner: Path) -> bool:
    """Whether a training touches the file of its lock, see `i2i.runs.lock`."""
    try:
        return time.time() - owner.stat().st_mtime < MAX_HEARTBEAT_AGE_S
    except OSError:
        return False


def _text(path: Path) -> str:
    """The content of a file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _config(text: str, problems: list[str]) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe").load(text)
    except (YAMLError, ValueError, RecursionError):
        values = ""
    if not isinstance(values, dict):
        problems += ["config.yaml is damaged"] if text else ["config.yaml is missing"]
        return {}
    return values


def _json(path: Path, problems: list[str]) -> dict[str, Any]:
    text = _text(path)
    try:
        values = json.loads(text or "{}")
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        problems.append(f"{path.name} is damaged")
        return {}
    return values


def _log(text: str) -> tuple[Series, list[tuple[int, str]]]:
    """Finite numbers by name and step, and warnings; a step logged twice, as after a resume, counts as logged last."""
    series: Series = {}
    warnings: list[tuple[int, str]] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the last line of a run that goes on, or was killed, may be half
        step = entry.pop("step", None) if isinstance(entry, dict) else None
        if not isinstance(step, int) or not -1e100 < step < 1e100:
            continue
        for key, value in entry.items():
            if key == "warning":
                warnings.append((step, str(value)))
            elif is_number(value):
                series.setdefault(key, {})[step] = float(value)
    return series, list(dict.fromkeys(warnings))
