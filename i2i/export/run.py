"""Exporting a run: checkpoint -> translators -> ONNX -> check."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from i2i.config import RunConfig, resolve
from i2i.errors import RunError, attributed_to
from i2i.files import temporary_path, user_path
from i2i.interface import LabelMapInput, is_required
from i2i.plugins import Plugins
from i2i.plugins.builder import build_recipe
from i2i.runs import checkpoint as checkpoints
from i2i.runs.choice import find_checkpoint
from i2i.runs.disk import cannot_write
from i2i.runs.folder import open_run
from i2i.runtime.metadata import band_entries, color_entries, sample_entries, validation_entries, value_entries
from i2i.runtime.sandbox.verdicts import remember_passed
from i2i.runtime.training_samples import TrainingSamples

if TYPE_CHECKING:
    from i2i.api import Translator


@dataclass(frozen=True)
class Exported:
    """One exported file.

    Attributes:
        path: the ONNX file.
        translator: its name in the recipe.
        step: training step of the checkpoint.
        difference: largest difference between onnxruntime and torch that the check saw, in units of 1/255.
        inputs: names of its inputs, such as ``image``, ``label``, ``noise``.
        labels: names of its labels.
        required: names of the further inputs that have to be given.
        rewritten: number of transposed convolutions that were written as convolutions, which run faster.
        folded: number of batch norms that were written as part of the convolution before them.
        seconds: time that it took, by the clock; that of the first file includes loading the checkpoint.
    """

    path: Path
    translator: str
    step: int
    difference: float
    inputs: tuple[str, ...] = ("image",)
    labels: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    rewritten: int = 0
    folded: int = 0
    seconds: float = 0.0


def export(
    run: str | Path,
    *,
    out: str | Path | None = None,
    checkpoint: str = "last",
    translator: str | None = None,
    plugins: Plugins | None = None,
) -> list[Exported]:
    """Exports a run's translators to ONNX.

    Args:
        run: the run folder.
        out: the file to write; needs `translator` when the recipe has several. By default ``model.onnx`` or
            ``model.NAME.onnx`` in the run folder.
        checkpoint: ``last``, ``best`` by the figure of `train.best_metric`, or a step.
        translator: export only this one.
        plugins: where the recipe is looked up; by default the installed plugins.

    Raises:
        RunError: the run or checkpoint is not there or damaged, or `out` is no name for an ONNX file or cannot be
            written.
        ModelError: onnxruntime and torch differ by more than 1/255.
        PluginError: the recipe's plugin is not there.
    """
    begin = time.monotonic()
    target = user_path(out, "the file to write") if out is not None else None
    if target is not None and target.suffix != ".onnx":
        raise RunError(f"{out}: the file to write must end in .onnx")
    folder = open_run(user_path(run, "the run"))
    plugins = plugins or Plugins()
    path = find_checkpoint(folder, checkpoint)
    _refuse_unwritable(folder.path if target is None else target.parent)

    from i2i.export.networks import load_translators  # heavy: only when there is something to export
    from i2i.export.onnx_file import write_onnx

    found = checkpoints.load(path, training=False)
    config = resolve(plugins, config=found.state["config"])
    translators = load_translators(found, config, plugins)
    if translator is not None and translator not in translators:
        one_way = "leave the translator out" if len(translators) == 1 else "choose one of these"
        raise RunError(f"{run}: no translator '{translator}'; it has {', '.join(translators)}: {one_way}")
    chosen = {name: t for name, t in translators.items() if translator in (None, name)}
    if out is not None and len(chosen) > 1:
        raise RunError(f"{run}: has the translators {', '.join(chosen)}: choose one with --translator, or leave out -o")
    exported = []
    for name, one in chosen.items():
        file = target or folder.model(name)
        facts = _facts(name, one, found, config, plugins)
        with attributed_to(f"{plugins.full_name('recipe', config.recipe)}, translator '{name}'"):
            written = write_onnx(file, one, found.state["value_type"], facts)
        remember_passed(written.verdict)
        end = time.monotonic()
        exported.append(
            Exported(
                file,
                name,
                found.step,
                written.difference,
                tuple(one.example),
                tuple(one.labels),
                required=tuple(key for key, of in one.inputs.items() if key != "image" and is_required(of)),
                rewritten=written.rewritten,
                folded=written.folded,
                seconds=end - begin,
            )
        )
        begin = end
    return exported


def _facts(
    name: str, translator: Translator, found: checkpoints.Checkpoint, config: RunConfig, plugins: Plugins
) -> dict[str, str]:
    """The entries of the file's metadata that are not measured on the network."""
    facts = {"recipe": config.recipe, "translator": name, "config_digest": config.digest(), "step": str(found.step)}
    facts |= _value_facts(translator, found.state) | _band_facts(translator, found.state.get("bands", {}), config)
    kinds = found.state.get("kinds", {})  # older runs have pictures only
    sides = {"source_kind": translator.source, "target_kind": _output_key(translator, found.state["sample"])}
    facts |= {side: kinds[key] for side, key in sides.items() if key in kinds}
    facts |= color_entries(config.data.colors) if _takes_labels(translator, kinds) else {}
    facts |= sample_entries(_training_samples(translator, config, plugins))
    return facts | validation_entries(_validation(found))


def _value_facts(translator: Translator, state: Mapping[str, Any]) -> dict[str, str]:
    """The entries on types and ranges of what a translator takes and gives; none for checkpoints that do not know."""
    values: Mapping[str, Any] = state.get("values", {})
    sides: dict[Literal["source", "target"], str] = {
        "source": translator.source,
        "target": _output_key(translator, values),
    }
    facts: dict[str, str] = {}
    for side, key in sides.items():
        if key in values:
            bounds = values[key]["bounds"]
            facts |= value_entries(side, values[key]["dtype"], None if bounds is None else tuple(bounds))
    return facts


def _validation(found: checkpoints.Checkpoint) -> dict[str, Any]:
    """The entry on what was measured of a checkpoint; empty for one that was not validated."""
    last = found.state.get("validation", {})
    return {key: last[key] for key in ("step", "figures")} if last.get("step") == found.step else {}


def _takes_labels(translator: Translator, kinds: Mapping[str, str]) -> bool:
    """Whether an input of a translator is a label map."""
    return kinds.get(translator.source) == "labels" or any(
        isinstance(of, LabelMapInput) for of in translator.inputs.values()
    )


def _training_samples(translator: Translator, config: RunConfig, plugins: Plugins) -> TrainingSamples:
    """How samples are made that the translator takes; without paths of this machine."""
    recipe = build_recipe(plugins, config.recipe, config.options)
    data = config.data.model_dump(mode="json", exclude={"root", "val_root", "workers", "cache_mb", "check_files"})
    if config.data.root is None:  # what draws samples reads no folder
        data["layout"] = "auto"
    if config.data.colors is not None:  # instead of a file's name
        data["label_colors"] = [list(row) for row in config.data.colors.classes]
    return TrainingSamples(
        data=data,
        needs=tuple(sorted(recipe.needs)),
        paired=recipe.paired,
        takes_labels=recipe.takes_labels,
        kinds=dict(recipe.kinds),
        keys={name: translator.batch_key(name) for name in translator.example},
        target=translator.target,
        real=translator.real_key,
    )


def _output_key(translator: Translator, known: Collection[str]) -> str:
    """Key of the images that a translator's outputs are like, also where there is no target to compare them with."""
    other = "target" if translator.source == "source" else "source"
    unnamed = other if other in known and "image" in translator.example else translator.source
    return translator.target or unnamed


def _refuse_unwritable(folder: Path) -> None:
    """Refuses a folder in which no file can be made, before any work; makes it if it is not there.

    Raises:
        RunError: no file can be made in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_path(folder / "model.onnx") as trial:
            trial.touch()
    except OSError as error:
        raise RunError(cannot_write(folder, error)) from error


def _band_facts(translator: Translator, bands: Mapping[str, Mapping[str, Any]], config: RunConfig) -> dict[str, str]:
    """The metadata about bands; of a run that began before there were any, none."""
    of_input, of_output = bands.get(translator.source, {}), bands.get(_output_key(translator, bands), {})
    return band_entries(
        bands_of=of_input.get("of", 0),
        bands=of_input.get("chosen", ()),
        gives_bands=bool(of_output.get("of")),
        pages=config.data.pages,
    )
