"""Reads a run folder for the report: settings, curves, key figures, sample grids and commands.

A run that is still going, was interrupted or has lost a file has fewer of these; that is no error.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from i2i.errors import RunError
from i2i.report.charts import number

MAX_SAMPLES = 8
"""Most sample grids of a page: the first, the last, and evenly spaced ones between."""

MAX_IMAGE_SIZE = (1400, 2000)
"""Width and height in pixels beyond which a sample grid is scaled down."""

_JPEG_FROM_BYTES = 150_000
"""Size of a PNG from which on a JPEG is tried in its place."""

Series = dict[str, dict[int, float]]
"""Name of a metric -> its values by step."""


@dataclass(frozen=True)
class SampleGrid:
    """A picture of validation images, as the page holds it.

    Attributes:
        step: the training step at which it was made.
        uri: the picture as a ``data:`` URI.
        width: largest width at which the page shows it, in CSS pixels.
    """

    step: int
    uri: str
    width: int


@dataclass(frozen=True)
class RunSummary:
    """The content of the page about one run folder; an attribute is empty if the folder has nothing of the kind.

    Attributes:
        name: tells the run apart from the others of the page.
        path: the folder, relative to the current one if possible.
        config_text: the content of ``config.yaml``.
        config: the values in ``config.yaml`` by dotted key.
        series: values of every metric by step.
        summary: the values in ``summary.json`` by dotted key.
        samples: chosen sample grids, first to last.
        figures: key figures by name.
        commands: command lines that use the run's models.
        files: name and size of each file that is worth keeping.
    """

    name: str
    path: str
    config_text: str
    config: Mapping[str, str]
    series: Series
    summary: Mapping[str, str]
    samples: Sequence[SampleGrid]
    figures: Mapping[str, str]
    commands: Sequence[str]
    files: Sequence[tuple[str, str]]


def read_run(folder: Path, name: str) -> RunSummary:
    """Reads what a run folder has.

    Args:
        folder: the run folder.
        name: tells the run apart from the others of the page.

    Raises:
        RunError: there is no such folder, or it has neither ``config.yaml`` nor ``metrics.jsonl``.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is no run folder: there is no such folder")
    if not (folder / "config.yaml").is_file() and not (folder / "metrics.jsonl").is_file():
        raise RunError(f"{folder} is no run folder: it has neither config.yaml nor metrics.jsonl")
    config_text = _text(folder / "config.yaml")
    config, series = _settings(config_text), _series(_text(folder / "metrics.jsonl"))
    checkpoints = sorted(path for path in folder.glob("checkpoints/step-*") if path.name[5:].isdigit())
    models = sorted(folder.glob("model.onnx")) + sorted(folder.glob("model.*.onnx"))
    kept = [*models, *checkpoints, *(folder / file for file in ("config.yaml", "metrics.jsonl"))]
    return RunSummary(
        name=name,
        path=_command_path(folder),
        config_text=config_text,
        config=config,
        series=series,
        summary=_summary(_text(folder / "summary.json")),
        samples=_samples(folder),
        figures=_figures(config, series, len(checkpoints)),
        commands=_commands(folder, models, bool(checkpoints)),
        files=[(path.relative_to(folder).as_posix(), _size(path)) for path in kept if path.exists()],
    )


def _text(path: Path) -> str:
    """The content of a file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _command_path(path: Path) -> str:
    """The path for a command line: relative to the current folder if it is in it."""
    full, here = path.resolve(), Path.cwd()
    return (full.relative_to(here) if full.is_relative_to(here) else path).as_posix()


def _settings(text: str) -> dict[str, str]:
    """The values of a YAML text by dotted key; none if it is damaged."""
    try:
        return _flat(YAML(typ="safe").load(text))
    except (YAMLError, ValueError):
        return {}


def _summary(text: str) -> dict[str, str]:
    """The values of a JSON text by dotted key; none if it is damaged."""
    try:
        return _flat(json.loads(text))
    except ValueError:
        return {}


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested mappings as texts by dotted key; anything else at the top gives nothing."""
    if isinstance(value, dict) and (value or not prefix):
        leaves: dict[str, str] = {}
        for key, inner in value.items():
            leaves.update(_flat(inner, f"{prefix}.{key}" if prefix else str(key)))
        return leaves
    if not prefix:
        return {}
    return {prefix: value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)}


def _series(text: str) -> Series:
    """Finite numbers by metric and step; a step logged twice, as after a resume, counts as logged last."""
    series: Series = {}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last line of a run that goes on, or was killed, may be half
        step = entry.pop("step", None) if isinstance(entry, dict) else None
        if not isinstance(step, int) or not _plottable(step):
            continue
        for key, value in entry.items():
            if _plottable(value):
                series.setdefault(key, {})[step] = float(value)
    return series


def _plottable(value: Any) -> bool:
    """Whether it is a number that an axis can hold: a diverged run logs NaN, infinities, or nearly so."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e100 < value < 1e100


def _figures(config: Mapping[str, str], series: Series, checkpoints: int) -> dict[str, str]:
    """Key figures of a run by name, such as steps, speed and the last validation metrics."""
    figures = {"recipe": config["recipe"]} if "recipe" in config else {}
    if steps := [step for values in series.values() for step in values]:
        figures["steps"] = f"{max(steps):,}"
    for key, values in series.items():
        if key == "epoch":
            figures["epochs"] = number(values[max(values)])
        elif key == "images_per_second":
            figures["images per second (median)"] = number(median(values.values()))
        elif key.startswith("val/"):
            figures[f"{key} (last)"] = number(values[max(values)])
    if checkpoints:
        figures["checkpoints"] = str(checkpoints)
    return figures


def _commands(folder: Path, models: Sequence[Path], has_checkpoint: bool) -> list[str]:
    """Command lines that use the run's models, or that export the model if there is none yet."""
    if not models:
        return [f"i2i export {shlex.quote(_command_path(folder))}"] if has_checkpoint else []
    usable = [folder if model.name == "model.onnx" else model for model in models]
    return [f"i2i translate {shlex.quote(_command_path(path))} INPUT -o OUT" for path in usable]


def _size(path: Path) -> str:
    """The size of a file, or of all files in a folder; empty if it cannot be told."""
    try:
        size = float(sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()))
    except OSError:  # a run that goes on prunes its checkpoints
        return ""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _samples(folder: Path) -> list[SampleGrid]:
    """The run's sample grids, at most `MAX_SAMPLES`."""
    found = {}
    for path in folder.glob("samples/step-*.png"):
        if match := re.fullmatch(r"step-(\d+)\.png", path.name):
            found[int(match[1])] = path
    steps = sorted(found)
    shown = min(MAX_SAMPLES, len(steps))
    chosen = [steps[round(place * (len(steps) - 1) / max(shown - 1, 1))] for place in range(shown)]
    samples = [_embed(step, found[step]) for step in chosen]
    return [sample for sample in samples if sample]


def _embed(step: int, path: Path) -> SampleGrid | None:
    """The picture as a data URI, PNG or where that is much smaller JPEG; None when it cannot be read."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    image.thumbnail(MAX_IMAGE_SIZE)
    kind, data = "png", _encoded(image, "PNG")
    if len(data) > _JPEG_FROM_BYTES:
        kind, data = min(("png", data), ("jpeg", _encoded(image, "JPEG", quality=88)), key=lambda pair: len(pair[1]))
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return SampleGrid(step, uri, image.width * (2 if image.width < 500 else 1))


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
