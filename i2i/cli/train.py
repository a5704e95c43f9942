"""``i2i train`` and ``i2i config``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from i2i.cli.common import plugins_of, say, show

Recipe = Annotated[
    str | None, typer.Argument(help="What to train, such as pix2pix; see `i2i plugins list`.", show_default=False)
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", help="An option as KEY=VALUE; see `i2i config RECIPE`.", metavar="KEY=VALUE"),
]
Preset = Annotated[str | None, typer.Option(help="One of the recipe's presets.")]


def train(
    context: typer.Context,
    recipe: Recipe = None,
    data: Annotated[Path | None, typer.Option(help="Folder of images; without it, samples drawn by code.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; by default runs/RECIPE-NNN.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file, such as a run's config.yaml.")] = None,
    sets: Sets = None,
    preset: Preset = None,
    steps: Annotated[int | None, typer.Option(help="Training steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data, instead of steps.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, or with the latest one.")
    ] = False,
    start_from: Annotated[
        Path | None, typer.Option("--from", help="A run or checkpoint whose weights the new run begins with.")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Finish the step, save and leave after so many hours; --resume goes on.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp64.")] = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, do one step, write nothing.")] = False,
) -> None:
    """Train a model on a folder of images."""
    from i2i.errors import ConfigError
    from i2i.extras import run_command
    from i2i.training import train as run

    if steps is not None and epochs is not None:
        raise ConfigError("--steps and --epochs exclude each other")
    trained = run(
        recipe,
        data=data,
        out=out,
        config=config,
        sets=sets or (),
        preset=preset,
        steps=steps,
        epochs=epochs,
        resume=resume,
        start_from=start_from,
        max_hours=max_hours,
        device=device,
        precision=precision,
        seed=seed,
        dry_run=dry_run,
        plugins=plugins_of(context),
    )
    if trained.run is None:
        return
    own, run_path = run_command(), shlex.quote(str(trained.run))
    go_on = f"stopped at step {trained.step}, checkpoint saved; go on with: {own} train --resume --out {run_path}"
    if trained.signal:
        say(go_on)
        raise typer.Exit(128 + trained.signal)
    if trained.late:
        say(f"the time of train.max_hours is over: {go_on}, or export what there is with: {own} export {run_path}")
    if trained.exported:
        if trained.early:
            say(f"ended at step {trained.step}: {trained.early}")
        if trained.exported[0].step != trained.step:
            say(f"exporting the best checkpoint, of step {trained.exported[0].step}")
        for one in trained.exported:
            say(f"exported {one.path} (differs from torch by {one.difference:.2f}/255 at most)")
        say(f"report: {trained.run / 'report.html'}")
        show(f"Next, translate images:\n  {trained.next_command()}")


def config(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="The recipe.", show_default=False)],
    sets: Sets = None,
    preset: Preset = None,
) -> None:
    """Print every option with its default, meaning and type, as YAML that `train --config` takes."""
    from i2i.config import resolve

    plugins = plugins_of(context)
    resolved = resolve(plugins, recipe, sets=sets or (), preset=preset, samples=False)
    component = plugins.get("recipe", recipe)
    presets = ", ".join(component.presets) or "none"
    header = f"{recipe}: {component.summary}\nPresets: {presets}\nUse: i2i train --config THIS_FILE --data FOLDER"
    print(resolved.to_commented_yaml(plugins, header), end="")
