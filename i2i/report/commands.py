"""Command lines that use a run, go on with it or repeat it."""

from __future__ import annotations

import shlex
from pathlib import Path

from i2i.runs.facts import RunFacts


def commands(facts: RunFacts, *, from_noise: bool) -> list[tuple[str, str]]:
    """What can be done with a run: a word on it, and the command line.

    Args:
        facts: of the run.
        from_noise: whether its models draw images instead of translating them.
    """
    run, data = quoted(facts.run.path), facts.option("data", "root")
    folder = shlex.quote(data) if isinstance(data, str) else "FOLDER"
    lines = []
    for model in facts.models:
        path = run if model.name == "model.onnx" else quoted(model)
        use = f"i2i generate {path} -o OUT" if from_noise else f"i2i translate {path} INPUT -o OUT"
        lines.append(("draw images" if from_noise else "translate images", use))
    if facts.models:
        lines.append(("measure on a data folder", f"i2i evaluate {run} --data {folder}"))
    if facts.checkpoints:
        lines.append(("export the best checkpoint", f"i2i export {run} --checkpoint best"))
    if facts.status in ("unfinished", "running"):
        lines.append(("go on", f"i2i train --out {run} --resume"))
    if facts.run.config.is_file():
        lines.append(("repeat", f"i2i train --config {quoted(facts.run.config)} --out {_again(facts.run.path)}"))
    return lines


def quoted(path: Path) -> str:
    """The path for a shell."""
    return shlex.quote(command_path(path))


def command_path(path: Path) -> str:
    """The path for a command line: relative to the current folder if it is in it."""
    full, here = path.resolve(), Path.cwd()
    return (full.relative_to(here) if full.is_relative_to(here) else path).as_posix()


def _again(run: Path) -> str:
    """The path of a run that repeats this one, for a shell."""
    path = Path(command_path(run))
    name = path.name or run.resolve().name
    return shlex.quote((path.parent / f"{name}-again").as_posix())
