"""The `train` command as a function: run folder, training, export, report."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.config import RunConfig, resolve
from i2i.config.changes import continued
from i2i.errors import RunError, TrainingError, UserError
from i2i.plugins import Plugins
from i2i.runs.folder import RunFolder, latest_run, new_run

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from i2i.export.run import Exported
    from i2i.runs.lock import RunLock


@dataclass(frozen=True)
class Trained:
    """What a call of `train` left behind.

    Attributes:
        run: the run folder; None after a dry run.
        step: finished steps.
        metrics: the last validation.
        exported: the ONNX files.
        signal: number of the signal that stopped it early; 0 when it finished.
        late: ``train.max_hours`` were over before it finished: go on with `resume`.
    """

    run: Path | None
    step: int
    metrics: Mapping[str, float]
    exported: Sequence[Exported] = ()
    signal: int = 0
    late: bool = False

    def next_command(self) -> str:
        """The command that tries the trained model: on the run's examples, or from noise."""
        assert self.run is not None
        first, examples = self.exported[0], RunFolder(self.run).examples
        which = ["--translator", first.translator] if len(self.exported) > 1 else []
        if "image" not in first.inputs:
            return shlex.join(["i2i", "generate", str(self.run), *which, "-o", str(self.run / "generated")])
        label = ["--label", first.labels[-1] if first.labels else "0"] if "label" in first.inputs else []
        source = str(examples) if examples.is_dir() else "FOLDER"
        return shlex.join(["i2i", "translate", str(self.run), *which, *label, source, "-o", f"{self.run}/translated"])


def train(
    recipe: str | None = None,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    config: str | Path | None = None,
    sets: Sequence[str] = (),
    preset: str | None = None,
    resume: bool = False,
    start_from: str | Path | None = None,
    dry_run: bool = False,
    plugins: Plugins | None = None,
    **options: Any,
) -> Trained:
    """Trains, exports and reports; the Python form of ``i2i train``.

    Args:
        recipe: what to train; may be left out when `config` or the resumed run names it.
        data: the data folder; without one, samples drawn by code.
        out: the run folder; by default the next free ``runs/RECIPE-NNN``.
        config: YAML file with any part of the configuration.
        sets: texts such as ``"train.batch_size=4"``.
        preset: one of the recipe's presets.
        resume: go on with the run in `out`, or the latest one; a run that was never begun is begun. Settings that would
            make another training of it are refused.
        start_from: a run, whose best checkpoint is taken or else its last one, or a checkpoint's folder: the new run's
            networks begin with the weights in it (fine-tuning).
        dry_run: check everything and do one step in memory, writing nothing.
        plugins: where components are looked up; by default the installed plugins.
        options: dotted keys with an underscore for the first dot: ``train_steps=100``; None counts as not given.

    Raises:
        UserError: something asked for cannot be done; its subclasses say what.
    """
    plugins = plugins or Plugins()
    overrides = {key.replace("_", ".", 1): value for key, value in options.items()}
    if data is not None:
        overrides["data.root"] = str(data)
    if start_from is not None:
        overrides["train.start_from"] = str(start_from)
    run = _resumed(recipe, Path(out) if out else None) if resume else None
    file = run.config if run is not None and config is None else (Path(config) if config else None)
    if overrides.get("train.epochs") is not None:
        sets = [*sets, "train.steps=null"]
    resolved = resolve(plugins, recipe, preset=preset, file=file, sets=sets, overrides=overrides)

    said = "note: there is nothing to resume: a new run begins" if resume else ""
    if run is not None:
        resolved, said = continued(resolve(plugins, file=run.config), resolved, run.path)

    from i2i.engine import launch  # heavy: only when there is something to train
    from i2i.engine import train as run_engine

    fabric = launch(resolved.engine)
    resolved = _found_out(resolved, plugins, fabric, said, resumed=run is not None)
    if dry_run:
        outcome = run_engine(resolved, plugins, fabric, None)
        return Trained(None, outcome.step, outcome.metrics)
    run = _shared_run(fabric, run, resolved, Path(out) if out else None)
    if resolved.data.root and run.path.resolve().is_relative_to(Path(resolved.data.root).expanduser().resolve()):
        _leave(run, None)
        raise RunError(f"{run.path}: inside the data folder, where its images would become data: choose another --out")
    lock = run.lock() if fabric.is_global_zero else None
    try:
        outcome = run_engine(resolved, plugins, fabric, run)
        if not fabric.is_global_zero:
            return Trained(run.path, outcome.step, outcome.metrics, (), outcome.signal, outcome.late)
        exported = [] if outcome.signal or outcome.late else _finish(run, resolved, plugins, outcome)
        return Trained(run.path, outcome.step, outcome.metrics, exported, outcome.signal, outcome.late)
    finally:
        if lock:
            _leave(run, lock)


def _resumed(recipe: str | None, out: Path | None) -> RunFolder | None:
    """The run to go on with; None when it has not even written its configuration yet."""
    run = RunFolder(out) if out else latest_run(recipe)
    if run is None and recipe is None:
        raise RunError("nothing to resume: there is no run in runs/; name a recipe or --out RUN")
    return run if run is not None and run.exists() else None


def _found_out(config: RunConfig, plugins: Plugins, fabric: Fabric, said: str, *, resumed: bool) -> RunConfig:
    """The configuration with what only this machine can tell: the checkpoint to start from, the batch that fits."""
    from i2i.engine.batch_size import fit_batch
    from i2i.engine.finetune import find_start

    lines = [said]
    if config.train.start_from and not resumed:
        start = str(find_start(Path(config.train.start_from).expanduser()))
        config = replace(config, train=config.train.model_copy(update={"start_from": start}))
    if not config.train.batch_size:
        config, line = fit_batch(config, plugins, fabric)
        lines.append(line)
    if fabric.is_global_zero:
        print(*filter(None, lines), sep="\n", end="\n" if any(lines) else "", file=sys.stderr)
    return config


def _shared_run(fabric: Fabric, run: RunFolder | None, config: RunConfig, out: Path | None) -> RunFolder:
    """The run folder, made by the first process and told to the others."""
    if run is None and fabric.is_global_zero:
        run = new_run(config.recipe, out)
    return RunFolder(Path(fabric.broadcast(str(run.path) if run else "")))


def _leave(run: RunFolder, lock: RunLock | None) -> None:
    """Frees the run; a folder in which nothing was begun goes."""
    if lock:
        lock.release()
    if not run.exists():
        for name in (".lock", ".owner"):
            (run.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            run.path.rmdir()


def _finish(run: RunFolder, config: RunConfig, plugins: Plugins, outcome: Any) -> list[Exported]:
    """Exports the last checkpoint and writes summary and report."""
    from i2i.export.run import export
    from i2i.report import write_report

    begin = time.monotonic()
    summary = outcome.facts | {
        "recipe": config.recipe,
        "steps": outcome.step,
        "seconds of training": round(outcome.seconds, 1),
        **{f"validation {name}": round(value, 5) for name, value in outcome.metrics.items()},
    }
    try:
        exported = export(run.path, plugins=plugins)
        summary["seconds of export"] = round(time.monotonic() - begin, 1)
        summary |= {f"parity of {one.path.name}": f"{one.difference:.2f}/255" for one in exported}
    except UserError as error:
        raise TrainingError(f"{run.path}: trained, but not exported: {error}") from error
    finally:
        try:
            run.write_summary(summary)
            write_report([run.path], run.report)
        except OSError as error:
            raise TrainingError(f"{run.path}: trained, but the report cannot be written: {error.strerror}") from error
    return exported
