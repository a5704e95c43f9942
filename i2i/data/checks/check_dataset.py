"""The whole check of a data folder: which samples can be used, their types, and what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from i2i.config import DataConfig
from i2i.data.checks.facts_cache import FactsCache
from i2i.data.checks.facts_collector import FactsCollector
from i2i.data.checks.findings import DataFinding
from i2i.data.checks.sample_checker import CheckedSample, SampleChecker
from i2i.data.checks.sample_warnings import blended_label_maps, sample_warnings, summary
from i2i.data.checks.value_ranges import ImageType
from i2i.data.detect import Requirements
from i2i.data.reading.bands import Bands, bands_of
from i2i.data.sample_checks import check_keys, swapped_keys
from i2i.data.source import DataSource, Split, find_source, open_splits
from i2i.errors import ConfigError, DataError, ErrorKind, attributed_to
from i2i.files import printable
from i2i.images import READABLE, read_image
from i2i.images.search import search_folder
from i2i.kinds import ValueKind
from i2i.plugins import Plugins

MAX_DRAWN = 8
"""Samples of a split that are checked if they are drawn by code, and so all alike."""
_TRIED = 16
"""Samples in which a source that can be read is looked for, to see whether it has a palette."""
MIN_CHECKED = 100
"""Samples of a split that are checked however small its share is, unless fewer are asked for."""
MIN_PER_CLASS = 100
"""Samples for each class that show how common the class is, where not all samples are checked."""


@dataclass
class CheckedSplit:
    """The training or validation samples, and what the check has found about them.

    Attributes:
        split: all samples.
        facts: facts about the files that were read.
        samples: the samples that were checked, all or a part of them.
    """

    split: Split
    facts: FactsCollector
    samples: list[CheckedSample]

    @property
    def usable(self) -> list[int]:
        """Indices of the samples without findings; those that were not checked count as usable."""
        bad = {sample.index for sample in self.samples if sample.findings}
        return [index for index in self.split.indices if index not in bad]

    @property
    def image_types(self) -> dict[str, ImageType]:
        """Types of the images of the checked samples, by key."""
        return image_types(self.samples)


@dataclass
class DatasetCheck:
    """What the check of a data folder has found.

    Attributes:
        train: the training samples.
        val: the validation samples.
        bands: what is taken of the images under each key.
        findings: errors, then warnings.
        warnings: the warnings in a few lines.
        notes: lines about files in the data folder that no layout looks at.
        refusal: why the data cannot be used at all; empty if they can.
        direction: ``AtoB``, or ``BtoA``, which exchanges source and target.
    """

    train: CheckedSplit
    val: CheckedSplit
    bands: dict[str, Bands] = field(default_factory=dict)
    findings: list[DataFinding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refusal: str = ""
    direction: str = "AtoB"

    @property
    def name(self) -> str:
        """The data folder, or the name of the drawn samples."""
        return self.train.split.source.name

    @property
    def layout(self) -> str:
        """Name of the dataset component that reads the training samples."""
        return self.train.split.source.layout.name

    @property
    def kinds(self) -> dict[str, ValueKind]:
        """What the images stand for, by key of the training's samples; those that are not there are pictures."""
        return swapped_keys(self.train.split.dataset.kinds, self.direction)

    @property
    def classes(self) -> dict[str, tuple[int, str]]:
        """Of each key of label maps of numbers, the highest number of a class that was seen, and its file."""
        found: dict[str, tuple[int, str]] = {}
        for sample in (*self.train.samples, *self.val.samples):
            for key, value in sample.values.items():
                if self.kinds.get(key) == "labels" and value.extremes and value.shape[2] == 1:
                    found[key] = max(found.get(key, (-1, "")), (int(value.extremes[1]), value.file))
        return found

    @property
    def samples(self) -> dict[str, int]:
        """How many samples there are of each split, usable or not."""
        return {"train": len(self.train.split.indices), "val": len(self.val.split.indices)}

    @property
    def decoded(self) -> int:
        """How many files were decoded; others had not changed since an earlier check."""
        return sum(facts.decoded for facts in {self.train.facts, self.val.facts})

    @property
    def problems(self) -> list[str]:
        """One line for each file or sample that is left out."""
        return [finding.line for finding in self.findings if finding.severity == "error"]


def check_dataset(
    config: DataConfig,
    plugins: Plugins,
    requirements: Requirements,
    *,
    everything: bool = False,
    progress: Callable[[int], None] = lambda total: None,
) -> DatasetCheck:
    """Checks the samples of a data folder, or a few drawn ones.

    Args:
        config: the data section.
        plugins: where datasets are looked up.
        requirements: what the samples are for.
        everything: check all samples, instead of about ``data.check_files``, evenly spread.
        progress: called after every sample, with the number of samples that will be checked.

    Raises:
        DataError: there is no such folder, no layout fits it, there is no sample in it, or a key that is needed.
        PluginError: the dataset breaks its contract.
    """
    if everything:  # nothing is trained on afterwards: no pixels are kept
        config = config.model_copy(update={"cache_mb": 0})
    source = find_source(config, plugins, requirements)
    val_source = find_source(config, plugins, requirements, "val_root") if config.val_root else source
    with ExitStack() as stack:
        facts = [
            stack.enter_context(one.reader.collecting(_collector(one)))
            for one in ([source] if val_source is source else [source, val_source])
        ]
        splits = open_splits(source, val_source, config.val_fraction)
        _refuse_unfit(splits[0], requirements)
        _require_kinds(splits, config, requirements)
        _find_labels(splits, config, requirements)
        if config.colors and "labels" not in splits[0].dataset.kinds.values():
            raise ConfigError("data.label_colors is for label maps: set data.source_kind=labels, or target_kind")
        left_out = len(splits[0].dataset.problems)
        checkers = [SampleChecker(s, f, config) for s, f in zip(splits, (facts[0], facts[-1]), strict=True)]
        samples = _checked(checkers, None if everything else config.check_files, progress)
        train, val = (CheckedSplit(c.split, c.facts, some) for c, some in zip(checkers, samples, strict=True))
    _refuse_other_labels((train, val), config, requirements)
    bands = {key: bands_of(config, key, images) for key, images in _channels_by_key(train.samples).items()}
    for one in (train, val):
        _leave_out_other_bands(one, bands)
    refusal = _refusal(train, left_out, requirements, config)
    errors = [*_left_out_findings(train, val), *(f for one in (train, val) for s in one.samples for f in s.findings)]
    needed = requirements.keys - ({"source"} if config.degrade else set())
    train, val, replaced = _with_validation(train, val, needed, config.val_fraction)
    if not refusal:
        _check_keys(train, requirements, config)
        _check_labels(train.split, val.split)
    dataset = splits[0].dataset
    counted = len(train.samples) >= min(len(splits[0].indices), MIN_PER_CLASS * len(dataset.labels))
    kinds, labels = swapped_keys(dataset.kinds, config.direction), dataset.labels if counted else ()
    about = sample_warnings(train.samples, val.samples, config, labels, paired=dataset.paired, kinds=kinds)
    warnings = [*replaced, *about]
    if source.root is not None:
        warnings += blended_label_maps(train.samples, val.samples, config, kinds)
    findings = [*dict.fromkeys(errors), *warnings]
    notes = _notes({source.root, val_source.root}) if everything and source.layout.built_in else []
    said = summary(warnings, train.samples)
    return DatasetCheck(train, val, bands, findings, said, notes, refusal, config.direction)


def _require_kinds(splits: Sequence[Split], config: DataConfig, requirements: Requirements) -> None:
    """Gives the samples the kinds that the recipe needs.

    Raises:
        ConfigError: something says that they have another kind.
    """
    for key, kind in swapped_keys(requirements.kinds, config.direction).items():
        for split in splits:
            if (found := split.dataset.kinds.setdefault(key, kind)) != kind:
                reason = f"is of the kind {found}, as data.{key}_kind or the dataset says, and the recipe needs {kind}"
                raise ConfigError(f"{split.source.name}: {key} {reason}")
            split.dataset.reader.kinds = split.dataset.kinds


def _find_labels(splits: Sequence[Split], config: DataConfig, requirements: Requirements) -> None:
    """Where the recipe takes labels and nothing says what sources are: a first one with a palette makes them labels."""
    key = "source" if config.direction == "AtoB" else "target"
    train = splits[0].dataset
    if not requirements.takes_labels or key in train.kinds:
        return
    files: list[Path] = []
    for index in splits[0].indices[:_TRIED]:
        with train.reader.recording() as reads, suppress(DataError), attributed_to(train.full_name):
            train.look(index)
        if files := [read.path for read in reads if read.keys == (key,) and not read.problem]:
            break
    if any(read_image(file, any_range=True).indices is not None for file in files):
        for split in splits:
            split.dataset.kinds[key] = "labels"
            split.dataset.reader.kinds = split.dataset.kinds


def _refuse_other_labels(splits: Sequence[CheckedSplit], config: DataConfig, requirements: Requirements) -> None:
    """Refuses label maps of other channels than the recipe, the user or most samples have: none is converted."""
    configured = {"source": config.source_channels, "target": config.target_channels}
    for key, kind in swapped_keys(splits[0].split.dataset.kinds, config.direction).items():
        counts = Counter(s.values[key].shape[2] for s in splits[0].samples if key in s.values and s.values[key].shape)
        if kind != "labels" or not counts:
            continue
        by_recipe = requirements.kinds.get(key) == "labels"
        channels = 1 if by_recipe else configured.get(key) or counts.most_common(1)[0][0]
        taken = "what the recipe takes is" if by_recipe else f"the others, or data.{key}_channels, are"
        names = {1: "numbers of classes (a palette or grey)", 3: "colours"}
        for one in splits:
            for sample in [s for s in one.samples if key in s.values and s.values[key].shape[2] != channels]:
                value = sample.values[key]
                line = (
                    f"{value.file}: the {key} is a label map of {names.get(value.shape[2])}, and {taken} "
                    f"{names.get(channels, f'{channels} channels')}{': set data.label_colors' * (channels == 1)}"
                )
                sample.findings.append(DataFinding(value.file, "channels", line, one.split.name, key))
                sample.values = {}


def image_types(samples: Sequence[CheckedSample]) -> dict[str, ImageType]:
    """Types of the images of samples, by key."""
    types: dict[str, ImageType] = {}
    for sample in samples:
        for key, value in sample.values.items():
            images = types.setdefault(key, ImageType())
            if value.shape:
                images.add(value.dtype, value.extremes, value.shape)
    return types


def _notes(roots: set[Path | None]) -> list[str]:
    return [note for root in sorted(filter(None, roots)) for note in search_folder(root, READABLE).notes]


def _collector(source: DataSource) -> FactsCollector:
    """A collector of facts; it keeps them for later checks, and replaces known images, for built-in layouts only."""
    built_in = source.layout.built_in
    return FactsCollector(FactsCache(source.root if built_in else None, source.reader.manner), stand_ins=built_in)


def _refuse_unfit(train: Split, requirements: Requirements) -> None:
    source, dataset = train.source, train.dataset
    layout = source.layout.name
    if not train.indices:
        why = "".join(f"; {problem}" for problem in dataset.problems[:1])
        raise DataError(f"{source.name}: no training samples found (data.layout is {layout}){why}")
    if requirements.paired and not dataset.paired:
        raise DataError(f"{source.name}: the recipe needs pairs, and layout {layout} gives none")


def _checked(
    checkers: Sequence[SampleChecker], limit: int | None, progress: Callable[[int], None]
) -> list[list[CheckedSample]]:
    """Checks samples, about `limit` in all and of each split its share, and saves the facts about their files."""
    parts, count = [], sum(len(checker.split.indices) for checker in checkers)
    for checker in checkers:
        indices = checker.split.indices
        share = len(indices) if limit is None else -(-limit * len(indices) // max(1, count))
        most = max(share, min(limit or 0, MIN_CHECKED))
        most = most if checker.split.source.root else MAX_DRAWN
        parts.append(indices[:: max(1, -(-len(indices) // max(1, most)))])
    total = sum(map(len, parts))
    complete = False
    try:
        samples = [list(c.check_all(part, lambda: progress(total))) for c, part in zip(checkers, parts, strict=True)]
        complete = total == sum(len(checker.split.indices) for checker in checkers)
    finally:  # after an interrupt too: the next check then has less to decode
        for facts in {checker.facts for checker in checkers}:
            facts.save(complete=complete)
    return samples


def _with_validation(
    train: CheckedSplit, val: CheckedSplit, needed: frozenset[str], fraction: float
) -> tuple[CheckedSplit, CheckedSplit, list[DataFinding]]:
    """The splits, with training samples held out where none of the checked validation samples can be used."""
    lacks_all = all(one.findings or not needed <= one.values.keys() for one in val.samples)  # such as one side
    none_asked = not val.split.indices and val.split.dataset is train.split.dataset
    if none_asked or not lacks_all:
        return train, val, []
    splits = train.split.divided(train.usable, fraction)
    held = set(splits[1].indices)
    of_train = [sample for sample in train.samples if sample.index not in held]
    of_val = [sample for sample in train.samples if sample.index in held]
    parts = CheckedSplit(splits[0], train.facts, of_train), CheckedSplit(splits[1], train.facts, of_val)
    kept, out = (len(split.indices) for split in splits)
    text = "the validation split has no sample" + (" that can be used" if val.split.indices else "")
    instead = f"{out} of the {kept + out} training samples are held out instead (data.val_fraction={fraction:g})"
    if not out:
        instead = "nothing is measured, and no checkpoint is the best one"
    finding = DataFinding("validation", "validation", f"validation: {text}: {instead}", "val")
    return *parts, [finding]


def _channels_by_key(samples: Sequence[CheckedSample]) -> dict[str, list[tuple[int, bool]]]:
    """Number of channels of each image, and whether the last one is alpha."""
    found: dict[str, list[tuple[int, bool]]] = {}
    for sample in samples:
        for key, value in sample.values.items():
            if value.shape:
                found.setdefault(key, []).append((value.shape[2], value.has_alpha))
    return found


def _leave_out_other_bands(split: CheckedSplit, bands: Mapping[str, Bands]) -> None:
    """Adds a finding to each sample that has an image of another number of bands than is taken."""
    for sample in split.samples:
        for key, value in sample.values.items():
            rule = bands.get(key)
            if rule and value.shape and (problem := rule.problem(value.shape[2], has_alpha=value.has_alpha)):
                error = DataError(problem, kind=ErrorKind.CHANNELS, path=value.file)
                sample.findings.append(DataFinding.of_error(error, split.split.name))
        if sample.findings:
            sample.values = {}


def _left_out_findings(train: CheckedSplit, val: CheckedSplit) -> list[DataFinding]:
    """The findings for the files that the datasets have left out."""
    found = []
    for one in [train] if val.split.dataset is train.split.dataset else [val, train]:
        damages = {printable(path): facts.kind for path, facts in one.facts.failures.items()}
        problems = {str(problem): problem for problem in one.split.dataset.problems}
        for _, error in sorted(problems.items()):
            kind = damages.get(error.path, error.kind) if error.kind is ErrorKind.OTHER else error.kind
            found.append(DataFinding.of_error(DataError(error.reason, kind=kind, path=error.path), one.split.name))
    return found


def _refusal(train: CheckedSplit, left_out: int, requirements: Requirements, config: DataConfig) -> str:
    """Why too little of the training data can be used; empty if enough can.

    Args:
        train: samples of training.
        left_out: how many samples the dataset had left out before any was checked.
        requirements: what the samples are for.
        config: the data section.
    """
    samples, problems, name = train.samples, train.split.dataset.problems, train.split.source.name
    bad = [sample.findings[0].line for sample in samples if sample.findings]
    checked = len(samples) + left_out
    if (len(bad) + left_out) * 2 > checked:
        first = [*bad, *map(str, problems)][0]
        return f"{name}: {len(bad) + left_out} of {checked} samples cannot be used; the first: {first}"
    if len(problems) > left_out:  # one side of unpaired images, of which too little can be read
        for key in sorted(requirements.keys - ({"source"} if config.degrade else set())):
            without = sum(key not in sample.values for sample in samples)
            if without * 2 > len(samples):
                return f"{name}: {without} of {len(samples)} samples have no {key}; the first: {problems[left_out]}"
    return ""


def _check_keys(train: CheckedSplit, requirements: Requirements, config: DataConfig) -> None:
    dataset = train.split.dataset
    keys: list[str] = []
    for sample in train.samples:
        if not sample.findings:
            check_keys(f"{dataset.full_name}: sample {sample.index}", sample.values, keys)
            keys = list(sample.values) if dataset.looks_complete else []
    given = image_types(train.samples)
    if missing := sorted(requirements.keys - given.keys() - ({"source"} if config.degrade else set())):
        raise DataError(
            f"{train.split.source.name}: the recipe needs {', '.join(missing)}, "
            f"but {dataset.full_name} gives {', '.join(given)}"
        )


def _check_labels(train: Split, val: Split) -> None:
    if train.dataset.labels != val.dataset.labels:
        there, here = ", ".join(val.dataset.labels), ", ".join(train.dataset.labels)
        raise DataError(f"{val.source.name}: its classes ({there}) must be those of {train.source.name} ({here})")
