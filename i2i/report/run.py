"""One run as the page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from i2i.plugins import Plugins
from i2i.report.charts import number
from i2i.report.commands import command_path, commands
from i2i.report.meanings import meaning
from i2i.report.pictures import (
    MAX_CELL_BYTES,
    MAX_PAIRS,
    CutRow,
    PageImage,
    StepGrid,
    encoded,
    grid_files,
    last_rows,
    picture_of,
    step_grids,
)
from i2i.report.settings import changed_settings, flat
from i2i.report.texts import duration, images_text, size, value_text
from i2i.runs.facts import RunFacts, is_number, read_facts

_DATA_BYTES = 150_000
"""Of the picture of training samples."""


@dataclass(frozen=True)
class ShownFigure:
    """A metric of the last validation.

    Attributes:
        value: the number; None if there is none.
        text: the number with its error bar.
        meaning: a sentence on what it is; may be empty.
        higher_is_better: None if it is not known.
        images: how many images it was measured on; empty if it is not known.
        protocol: how it came about: name and value.
    """

    value: float | None
    text: str
    meaning: str
    higher_is_better: bool | None
    images: str
    protocol: Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """An image before and after translation.

    Attributes:
        caption: which one it is.
        before: the source.
        after: the output.
    """

    caption: str
    before: PageImage
    after: PageImage


@dataclass(frozen=True)
class DataPicture:
    """Training samples.

    Attributes:
        picture: of them.
        columns: captions above it.
    """

    picture: PageImage
    columns: Sequence[str]


@dataclass(frozen=True)
class RunPage:
    """The content of the page about one run; an attribute is empty if the folder has nothing of the kind.

    Attributes:
        name: tells the run apart from the others of the page.
        path: the folder, relative to the current one if possible.
        facts: what its small files say.
        key_figures: what stands at the top, by name.
        about: what was trained on what, by name.
        samples: training samples.
        figures: metrics of the last validation.
        validated: the step of that validation; None if it is not known.
        grids: chosen sample grids, first to last.
        grid_count: how many there are in the folder.
        rows: the last grid, cut into cells.
        pairs: source and output of some of them.
        pair_count: how many the last grid has.
        changed: settings that differ from the preset: key, value, the preset's value.
        changed_note: why they are not known; else empty.
        commands: what can be done with the run, and the command line.
        summary: the values in ``summary.json`` by dotted key.
        files: name and size of each file that is worth keeping.
    """

    name: str
    path: str
    facts: RunFacts
    key_figures: Mapping[str, str]
    about: Mapping[str, str]
    samples: DataPicture | None
    figures: Mapping[str, ShownFigure]
    validated: int | None
    grids: Sequence[StepGrid]
    grid_count: int
    rows: Sequence[CutRow]
    pairs: Sequence[Pair]
    pair_count: int
    changed: Sequence[tuple[str, str, str]]
    changed_note: str
    commands: Sequence[tuple[str, str]]
    summary: Mapping[str, str]
    files: Sequence[tuple[str, str]]


def read_run(folder: Path, name: str, plugins: Plugins, *, count: int) -> RunPage:
    """Reads what a run folder has for the page.

    Args:
        folder: the run folder.
        name: tells the run apart from the others of the page.
        plugins: where its recipe is looked up.
        count: runs that share the page and its bytes.

    Raises:
        RunError: there is no such folder, or it has neither ``config.yaml`` nor ``metrics.jsonl``.
    """
    facts = read_facts(folder)
    rows = last_rows(folder)
    found = [(row.caption or column.caption, before, after) for row in rows for column, before, after in row.pairs()]
    pairs = _pairs(found[:MAX_PAIRS]) if count == 1 else []
    changed, note = changed_settings(facts.config, plugins)
    from_noise = bool(rows) and not any(row.first("source") for row in rows)
    kept = [*facts.models, *facts.checkpoints, facts.run.config, facts.run.metrics]
    return RunPage(
        name=name,
        path=command_path(folder),
        facts=facts,
        key_figures=_key_figures(facts),
        about=_about(facts),
        samples=_samples(facts),
        figures=_figures(facts),
        validated=_validated(facts),
        grids=step_grids(facts, count),
        grid_count=len(grid_files(folder)),
        rows=rows,
        pairs=pairs,
        pair_count=len(found),
        changed=changed,
        changed_note=note,
        commands=commands(facts, from_noise=from_noise),
        summary=flat(facts.summary),
        files=[(path.relative_to(folder).as_posix(), size(path)) for path in kept if path.exists()],
    )


def _key_figures(facts: RunFacts) -> dict[str, str]:
    """What a reader wants to know first, by name."""
    done, planned = facts.done, facts.planned
    figures = {"state": facts.status}
    if done or planned:
        figures["steps"] = f"{done:,} of {planned:,}" if planned and planned != done else f"{done:,}"
    if best := facts.best:
        value = f"{best.metric} {number(best.value)}" if best.value is not None else ""
        figures["best step"] = f"{best.step:,}" + (f" ({value})" if value else "")
    seconds = facts.summary.get("seconds of training")
    if is_number(seconds):
        figures["time"] = duration(seconds)
    if device := facts.summary.get("device"):
        figures["device"] = str(device)
    if precision := facts.summary.get("precision"):
        figures["precision"] = str(precision)
    if speed := facts.series.get("images_per_second"):
        figures["images per second"] = number(median(speed.values()))
    return figures


def _about(facts: RunFacts) -> dict[str, str]:
    """What was trained on what, by name."""
    data, about = facts.data, {}
    if facts.recipe:
        preset = facts.config.get("preset")
        about["recipe"] = f"{facts.recipe}, preset {preset}" if preset else facts.recipe
    root = data.get("folder") if data else facts.option("data", "root")
    layout = str(data.get("layout") or "")
    if facts.config or data:
        about["data"] = (str(root) if root else "samples drawn by code") + (f" ({layout})" if layout else "")
    if data:
        training, validation, left_out = (_count(data, key) for key in ("training", "validation", "left_out"))
        about["samples"] = f"{training} for training, {validation} for validation"
        if left_out != "0":
            about["left out"] = f"{left_out} files that cannot be used"
        images = data.get("images")
        for key, values in images.items() if isinstance(images, Mapping) else ():
            about[str(key)] = images_text(values)
        if isinstance(labels := data.get("labels"), list) and labels:
            about["labels"] = ", ".join(map(str, labels))
    epochs = facts.series.get("epoch")
    if epochs:
        about["length"] = f"{facts.done:,} steps, {number(epochs[max(epochs)])} epochs"
    networks = {key.removesuffix(" parameters"): v for key, v in facts.summary.items() if key.endswith(" parameters")}
    if networks:
        about["networks"] = ", ".join(f"{name} {count}" for name, count in networks.items()) + " parameters"
    if start := facts.summary.get("started from"):
        about["started from"] = str(start)
    return about


def _count(data: Mapping[str, Any], key: str) -> str:
    """A number of samples or files as text; a question mark for what is none."""
    value = data.get(key, 0)
    return f"{value:,}" if is_number(value) else "?"


def _samples(facts: RunFacts) -> DataPicture | None:
    found = picture_of(facts.run.data_samples, _DATA_BYTES)
    if found is None:
        return None
    picture, layout = found
    return DataPicture(picture, [column.caption for column in layout.columns] if layout else [])


def _figures(facts: RunFacts) -> dict[str, ShownFigure]:
    """The metrics of the last validation, by name."""
    said = facts.validation.get("figures")
    figures: dict[str, Any] = dict(said) if isinstance(said, Mapping) else {}
    known = {
        key.removeprefix("val/"): values[max(values)] for key, values in facts.series.items() if key.startswith("val/")
    }
    names = dict.fromkeys([*figures, *known])
    return {name: _figure(name, figures.get(name), known.get(name), facts) for name in names}


def _figure(name: str, said: Any, logged: float | None, facts: RunFacts) -> ShownFigure:
    """A metric, from ``validation.json`` or else from the log."""
    entry = said if isinstance(said, Mapping) else {}
    value = entry["value"] if is_number(entry.get("value")) else logged
    errors = facts.series.get(f"val_error/{name}", {})
    error = entry.get("error", errors[max(errors)] if errors else None)
    what = meaning(f"val/{name}", {name: entry} if entry else {})
    given = entry.get("protocol")
    protocol = given if isinstance(given, Mapping) else {}
    count = protocol.get("images", protocol.get("fake_images"))
    return ShownFigure(
        value=value,
        text="not measured" if value is None else value_text(value, error),
        meaning=what.phrase,
        higher_is_better=what.higher_is_better,
        images=f"{count:,} images" if isinstance(count, int) else "",
        protocol=flat(protocol),
    )


def _validated(facts: RunFacts) -> int | None:
    if isinstance(step := facts.validation.get("step"), int):
        return step
    return max(
        (step for key, values in facts.series.items() if key.startswith("val/") for step in values), default=None
    )


def _pairs(found: Sequence[tuple[str, Any, Any]]) -> list[Pair]:
    pictures: Iterator[PageImage] = iter(encoded([image for _, *both in found for image in both], MAX_CELL_BYTES))
    return [
        Pair(f"{place}. {caption}" if caption != "output" else str(place), next(pictures), next(pictures))
        for place, (caption, *_) in enumerate(found, start=1)
    ]
