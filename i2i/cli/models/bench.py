"""``i2i bench``: how fast a model or a training is on this machine."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2i.cli.common import plugins_of, show
from i2i.cli.models.deploy import Translator
from i2i.cli.train import Preset, Recipe, Sets
from i2i.cli.usage import CommandGroup, ConfiguredCommand
from i2i.errors import UserError

if TYPE_CHECKING:
    from i2i.timing.models import Measurement


class BenchGroup(CommandGroup):
    """Takes a first word that is no command of the group as a model."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words after ``i2i bench``."""
        if args and args[0] not in ("-h", "--help", *self.list_commands(ctx)) and not ctx.resilient_parsing:
            args = ["model", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=BenchGroup, help="Measure how fast a model or a training is here.", no_args_is_help=True, rich_markup_mode=None
)
Repeated = list[str] | None


@app.command("model")
def model(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="An .onnx file or a run folder.", metavar="PATH", show_default=False)],
    translator: Translator = None,
    backend: Annotated[Repeated, typer.Option(help="What computes; repeatable. By default every backend.")] = None,
    precision: Annotated[Repeated, typer.Option(help="exact or fast; repeatable. By default both.")] = None,
    size: Annotated[
        Repeated, typer.Option(help="Pixels, as 256 or 256x512 (height x width); repeatable.", metavar="H[xW]")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="Images in one run; repeatable. [default: 1]")] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Threads that compute; repeatable. By default one for each core.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each.")] = 10,
    image: Annotated[
        Path | None, typer.Option(help="An image to try with; by default one of the run's examples, or noise.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all measurements.")] = False,
) -> None:
    """Measure a model's latency and images a second by backend, precision, size, batch and threads."""
    from i2i.timing.models import BenchSettings, bench_model

    precisions = precision or ["exact", "fast"]
    if unknown := [word for word in precisions if word not in ("exact", "fast")]:
        raise UserError(f"the precision is exact or fast, not {unknown[0]!r}")
    settings = BenchSettings(
        backends=tuple(backend or ()),
        precisions=tuple(precisions),  # type: ignore[arg-type]  # checked above
        sizes=tuple(map(_size, size or ())),
        batches=tuple(batch or (1,)),
        threads=tuple(threads or (None,)),
        device=device,
        runs=runs,
        image=image,
    )
    found = bench_model(model, settings, translator=translator, plugins=plugins_of(context))
    if as_json:
        show(json.dumps({"measurements": [_record(one) for one in found]}))
        return
    show(f"{'backend':14}{'precision':11}{'size':12}{'batch':>6}{'threads':>9}{'ms/run':>10}{'images/s':>11}  result")
    problems: dict[str, None] = {}
    for one in found:
        if one.problem:
            problems[f"{one.backend}, {one.precision}: {one.problem}"] = None
        else:
            show(_line(one))
    for problem in problems:
        show(f"not measured: {problem}")


@app.command("train", cls=ConfiguredCommand)
def train(
    context: typer.Context,
    recipe: Recipe = None,
    data: Annotated[Path | None, typer.Option(help="Folder of images; without it, samples drawn by code.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file, such as a run's config.yaml.")] = None,
    sets: Sets = None,
    preset: Preset = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps that are measured.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with all parts.")] = False,
) -> None:
    """Train a few steps in memory and tell where their time goes; nothing is written."""
    from i2i.config import resolve, setting
    from i2i.engine import launch
    from i2i.timing.profile import step_profile

    plugins = plugins_of(context)
    layers: list[Any] = [*(sets or ()), *([setting("data.root", data, "--data")] if data else [])]
    resolved = resolve(plugins, recipe, preset=preset, config=config, sets=layers)
    if not resolved.train.batch_size:  # auto
        raise UserError("i2i bench train measures one batch size: add --set train.batch_size=1 or another number")
    parts = step_profile(resolved, plugins, launch(resolved.engine), steps)
    if as_json:
        show(json.dumps({"recipe": resolved.recipe, "steps": steps, "parts": [asdict(part) for part in parts]}))
        return
    whole = sum(part.seconds for part in parts)
    show(f"{resolved.recipe}, {steps} steps of {1000 * whole:.1f} ms, {1 / whole:.3g} steps/s")
    show(f"{'part':40}{'ms':>10}{'CPU ms':>10}{'share':>8}")
    for part in parts:
        times = f"{1000 * part.seconds:10.2f}{1000 * part.cpu_seconds:10.2f}"
        show(f"{part.name:40}{times}{100 * part.share:7.1f}%")


def _line(one: Measurement) -> str:
    height, width = one.size
    what = f"{one.backend:14}{one.precision:11}{f'{height}x{width}':12}{one.batch:6}{one.threads or 'all':>9}"
    return f"{what}{1000 * one.seconds:10.1f}{one.batch / one.seconds:11.1f}  {one.provider}, {one.apart}"


def _record(one: Measurement) -> dict[str, Any]:
    record = asdict(one) | {"images_per_second": one.batch / one.seconds if one.seconds else 0.0}
    if one.apart is not None:
        infinite = one.apart.decibels == float("inf")
        record["apart"] |= {"decibels": None if infinite else one.apart.decibels}  # JSON has no infinity
    return record


def _size(text: str) -> tuple[int, int]:
    """Height and width from ``256`` or ``256x512``.

    Raises:
        UserError: it is neither, or above 16384.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text)
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not match or max(size) > 16384:
        raise UserError(f"--size is a number of pixels such as 256, or 256x512, from 1 to 16384, not {text!r}")
    return size
