"""``i2i data``: checks of data folders."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.common import plugins_of, show
from i2i.cli.train import Sets
from i2i.cli.usage import CommandGroup, ConfiguredCommand

if TYPE_CHECKING:
    from i2i.config import DataConfig
    from i2i.data.checks.check_dataset import DatasetCheck
    from i2i.data.checks.findings import DataFinding
    from i2i.data.detect import Requirements
    from i2i.plugins import Plugins

MAX_WARNINGS = 20
"""Warnings of one kind that are printed; errors and ``--json`` leave out none."""

app = typer.Typer(cls=CommandGroup, help="Look at data folders.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Makes typer treat `check` as a sub-command although it is the only one."""


@app.command("check", cls=ConfiguredCommand)
def check(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The data folder.", show_default=False)],
    recipe: Annotated[
        str | None, typer.Option(help="What the data are for; without it any layout will do.", show_default=False)
    ] = None,
    sets: Sets = None,
    preset: Annotated[str | None, typer.Option(help="One of the recipe's presets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all findings.")] = False,
) -> None:
    """Decode every image and tell what is wrong: 0 nothing is left out, 1 something is, 2 the folder is of no use."""
    from i2i.data.checks.check_dataset import check_dataset
    from i2i.errors import DataError

    plugins = plugins_of(context)
    config, requirements = _settings(plugins, folder, recipe, sets or [], preset)
    with _progress() as progress:
        result = check_dataset(config, plugins, requirements, everything=True, progress=progress)
    if as_json:
        show(json.dumps(_record(result, recipe)))
    else:
        _show(result)
    if result.refusal:
        raise DataError(result.refusal)
    if result.problems:
        raise typer.Exit(1)


def _settings(
    plugins: Plugins, folder: Path, recipe: str | None, sets: list[str], preset: str | None
) -> tuple[DataConfig, Requirements]:
    """The data section, and what the recipe requires of samples; without a recipe nothing is required."""
    from i2i.config import resolve, setting
    from i2i.data.detect import Requirements
    from i2i.plugins.builder import build_recipe

    if recipe is None:
        return _without_recipe(folder, sets, preset), Requirements(frozenset())
    config = resolve(plugins, recipe, preset=preset, sets=[*sets, setting("data.root", folder, "the folder")])
    built = build_recipe(plugins, config.recipe, config.options)
    return config.data, Requirements.of_recipe(built)


def _without_recipe(folder: Path, sets: list[str], preset: str | None) -> DataConfig:
    from pydantic import ValidationError

    from i2i.config import DataConfig, validation_reason
    from i2i.config.text import parse_set
    from i2i.errors import ConfigError

    values: dict[str, Any] = {}
    for text in sets:
        layer = parse_set(text).values
        section = layer.get("data")
        if not isinstance(section, dict):
            raise ConfigError(f"--set {text}: without --recipe NAME only options of data can be set, as data.KEY=VALUE")
        values |= section
    if preset is not None:
        raise ConfigError("--preset is one of a recipe: give --recipe NAME too")
    try:
        return DataConfig(**values | {"root": str(folder)})
    except ValidationError as error:
        where = ".".join(["data", *map(str, error.errors()[0]["loc"])])
        raise ConfigError(f"{where}: {validation_reason(error)}") from None


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A function to call after every sample with their total number: moves a bar on a terminal, else does nothing."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda total: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("checking", total=None)
        yield lambda total: bar.update(task, total=total, advance=1)


def _record(result: DatasetCheck, recipe: str | None) -> dict[str, Any]:
    """The JSON object that ``--json`` prints."""
    from i2i.data.checks.findings import counts

    return {
        "folder": result.name,
        "layout": result.layout,
        "recipe": recipe,
        "samples": result.samples,
        "usable": {"train": len(result.train.usable), "val": len(result.val.usable)},
        "decoded": result.decoded,
        "refusal": result.refusal,
        "counts": counts(result.findings),
        "warnings": result.warnings,
        "notes": result.notes,
        "findings": [finding.as_dict() for finding in result.findings],
    }


def _show(result: DatasetCheck) -> None:
    """Prints a table of the kinds of findings, then each finding on a line."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from i2i.data.checks.findings import ERRORS, WARNINGS, counts

    console = Console(file=sys.stdout, highlight=False, markup=False)
    used = " and ".join(
        f"{len(one.usable)} of {result.samples[split]} {what}"
        for split, what, one in (("train", "training", result.train), ("val", "validation", result.val))
    )
    show(f"{result.name}: layout {result.layout}, {used} samples can be used")
    for note in result.notes:
        show(f"note: {note}")
    number = counts(result.findings)
    if not number:
        show("nothing found that is wrong")
        return
    table = Table("finding", "count", "what it does", box=SIMPLE if console.is_terminal else None)
    for kind, count in number.items():
        table.add_row((ERRORS | WARNINGS)[kind], str(count), "left out" if kind in ERRORS else "only told")
    console.print(table)
    for kind in number:
        _list(kind, [finding for finding in result.findings if finding.kind == kind])


def _list(kind: str, findings: list[DataFinding]) -> None:
    from i2i.data.checks.findings import SUMMARIES

    if kind == "small" and len(findings) > 1:  # one setting is the cause of all
        show(f"warning: {len(findings)} {SUMMARIES[kind]}, such as {findings[0].line} (--json lists all)")
        return
    some = findings if findings[0].severity == "error" else findings[:MAX_WARNINGS]
    for finding in some:
        show(f"{finding.severity}: {finding.line}")
    if len(some) < len(findings):
        show(f"... and {len(findings) - len(some)} more of these (--json lists all)")
