"""One HTML page about one training run or several: what was trained, how well, what it looks like, how to use it.

The page is a single file that reaches for nothing: style and script are in it, and its content security policy allows
these two by their hashes, pictures that are in the page, and nothing else. It shows what a run folder happens to have:
a run that is still going, was interrupted or has lost a file gets a shorter report, not an error.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from i2i.errors import RunError
from i2i.files import printable_lines, user_path, write_file
from i2i.plugins import Plugins
from i2i.report import charts
from i2i.report.curves import COLOURS, run_charts
from i2i.report.pictures import MAX_CELL_BYTES, CutRow, PageImage, encoded, matched_rows
from i2i.report.run import RunPage, read_run
from i2i.report.settings import flat, rows

_FOLDER = Path(__file__).parent


def write_report(runs: Sequence[Path], out: Path, plugins: Plugins | None = None) -> Path:
    """Writes a self-contained HTML report; several runs are compared.

    Args:
        runs: run folders; one given twice counts once.
        out: the file to write, replaced as a whole; for a folder, ``report.html`` in it.
        plugins: where the runs' recipes are looked up, for the settings of their presets; by default the installed
            plugins.

    Returns:
        The file written.

    Raises:
        RunError: no run is given, or one is no folder or has neither ``config.yaml`` nor ``metrics.jsonl``.
    """
    out = user_path(out, "the report")
    folders = list({path.resolve(): path for path in (user_path(run, "the run") for run in runs)}.values())
    if not folders:
        raise RunError("a report needs at least one run folder")
    plugins, names = plugins or Plugins(), _names(folders)
    read = [read_run(folder, name, plugins, count=len(folders)) for folder, name in zip(folders, names, strict=True)]
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=read[0].name if len(read) == 1 else f"{len(read)} runs compared",
            policy=_policy(style, script),
            style=style,
            script=script,
            runs=read,
            colours=COLOURS,
            charts=run_charts(read),
            plot=charts,
            **_comparison(read),
        )
    )
    out = out / "report.html" if out.is_dir() else out
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, page.encode())
    return out


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """A text of a run, such as its path, with control characters escaped; pieces of the page itself as they are."""
    return printable_lines(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _policy(style: str, script: str) -> str:
    """The content security policy: this style and this script, pictures in the page, no address at all."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many parents as it takes to tell them apart."""
    whole = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, whole)) + 1):
        names = ["/".join(parts[-depth:]) for parts in whole]
        if len(set(names)) == len(names):
            break
    return names


def _comparison(runs: Sequence[RunPage]) -> dict[str, Any]:
    """What the page has of all runs together."""
    metrics: dict[str, bool | None] = {}
    for run in runs:
        for name, figure in run.figures.items():
            metrics[name] = figure.higher_is_better if metrics.get(name) is None else metrics[name]
    return {
        "key_figures": rows([run.key_figures for run in runs]),
        "about": rows([run.about for run in runs]),
        "metrics": metrics,
        "winners": {
            name: place for name, higher in metrics.items() if (place := _winner(runs, name, higher)) is not None
        },
        "differing": [row for row in rows([flat(run.facts.config) for run in runs]) if len(set(row[1])) > 1],
        "same_inputs": _same_inputs(runs),
        "summary": rows([run.summary for run in runs]),
    }


def _winner(runs: Sequence[RunPage], name: str, higher: bool | None) -> int | None:
    """The place of the run whose metric is best; None if that is not known, or there is no single one."""
    figures = [run.figures.get(name) for run in runs]
    values = {place: one.value for place, one in enumerate(figures) if one and one.value is not None}
    if higher is None or len(values) < 2:
        return None
    best = max(values.values()) if higher else min(values.values())
    places = [place for place, value in values.items() if value == best]
    return places[0] if len(places) == 1 else None


def _same_inputs(runs: Sequence[RunPage]) -> list[list[tuple[str, PageImage]]]:
    """For each input that all runs have on their last grids: source, the output of each run, target, with captions."""
    matched = [_columns(runs, found) for found in matched_rows([run.rows for run in runs])]
    pictures = iter(encoded([image for row in matched for _, image in row], MAX_CELL_BYTES) if matched else ())
    return [[(caption, next(pictures)) for caption, _ in row] for row in matched]


def _columns(runs: Sequence[RunPage], found: Sequence[CutRow]) -> list[tuple[str, Any]]:
    outputs = [
        (f"{run.name}" if column.caption == "output" else f"{run.name}, {column.caption}", image)
        for run, row in zip(runs, found, strict=True)
        for column, image in row.cells
        if column.role == "output"
    ]
    source, target = found[0].first("source"), found[0].first("target")
    return [*([("source", source)] if source else []), *outputs, *([("target", target)] if target else [])]
