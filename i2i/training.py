"""`i2i.train`: run folder, training, export and report."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i.config import RunConfig, Settings, resolve, setting, setting_layers
from i2i.config.changes import resumed_config
from i2i.config.text import Layer
from i2i.data.source import data_folder
from i2i.errors import ConfigError, RunError, TrainingError, UserError
from i2i.extras import run_command
from i2i.files import printable, user_path
from i2i.plugins import Plugins
from i2i.runs.choice import find_start
from i2i.runs.folder import RunFolder, latest_run, new_run, refuse_used

if TYPE_CHECKING:
    from i2i.components.processes import Processes
    from i2i.engine import Outcome
    from i2i.export.run import Exported


@dataclass(frozen=True)
class Trained:
    """The result of `train`.

    Attributes:
        run: the run folder; None after a dry run.
        step: finished steps.
        metrics: the last validation.
        exported: the ONNX files.
        signal: number of the signal that stopped it early; 0 when it finished.
        late: ``train.max_hours`` were over before it finished: go on with `resume`.
        early: why it was complete before its last step, see ``train.patience``; empty if it was not.
    """

    run: Path | None
    step: int
    metrics: Mapping[str, float]
    exported: Sequence[Exported] = ()
    signal: int = 0
    late: bool = False
    early: str = ""

    def next_command(self) -> str:
        """The command that tries the trained model: on the run's examples, or from noise."""
        assert self.run is not None
        first, folder = self.exported[0], RunFolder(self.run)
        which = ["--translator", first.translator] if len(self.exported) > 1 else []
        for name in first.required:  # the slash tells a folder of texts from a text
            which += ["--input", f"{name}={folder.example_inputs / name}/"]
        if "image" not in first.inputs:
            words = ["generate", str(self.run), *which, "-o", str(self.run / "generated")]
            return f"{run_command()} {shlex.join(words)}"
        label = ["--label", first.labels[-1] if first.labels else "0"] if "label" in first.inputs else []
        source = str(folder.examples) if folder.examples.is_dir() else "FOLDER"
        words = ["translate", str(self.run), *which, *label, source, "-o", f"{self.run}/translated"]
        return f"{run_command()} {shlex.join(words)}"


def train(
    recipe: str | None = None,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    config: str | Path | None = None,
    sets: Mapping[str, Any] | Sequence[str] = (),
    preset: str | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    resume: bool = False,
    start_from: str | Path | None = None,
    max_hours: float | None = None,
    device: str | None = None,
    precision: str | None = None,
    seed: int | None = None,
    dry_run: bool = False,
    plugins: Plugins | None = None,
) -> Trained:
    """Trains, exports and reports; the Python form of ``i2i train``.

    ``i2i.train("pix2pix", data="facades", steps=1000, sets={"train.batch_size": 4})``

    Args:
        recipe: what to train; may be left out when `config` or the resumed run names it.
        data: folder of images; without one, samples drawn by code.
        out: the run folder; by default the next free ``runs/RECIPE-NNN``.
        config: YAML file with any part of the configuration.
        sets: single options: ``{"train.batch_size": 4}``, or texts such as ``"train.batch_size=4"``.
        preset: one of the recipe's presets.
        steps: training steps.
        epochs: passes over the data, instead of `steps`.
        resume: go on with the run in `out`, or the latest one; a run that was never begun is begun. Settings that would
            make another training of it are refused.
        start_from: a run (its best checkpoint is taken, or else its last one) or a checkpoint's folder, whose weights
            the new run's networks begin with: fine-tuning.
        max_hours: after so many hours finish the step, save and return; `resume` goes on.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp64``.
        seed: everything random follows from it.
        dry_run: check everything and do one step in memory, writing nothing.
        plugins: where components are looked up; by default the installed plugins.

    Returns:
        The run folder, the last validation and the exported files.

    Raises:
        UserError: something asked for cannot be done; its subclasses say what.
    """
    if steps is not None and epochs is not None:
        raise ConfigError("steps and epochs exclude each other")
    options = {"data.root": data, "train.steps": steps, "train.epochs": epochs, "train.start_from": start_from}
    options |= {"train.max_hours": max_hours, "engine.device": device, "engine.precision": precision, "seed": seed}
    request = _Request(recipe, _path(out), _path(config), preset, _settings(sets, options), resume)
    plugins = plugins or Plugins()
    run, resolved, note = _configured(request, plugins)
    if run is None:
        _refuse_new(resolved, None if dry_run else request.out)
    for key in ("root", "val_root"):
        data_folder(resolved.data, key)

    from i2i.engine import dry_run as try_one_step  # heavy: only when there is something to train
    from i2i.engine import launch

    fabric = launch(resolved.engine)
    resolved = _completed(resolved, plugins, fabric, note, resumed=run is not None)
    if dry_run:
        outcome = try_one_step(resolved, plugins, fabric)
        return Trained(None, outcome.step, outcome.metrics)
    return _train_in(_shared_run(fabric, run, resolved, request.out), resolved, plugins, fabric)


@dataclass(frozen=True)
class _Request:
    """The arguments of `train`, its options as layers of a configuration."""

    recipe: str | None
    out: Path | None
    config: Path | None
    preset: str | None
    settings: list[Layer]
    resume: bool


def _path(value: str | Path | None) -> Path | None:
    return user_path(value, "the path") if value else None


def _settings(sets: Settings, options: Mapping[str, Any]) -> list[Layer]:
    """The layers of `sets`, and above them those of the options that were given."""
    given = {key: value for key, value in options.items() if value is not None}
    if "train.epochs" in given:
        given = {"train.steps": None} | given  # or steps of the file or preset would take precedence
    return [*setting_layers(sets), *(setting(key, value, f"option for {key}") for key, value in given.items())]


def _configured(request: _Request, plugins: Plugins) -> tuple[RunFolder | None, RunConfig, str]:
    """The run to go on with, if any, the configuration, and a line for the user, which may be empty."""
    run = _run_to_resume(request) if request.resume else None
    file = run.config if run is not None and request.config is None else request.config
    resolved = resolve(plugins, request.recipe, preset=request.preset, config=file, sets=request.settings)
    if run is not None:
        return run, *resumed_config(resolve(plugins, config=run.config), resolved, run.path)
    return None, resolved, "note: there is nothing to resume: a new run begins" if request.resume else ""


def _run_to_resume(request: _Request) -> RunFolder | None:
    """The run to go on with; None when it has not even written its configuration yet."""
    run = RunFolder(request.out) if request.out else latest_run(request.recipe)
    if run is None and request.recipe is None:
        raise RunError("nothing to resume: there is no run in runs/; name a recipe or --out RUN")
    return run if run is not None and run.exists() else None


def _refuse_new(config: RunConfig, out: Path | None) -> None:
    """Refuses a new run that cannot begin, as far as that is known before torch is imported, which takes seconds.

    Args:
        config: the configuration.
        out: the run folder, if it is known.

    Raises:
        RunError: the folder is in use, or there is nothing to start from.
    """
    if out is not None:
        refuse_used(out)
    if config.train.start_from:
        find_start(user_path(config.train.start_from, "train.start_from"))


def _completed(config: RunConfig, plugins: Plugins, fabric: Processes, note: str, *, resumed: bool) -> RunConfig:
    """The configuration with values found on this machine: the checkpoint to start from, and the batch size that fits.

    A resumed run that has no precision written down gets that of its time. The first process prints `note` and the
    batch size that was found.
    """
    from i2i.engine.batching.batch_size import fit_batch
    from i2i.engine.device.launch import older_run_precision

    lines = [note]
    if resumed and config.engine.precision == "auto":
        engine = config.engine.model_copy(update={"precision": older_run_precision(fabric.device)})
        config = replace(config, engine=engine)
    if config.train.start_from and not resumed:
        start = str(find_start(user_path(config.train.start_from, "train.start_from")))
        config = replace(config, train=config.train.model_copy(update={"start_from": start}))
    if not config.train.batch_size:
        config, line = fit_batch(config, plugins, fabric)
        lines.append(line)
    if fabric.is_global_zero:
        print(*map(printable, filter(None, lines)), sep="\n", end="\n" if any(lines) else "", file=sys.stderr)
    return config


def _shared_run(fabric: Processes, run: RunFolder | None, config: RunConfig, out: Path | None) -> RunFolder:
    """The run folder: the first process makes it where it is a new run, and sends its path to the others."""
    if run is None and fabric.is_global_zero:
        run = new_run(config.recipe, out)
    return RunFolder(Path(fabric.broadcast(str(run.path) if run else "")))


def _train_in(run: RunFolder, config: RunConfig, plugins: Plugins, fabric: Processes) -> Trained:
    """Trains in a run folder, which the first process locks until the end, then exports and reports."""
    from i2i.engine import train as run_engine
    from i2i.timing.tuning import tune

    if config.data.root and run.path.resolve().is_relative_to(user_path(config.data.root, "data.root").resolve()):
        _remove_if_unused(run)
        raise RunError(f"{run.path}: inside the data folder, where its images would become data: choose another --out")
    lock = run.lock() if fabric.is_global_zero else None
    try:
        outcome = run_engine(config, plugins, fabric, run, partial(tune, plugins=plugins, fabric=fabric))
        complete = fabric.is_global_zero and not (outcome.signal or outcome.out_of_time)
        exported = _finish(run, config, plugins, outcome) if complete else ()
        return Trained(
            run.path, outcome.step, outcome.metrics, exported, outcome.signal, outcome.out_of_time, outcome.early
        )
    finally:
        if lock:
            lock.release()
            _remove_if_unused(run)


def _remove_if_unused(run: RunFolder) -> None:
    """Removes a run folder in which nothing was begun."""
    if not run.exists():
        for name in (".lock", ".owner"):
            (run.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            run.path.rmdir()


def _finish(run: RunFolder, config: RunConfig, plugins: Plugins, outcome: Outcome) -> list[Exported]:
    """Exports the last checkpoint, or with `train.patience` the best one, and writes summary and report."""
    from i2i.export.run import export
    from i2i.report import write_report

    begin = time.monotonic()
    summary = outcome.facts | {
        "recipe": config.recipe,
        "steps": outcome.step,
        "seconds of training": round(outcome.seconds, 1),
        **{f"validation {name}": round(value, 5) for name, value in outcome.metrics.items()},
    }
    if outcome.early:
        summary["ended early"] = outcome.early
    try:
        exported = export(run.path, plugins=plugins, checkpoint="last" if config.train.patience is None else "best")
        summary["seconds of export"] = round(time.monotonic() - begin, 1)
        summary |= {f"parity of {one.path.name}": f"{one.difference:.2f}/255" for one in exported}
    except UserError as error:
        raise TrainingError(f"{run.path}: trained, but not exported: {error}") from error
    finally:
        try:
            run.write_summary(summary)
            write_report([run.path], run.report, plugins)
        except OSError as error:
            raise TrainingError(f"{run.path}: trained, but the report cannot be written: {error.strerror}") from error
    return exported
