"""A run folder: its files, its lock, and writing that is never half done. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i.errors import RunError, system_reason
from i2i.files import clear_own_leftovers, control_hint, printable, write_file
from i2i.runs.disk import cannot_write
from i2i.runs.lock import RunLock


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run folder, and writing to it.

    Attributes:
        path: the run folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        """Folder of the sample grids."""
        return self.path / "samples"

    @property
    def examples(self) -> Path:
        """A few validation inputs as files, to try the model on."""
        return self.path / "examples"

    @property
    def example_inputs(self) -> Path:
        """Folder of what a translation of the examples needs besides them: a folder an input."""
        return self.path / "example_inputs"

    @property
    def data(self) -> Path:
        """What the run is trained on, as JSON."""
        return self.path / "data.json"

    @property
    def data_samples(self) -> Path:
        """A picture of some training samples."""
        return self.path / "data.png"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: losses, rates, validation."""
        return self.path / "metrics.jsonl"

    @property
    def validation(self) -> Path:
        """The last validation: each figure with its error bar and protocol, and which step is the best."""
        return self.path / "validation.json"

    @property
    def summary(self) -> Path:
        """Figures of the whole run."""
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.path / "report.html"

    def model(self, translator: str) -> Path:
        """The exported model of a translator."""
        return self.path / ("model.onnx" if translator == "default" else f"model.{translator}.onnx")

    def exists(self) -> bool:
        """Whether a run has been started here."""
        return self.config.is_file()

    def write(self, path: Path, text: str) -> None:
        """Writes a text file of the run in one step; it survives a power failure."""
        write_file(path, text.encode(), durable=True)

    def write_summary(self, values: Mapping[str, Any]) -> None:
        """Writes the figures of the run."""
        self.write(self.summary, json.dumps(dict(values), indent=2) + "\n")

    def lock(self) -> RunLock:
        """Locks the run for this process until it ends, however it ends, and removes leftovers of killed processes.

        Raises:
            RunError: another training is using it, or the folder cannot be written to.
        """
        lock = RunLock(self.path)
        try:
            for folder in (self.path, self.checkpoints, self.samples, self.examples):
                clear_own_leftovers(folder)
        except OSError as error:
            lock.release()
            raise RunError(cannot_write(self.path, error)) from error
        return lock


def new_run(recipe: str, out: Path | None, *, root: Path = Path("runs")) -> RunFolder:
    """Makes the folder for a new run: `out`, or the next free ``runs/RECIPE-NNN``.

    Raises:
        RunError: it holds something already, or cannot be made.
    """
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            refuse_used(out)
            return RunFolder(out)
        root.mkdir(parents=True, exist_ok=True)
        number = max((_number(path, recipe) for path in root.iterdir()), default=0)
        while True:
            number += 1
            try:
                (root / f"{recipe}-{number:03d}").mkdir()
            except FileExistsError:  # another process was faster
                continue
            return RunFolder(root / f"{recipe}-{number:03d}")
    except OSError as error:
        raise RunError(f"{out or root}: cannot make the run folder: {system_reason(error)}") from error


def refuse_used(out: Path) -> None:
    """Refuses a folder that cannot become that of a new run.

    Raises:
        RunError: it holds something already, or is no folder.
    """
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: a file, not a folder: choose another --out")
    if out.is_dir() and [path for path in out.iterdir() if not path.name.startswith(".")]:
        raise RunError(f"{out}: not empty; add --resume to go on with the run there, or choose another --out")


def latest_run(recipe: str | None, *, root: Path = Path("runs")) -> RunFolder | None:
    """The run of that recipe with the highest number, or of any recipe the one changed last."""
    runs = [path for path in root.glob("*") if RunFolder(path).exists() and (recipe is None or _number(path, recipe))]
    key = (lambda path: _number(path, recipe)) if recipe else (lambda path: path.stat().st_mtime)
    return RunFolder(max(runs, key=key)) if runs else None


def open_run(path: Path) -> RunFolder:
    """The run folder at `path`.

    Raises:
        RunError: there is none.
    """
    run = RunFolder(path)
    if not run.exists():
        reason = "not a run folder (no config.yaml in it)" if path.is_dir() else "no such run folder"
        raise RunError(f"{reason}{control_hint(path)}", path=printable(path))
    return run


def _number(path: Path, recipe: str) -> int:
    match = re.fullmatch(re.escape(recipe) + r"-(\d+)", path.name)
    return int(match[1]) if match else 0
