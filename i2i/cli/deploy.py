"""``i2i export`` and ``i2i translate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.common import plugins_of
from i2i.cli.results import show

if TYPE_CHECKING:
    from i2i.translate.folder import Result

Translator = Annotated[str | None, typer.Option(help="Which of a run's translators, such as AtoB.")]


def export(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file to write; by default model.onnx in the run.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="last, best, or a step.")] = "last",
    translator: Translator = None,
) -> None:
    """Export a run to ONNX and check it against torch."""
    from i2i.export import export as run_export

    for one in run_export(run, out=out, checkpoint=checkpoint, translator=translator, plugins=plugins_of(context)):
        print(f"{one.path}: {one.translator}, step {one.step}, differs from torch by {one.difference:.2f}/255 at most")


def translate(
    model: Annotated[Path, typer.Argument(help="An .onnx file or a run folder.", show_default=False)],
    inputs: Annotated[
        list[str], typer.Argument(help="Images, folders, or patterns.", metavar="INPUT...", show_default=False)
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.", show_default=False)],
    translator: Translator = None,
    label: Annotated[str | None, typer.Option(help="Target label, where the model has labels.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images of equal size translated together.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave results that exist as they are.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all results.")] = False,
) -> None:
    """Translate images with a trained model; needs no torch."""
    from i2i.translate import load
    from i2i.translate.folder import translate_folder

    loaded = load(model, translator=translator, device=device)
    results = translate_folder(
        loaded, inputs, out, batch=batch, overwrite=overwrite, skip_existing=skip_existing, label=label
    )
    statuses = ("written", "skipped", "failed")
    show(results, _record, out, doing="translating", done="translated", statuses=statuses, as_json=as_json)


def _record(result: Result) -> dict[str, Any]:
    record: dict[str, Any] = {
        "input": str(result.input),
        "output": str(result.output) if result.output else None,
        "status": result.status,
    }
    record |= {"reason": result.reason} if result.reason else {"width": result.width, "height": result.height}
    return record | {"seconds": round(result.seconds, 4)}
