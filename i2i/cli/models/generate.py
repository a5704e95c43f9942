"""``i2i generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.models.deploy import (
    DEVICES,
    INPUTS,
    Backend,
    ComputingOptions,
    FastOrExact,
    Threads,
    Translator,
    parsed_inputs,
)
from i2i.cli.models.results import ProgressReport, report_all

if TYPE_CHECKING:
    from i2i.translate.generate import Generated


def generate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="An .onnx file or a run folder.", metavar="PATH", show_default=False)],
    out: Annotated[str, typer.Option("-o", "--out", help="Folder for the images.", metavar="PATH", show_default=False)],
    translator: Translator = None,
    label: Annotated[
        list[str] | None, typer.Option(help="What to draw, by name or number; may be repeated. By default every label.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Images of each label.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another one gives other images.")] = 0,
    truncation: Annotated[
        float | None, typer.Option(help="Limit of the noise's magnitude, such as 1: less variety, fewer odd images.")
    ] = None,
    given: Annotated[list[str] | None, typer.Option("--input", help=INPUTS, metavar="NAME=VALUE")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images made together.")] = 16,
    device: Annotated[str, typer.Option(help=DEVICES)] = "auto",
    backend: Backend = "auto",
    precision: FastOrExact = "exact",
    threads: Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace images that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all results.")] = False,
) -> None:
    """Make images from noise with a trained model; needs no torch."""
    from i2i.translate.generate import Sampling, generate_folder

    loaded = ComputingOptions(device, backend, precision, threads).load(context, model, translator)
    sampling = Sampling(count=count, seed=seed, truncation=truncation, batch=batch)
    results = generate_folder(
        loaded, out, sampling, labels=label or (), given=parsed_inputs(given or ()), overwrite=overwrite
    )
    report = ProgressReport(("written", "failed"), _record if as_json else None, lambda: results.notes)
    report_all(report, results, results.total, out, wording=("generating", "made"))


def _record(result: Generated) -> dict[str, Any]:
    record: dict[str, Any] = {
        "output": str(result.output),
        "label": result.label,
        "number": result.number,
        "status": result.status,
    }
    record |= {"reason": result.reason} if result.reason else {"width": result.width, "height": result.height}
    return record | {"seconds": round(result.seconds, 4)}
