"""``i2i generate``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.deploy import Translator
from i2i.errors import UserError

if TYPE_CHECKING:
    from i2i.translate.generate import Generated


def generate(
    model: Annotated[Path, typer.Argument(help="An .onnx file or a run folder.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the images.", show_default=False)],
    translator: Translator = None,
    label: Annotated[
        list[str] | None, typer.Option(help="What to draw, by name or number; may be repeated. By default every label.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Images of each label.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another one gives other images.")] = 0,
    truncation: Annotated[
        float | None, typer.Option(help="Limit of the noise's magnitude, such as 1: less variety, fewer odd images.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images made together.")] = 16,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace images that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all results.")] = False,
) -> None:
    """Make images from noise with a trained model; needs no torch."""
    from rich.console import Console
    from rich.progress import track

    from i2i.data.image_errors import shown
    from i2i.translate import load
    from i2i.translate.generate import generate_folder

    begin = time.monotonic()
    loaded = load(model, translator=translator, device=device)
    results = generate_folder(
        loaded,
        out,
        labels=label or (),
        count=count,
        seed=seed,
        truncation=truncation,
        batch=batch,
        overwrite=overwrite,
    )
    console = Console(stderr=True, highlight=False)
    progress = track(results, "generating", console=console, transient=True) if console.is_terminal else results
    done: list[Generated] = []
    for result in progress:
        done.append(result)
        if result.status == "failed":
            print(f"failed: {shown(result.reason)}", file=sys.stderr)
    summary = _summary(done, time.monotonic() - begin)
    if as_json:
        print(json.dumps(summary | {"results": [_record(result) for result in done]}))
    counts = ", ".join(f"{summary[status]} {status}" for status in ("written", "failed") if summary[status])
    print(f"{counts}, {summary['images_per_second']:.3g} images/s, in {shown(out)}", file=sys.stderr)
    if not summary["written"]:
        raise UserError(f"none of {summary['failed']} images could be made, see the reasons above")
    if summary["failed"]:
        raise typer.Exit(1)


def _summary(results: list[Generated], seconds: float) -> dict[str, Any]:
    written = sum(result.status == "written" for result in results)
    return {
        "written": written,
        "failed": len(results) - written,
        "seconds": round(seconds, 3),
        "images_per_second": round(written / max(seconds, 1e-9), 3),
    }


def _record(result: Generated) -> dict[str, Any]:
    record: dict[str, Any] = {
        "output": str(result.output),
        "label": result.label,
        "number": result.number,
        "status": result.status,
    }
    record |= {"reason": result.reason} if result.reason else {"width": result.width, "height": result.height}
    return record | {"seconds": round(result.seconds, 4)}
