"""``i2i evaluate``: figures of models on data, and of folders of images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.common import plugins_of, say, show
from i2i.cli.progress import progress
from i2i.errors import UserError, system_reason
from i2i.files import printable, user_path, write_file

if TYPE_CHECKING:
    from i2i.evaluation.results import Evaluated

PATHS = "A model or several, as .onnx files or run folders; or two folders of images: those to measure, and real ones."


def evaluate(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(help=PATHS, metavar="PATH...", show_default=False)],
    data: Annotated[
        Path | None, typer.Option(help="Folder of images for models; by default that of the run.", show_default=False)
    ] = None,
    split: Annotated[str, typer.Option(help="val or train.")] = "val",
    metric: Annotated[
        list[str] | None,
        typer.Option(help="A name, or {name: NAME, OPTION: VALUE}; repeatable. By default those that fit."),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Network that FID and the like look through; by default the best that is here.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Samples at most, for models. [default: all]")] = None,
    translator: Annotated[str | None, typer.Option(help="Which of a run's translators, such as AtoB.")] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="An option of the data as KEY=VALUE, such as data.size=512.", metavar="KEY=VALUE"),
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples for intervals of pairs; 0: none.")] = 1000,
    device: Annotated[str, typer.Option(help="Where feature networks compute: cpu or cuda.")] = "cpu",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do not keep features for the next evaluation.")] = False,
    per_image: Annotated[
        Path | None, typer.Option(help="CSV file to write: figures of single images.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with figures and protocols.")] = False,
) -> None:
    """Measure models on images, or a folder of images against another one."""
    from i2i.evaluation.evaluate import evaluate as run
    from i2i.evaluation.results import per_image_csv

    table = None if per_image is None else _table_path(per_image)
    with ExitStack() as stack:
        found = run(
            *paths,
            data=data,
            split=split,
            images=images,
            translator=translator,
            sets=sets or (),
            metrics=[_component(text, "--metric") for text in metric or ()],
            features=_component(features, "--features") if features else None,
            bootstrap=bootstrap,
            device=device,
            cache=not no_cache,
            plugins=plugins_of(context),
            progress=_shown(stack),
        )
    if as_json:
        show(json.dumps({"evaluations": [one.to_json() for one in found]}))
    else:
        _show_table(found)
    if table is not None:  # after the figures, which took time and are not lost if it cannot be written
        _write_table(table, per_image_csv(found))
    left_out = [line for one in found for line in one.left_out]
    for line in dict.fromkeys(left_out):
        say(f"failed: {line}")
    for note in dict.fromkeys(note for one in found for note in one.notes):
        say(f"note: {note}")
    if left_out:
        raise typer.Exit(1)


def _table_path(given: Path) -> Path:
    """Where the figures of single images go, before anything is measured.

    Raises:
        UserError: no file can be there.
    """
    path = user_path(given, "--per-image")
    if path.is_dir():
        raise UserError(f"--per-image {printable(path)} is a folder: name a CSV file")
    if path.exists() and not path.is_file():
        raise UserError(f"--per-image {printable(path)} is a device or pipe: name a CSV file")
    if not path.parent.is_dir():
        raise UserError(f"--per-image {printable(path)}: there is no folder {printable(path.parent)}: make it first")
    return path


def _write_table(path: Path, text: str) -> None:
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise UserError(f"--per-image {printable(path)}: cannot be written: {system_reason(error)}") from error


def _component(text: str, option: str) -> Any:
    """A name, or a mapping in YAML.

    Raises:
        ConfigError: it begins like a mapping and is none.
    """
    if not text.lstrip().startswith("{"):
        return text
    from i2i.config.text import parse_value

    return parse_value(text, f"{option} {text}")


def _shown(stack: ExitStack) -> Callable[[int, int], None]:
    """Shows progress from the first image on, until the stack is closed."""
    shown: list[Callable[[int], None]] = []

    def report(done: int, total: int) -> None:
        if not shown:
            shown.append(stack.enter_context(progress("evaluating", total)))
        shown[0](done)

    return report


def _show_table(found: Sequence[Evaluated]) -> None:
    """One row a figure, one column for what was measured; of several the best is marked with a star."""
    from i2i.evaluation.results import number_of_images

    titles = [f"{one.name} {one.translator}".rstrip() for one in found]
    rows = [["", *titles, "images"]]
    for name in dict.fromkeys(name for one in found for name in one.figures):
        figures = [one.figures.get(name) for one in found]
        values = [math.nan if figure is None else figure.value for figure in figures]
        known = next(figure for figure in figures if figure is not None)
        arrow = {True: " ↑", False: " ↓", None: ""}[known.higher_is_better]
        counts = dict.fromkeys(number_of_images(figure) for figure in figures if figure is not None)
        cells = [
            _cell(one, name, best=_is_best(value, values, known.higher_is_better))
            for one, value in zip(found, values, strict=True)
        ]
        rows.append([name + arrow, *cells, " | ".join(counts)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _is_best(value: float, values: Sequence[float], higher: bool | None) -> bool:
    finite = [one for one in values if not math.isnan(one)]
    if len(values) < 2 or higher is None or math.isnan(value):
        return False
    return value == (max(finite) if higher else min(finite))


def _cell(one: Evaluated, name: str, *, best: bool) -> str:
    """A figure with its error bar or interval, such as ``23.41 [22.9, 23.9]``."""
    figure = one.figures.get(name)
    if figure is None or math.isnan(figure.value):
        return "-"
    text = f"{figure.value:.4g}"
    if figure.error is not None:
        text += f" ± {figure.error:.2g}"
    elif name in one.intervals:
        low, high = one.intervals[name]
        text += f" [{low:.4g}, {high:.4g}]"
    return text + (" *" if best else "")
