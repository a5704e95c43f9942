"""``i2i models``: which runs and models there are."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2i.cli.common import say, show

if TYPE_CHECKING:
    from i2i.runs.listing import ModelEntry


def models(
    folder: Annotated[Path, typer.Argument(help="Folder of runs and models.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """List runs and exported models, those changed last first."""
    from i2i.files import user_path
    from i2i.runs.listing import list_models

    folder = user_path(folder, "the folder")
    entries = list_models(folder)
    if as_json:
        show(json.dumps({"folder": str(folder), "models": [entry.to_dict() for entry in entries]}, indent=2))
        return
    if entries:
        show(_table([_HEAD, *(_row(entry) for entry in entries)]))
    for entry in entries:
        for note in entry.notes:
            say(f"note: {entry.path}: {note}")
    if not entries:
        say(f"note: {folder}: no run and no model in it")


_HEAD = ("NAME", "STATUS", "RECIPE", "STEPS", "BEST", "SIZE", "CHANGED", "MODELS", "DATA")


def _row(entry: ModelEntry) -> tuple[str, ...]:
    from i2i.runs.disk import byte_text

    steps = "-" if entry.steps is None else f"{entry.steps:,}"
    if entry.planned is not None and entry.planned != entry.steps:
        steps += f" of {entry.planned:,}"
    return (
        str(entry.path),
        entry.status,
        entry.recipe or "-",
        steps,
        _best(entry),
        byte_text(entry.size),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.changed)),
        ", ".join(entry.models) or "-",
        entry.data or "-",
    )


def _best(entry: ModelEntry) -> str:
    if entry.best is None:
        return "-"
    value = "" if entry.best.value is None else f"{entry.best.metric} {entry.best.value:.4g} at "
    return f"{value}step {entry.best.step:,}"


def _table(rows: list[tuple[str, ...]]) -> str:
    """Rows as lines with columns of equal width, control characters escaped before they are measured."""
    from i2i.files import printable

    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
