"""One HTML page about one training run or several: key figures, samples, curves, settings, how to use the model.

The page is a single file without scripts or links to the network. It shows what a run folder happens to have: a run
that is still going, was interrupted or has lost a file gets a shorter report, not an error.
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

import jinja2
from PIL import Image
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from i2i.errors import RunError
from i2i.files import write_file
from i2i.report import charts

SHOWN_SAMPLES = 8
"""The first and the last sample grid, and evenly spaced ones between."""

MAX_IMAGE_SIZE = (1400, 2000)
"""Width and height in pixels beyond which a sample grid is scaled down."""

_COLOURS = 8
_DASHES = 4
_JPEG_FROM_BYTES = 150_000

Series = dict[str, dict[int, float]]
"""Values by step, by metric."""


@dataclass(frozen=True)
class Sample:
    """An embedded sample grid; `width` is the width in CSS pixels at which it is shown at most."""

    step: int
    uri: str
    width: int


@dataclass(frozen=True)
class Run:
    """What the page tells of one run folder; empty where the folder has nothing.

    Attributes:
        name: unique among the runs of the page.
        path: as the reader would type it.
        config_text: ``config.yaml`` as it stands.
        config: its values by dotted key.
        series: values by step of every metric.
        summary: ``summary.json`` by dotted key.
        samples: chosen sample grids, first to last.
        figures: key figures by name.
        commands: command lines that use the run's models.
        files: name and size of what is worth keeping.
    """

    name: str
    path: str
    config_text: str
    config: Mapping[str, str]
    series: Series
    summary: Mapping[str, str]
    samples: Sequence[Sample]
    figures: Mapping[str, str]
    commands: Sequence[str]
    files: Sequence[tuple[str, str]]


def write_report(runs: Sequence[Path], out: Path) -> Path:
    """Writes a self-contained HTML report; several runs are compared.

    Args:
        runs: run folders; one given twice counts once.
        out: the file to write, replaced as a whole; for a folder, ``report.html`` in it.

    Returns:
        The file written.

    Raises:
        RunError: no run is given, or one is no folder or has neither ``config.yaml`` nor ``metrics.jsonl``.
    """
    folders = list({Path(run).resolve(): Path(run) for run in runs}.values())
    if not folders:
        raise RunError("a report needs at least one run folder")
    read = [_read_run(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        title=read[0].name if len(read) == 1 else f"{len(read)} runs compared",
        runs=read,
        figures=_table([run.figures for run in read]),
        summary=_table([run.summary for run in read]),
        charts=_charts(read),
        differing=[row for row in _table([run.config for run in read]) if len(set(row[1])) > 1],
        plot=charts,
    )
    out = out / "report.html" if out.is_dir() else out
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, page.encode())
    return out


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many parents as it takes to tell them apart."""
    whole = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-depth:]) for parts in whole]
        if len(set(names)) == len(names):
            break
    return names


def _read_run(folder: Path, name: str) -> Run:
    if not folder.is_dir():
        raise RunError(f"{folder} is no run folder: there is no such folder")
    if not (folder / "config.yaml").is_file() and not (folder / "metrics.jsonl").is_file():
        raise RunError(f"{folder} is no run folder: it has neither config.yaml nor metrics.jsonl")
    config_text = _text(folder / "config.yaml")
    config, series = _settings(config_text), _series(_text(folder / "metrics.jsonl"))
    checkpoints = sorted(path for path in folder.glob("checkpoints/step-*") if path.name[5:].isdigit())
    models = sorted(folder.glob("model.onnx")) + sorted(folder.glob("model.*.onnx"))
    kept = [*models, *checkpoints, *(folder / file for file in ("config.yaml", "metrics.jsonl"))]
    return Run(
        name=name,
        path=_typed(folder),
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
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _typed(path: Path) -> str:
    """The path as one would type it here: relative where that is possible."""
    full, here = path.resolve(), Path.cwd()
    return (full.relative_to(here) if full.is_relative_to(here) else path).as_posix()


def _settings(text: str) -> dict[str, str]:
    try:
        return _flat(YAML(typ="safe").load(text))
    except (YAMLError, ValueError):
        return {}


def _summary(text: str) -> dict[str, str]:
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
    figures = {"recipe": config["recipe"]} if "recipe" in config else {}
    if steps := [step for values in series.values() for step in values]:
        figures["steps"] = f"{max(steps):,}"
    for key, values in series.items():
        if key == "epoch":
            figures["epochs"] = charts.number(values[max(values)])
        elif key == "images_per_second":
            figures["images per second (median)"] = charts.number(median(values.values()))
        elif key.startswith("val/"):
            figures[f"{key} (last)"] = charts.number(values[max(values)])
    if checkpoints:
        figures["checkpoints"] = str(checkpoints)
    return figures


def _commands(folder: Path, models: Sequence[Path], has_checkpoint: bool) -> list[str]:
    if not models:
        return [f"i2i export {shlex.quote(_typed(folder))}"] if has_checkpoint else []
    usable = [folder if model.name == "model.onnx" else model for model in models]
    return [f"i2i translate {shlex.quote(_typed(path))} INPUT -o OUT" for path in usable]


def _size(path: Path) -> str:
    try:
        size = float(sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()))
    except OSError:  # a run that goes on prunes its checkpoints
        return ""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _samples(folder: Path) -> list[Sample]:
    found = {}
    for path in folder.glob("samples/step-*.png"):
        if match := re.fullmatch(r"step-(\d+)\.png", path.name):
            found[int(match[1])] = path
    steps = sorted(found)
    shown = min(SHOWN_SAMPLES, len(steps))
    chosen = [steps[round(place * (len(steps) - 1) / max(shown - 1, 1))] for place in range(shown)]
    samples = [_embed(step, found[step]) for step in chosen]
    return [sample for sample in samples if sample]


def _embed(step: int, path: Path) -> Sample | None:
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
    return Sample(step, uri, image.width * (2 if image.width < 500 else 1))


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _table(columns: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """Rows of a name and one text a column, empty where a column lacks the name."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, [column.get(name, "") for column in columns]) for name in names]


def _charts(runs: Sequence[Run]) -> list[charts.Chart]:
    """A chart for each phase's losses, one for the learning rates, one for every other metric.

    The colour tells curves apart; where there are several runs it tells the runs apart, and the dashes the curves.
    """
    groups: dict[str, dict[str, str]] = {}
    for key in dict.fromkeys(key for run in runs for key in run.series if key != "epoch"):
        head, _, tail = key.rpartition("/")
        together = head.split("/")[0] in ("loss", "lr", "accuracy", "grad")
        groups.setdefault(head if together else key, {})[key] = tail
    drawn = []
    for title, members in sorted(groups.items(), key=lambda item: _rank(item[0])):
        curves = []
        for place, run in enumerate(runs):
            for number, (key, short) in enumerate(members.items()):
                if key in run.series:
                    several = len(runs) > 1
                    name = f"{run.name}: {short}" if several and len(members) > 1 else run.name if several else short
                    colour, dash = (place, number) if several else (number, 0)
                    curves.append(charts.Curve(name, run.series[key], colour % _COLOURS, dash % _DASHES))
        drawn.append(charts.draw(title, curves))
    return drawn


def _rank(title: str) -> int:
    """Losses first, then validation, learning rates and the rest, each in the order logged."""
    order = ("loss", "val", "lr")
    head = title.split("/")[0]
    return order.index(head) if head in order else len(order)
