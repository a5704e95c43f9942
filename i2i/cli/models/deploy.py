"""``i2i export`` and ``i2i translate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from i2i.cli.common import plugins_of, show
from i2i.cli.models.results import ProgressReport, report_all
from i2i.errors import UserError

if TYPE_CHECKING:
    from i2i.export.run import Exported
    from i2i.translate import Model
    from i2i.translate.results import Result

DEVICES = "auto, cpu, cuda or tensorrt; what cannot be had is replaced, with a note."
INPUTS = "A further input of the model: a file, a folder of files named as the images, a number or a text; repeatable."
Backend = Annotated[
    str, typer.Option(help="What computes: onnxruntime, openvino, torch, a plugin's, or auto.", show_default=True)
]
FastOrExact = Annotated[
    str, typer.Option("--precision", help="exact: float32; fast: 16 bits where the result stays close, else exact.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads that compute; by default one for each core.", show_default=False)
]
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
        same = f"{one.path}: {one.translator}, step {one.step}, differs from torch by {one.difference:.2f}/255 at most"
        show(f"{same}; {', '.join([*_changes(one), f'{one.seconds:.1f} s'])}")


def _changes(exported: Exported) -> Iterator[str]:
    """What was changed in an exported graph to make it faster."""
    counts = {"transposed convolution": (exported.rewritten, "rewritten"), "batch norm": (exported.folded, "folded")}
    for name, (count, verb) in counts.items():
        if count:
            yield f"{count} {name}{'s' if count > 1 else ''} {verb}"


def translate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="An .onnx file or a run folder.", metavar="PATH", show_default=False)],
    inputs: Annotated[
        list[str], typer.Argument(help="Images, folders, or patterns.", metavar="INPUT...", show_default=False)
    ],
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            help="Folder for the results; for one image, also a file.",
            metavar="PATH",
            show_default=False,
        ),
    ],
    translator: Translator = None,
    label: Annotated[str | None, typer.Option(help="Target label, where the model has labels.")] = None,
    given: Annotated[list[str] | None, typer.Option("--input", help=INPUTS, metavar="NAME=VALUE")] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Draws noise and codes that are not given; without it all images get the same."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Results of each image, each with other noise.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Images of equal size translated together.")] = 1,
    tile: Annotated[
        str,
        typer.Option(
            help="Side of the pieces that large images are cut into; auto: as memory allows; none: no cutting."
        ),
    ] = "auto",
    alpha: Annotated[
        str, typer.Option(help="Transparency: keep, drop, or white or black to put the image on that first.")
    ] = "keep",
    frames: Annotated[str, typer.Option(help="Of animations and files of several pages: first or all.")] = "first",
    max_pixels: Annotated[int, typer.Option(min=1, help="Larger images are refused.")] = 100_000_000,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata", help="Copy EXIF, with the place the image was taken at.")
    ] = False,
    device: Annotated[str, typer.Option(help=DEVICES)] = "auto",
    backend: Backend = "auto",
    precision: FastOrExact = "exact",
    threads: Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave results that exist as they are, to go on after an interrupt.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all results.")] = False,
) -> None:
    """Translate images with a trained model; needs no torch."""
    from i2i.translate import translate_folder

    loaded = ComputingOptions(device, backend, precision, threads).load(context, model, translator)
    results = translate_folder(
        loaded,
        inputs,
        out,
        label=label,
        given=parsed_inputs(given or ()),
        seed=seed,
        count=count,
        batch=batch,
        tile=_tile(tile),
        alpha=alpha,  # type: ignore[arg-type]  # checked there
        frames=frames,  # type: ignore[arg-type]
        max_pixels=max_pixels,
        keep_metadata=keep_metadata,
        overwrite=overwrite,
        skip_existing=skip_existing,
    )
    statuses = ("written", "skipped", "failed")
    report = ProgressReport(statuses, _record if as_json else None, lambda: results.notes, _work)
    with closing(results):
        report_all(report, results, results.total, out, wording=("translating", "translated"))


@dataclass(frozen=True)
class ComputingOptions:
    """How a model is to be computed: the options of `i2i.load` of these names."""

    device: str
    backend: str
    precision: str
    threads: int | None

    def load(self, context: typer.Context, model: str, translator: str | None) -> Model:
        """Loads a model that may be a stranger's; backends of plugins are known by name."""
        from i2i.loading import load

        plugins = plugins_of(context) if (self.backend, self.precision) != ("auto", "exact") else None
        return load(model, translator=translator, check=True, plugins=plugins, **asdict(self))


def parsed_inputs(options: Sequence[str]) -> dict[str, str]:
    """The values of ``--input NAME=VALUE`` by name.

    Raises:
        UserError: one has no name, or a name is there twice.
    """
    found: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not name or not equals:
            raise UserError(f"--input is NAME=VALUE, such as mask=masks/, not {option!r}")
        if name in found:
            raise UserError(f"--input {name} is given twice")
        found[name] = value
    return found


def _tile(text: str) -> Literal["auto", "none"] | int:
    if text in ("auto", "none"):
        return text  # type: ignore[return-value]
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text):
        return int(text)
    raise UserError(f"--tile is auto, none or a whole number of pixels from 1, not {text!r}")


def _work(result: Result) -> dict[str, float]:
    return {"decode": result.decode, "network": result.network, "encode": result.encode}


def _record(result: Result) -> dict[str, Any]:
    record: dict[str, Any] = {
        "input": str(result.input),
        "output": str(result.output),
        "status": result.status,
    }
    if result.frame is not None:
        record["frame"] = result.frame
    record |= {"reason": result.reason} if result.reason else {"width": result.width, "height": result.height}
    if result.note:
        record["note"] = result.note
    if result.files:
        record["files"] = {name: str(path) for name, path in result.files.items()}
    if result.numbers:
        record["numbers"] = dict(result.numbers)
    return record | {"seconds": round(result.seconds, 4)}
