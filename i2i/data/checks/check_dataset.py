"""The whole check of a data folder: which samples can be used, what they are like, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from i2i.config import DataConfig
from i2i.data.checks.facts import FactsReader
from i2i.data.checks.facts_cache import Store
from i2i.data.checks.findings import Finding
from i2i.data.checks.sample_checker import Look, Looker, Value, kind_of
from i2i.data.checks.sample_warnings import doubts, told
from i2i.data.detect import Wanted
from i2i.data.sample_checks import check_keys
from i2i.data.sources import Source, split_samples
from i2i.errors import DataError
from i2i.files import printable
from i2i.plugins import Plugins

DRAWN = 8
"""Samples that are looked at where they are drawn by code: a few tell what the others are like."""
ENOUGH = 100
"""Samples for each class that tell how common it is, where not all are looked at."""


@dataclass
class Seen:
    """What the checked samples have under one key: the widest type and the most channels; no type if no image."""

    dtype: str = ""
    channels: int = 1

    def add(self, value: Value) -> None:
        """Takes one more sample's value in."""
        if value.shape:
            self.dtype = value.dtype if self.dtype in ("", str(np.dtype(np.uint8))) else self.dtype
            self.channels = max(self.channels, min(value.shape[2], 3))


@dataclass
class Survey:
    """What the check of a data folder has found.

    Attributes:
        source: where training samples come from.
        other: where validation samples come from; often the same.
        dataset: of training, without transform.
        val_split: the split that validation reads.
        train: indices of the training samples that can be used.
        val: the same of validation.
        samples: how many there are of each split, usable or not.
        decoded: files that were decoded; others had not changed since an earlier check.
        ahead: training files that fit into memory, ``data.cache_mb``, once decoded.
        seen: what the good training samples have, by key.
        findings: errors, then warnings.
        warnings: the warnings in a few lines.
        refusal: why the data cannot be used at all; empty if they can.
    """

    source: Source
    other: Source
    dataset: Any
    val_split: str
    train: list[int]
    val: list[int]
    samples: dict[str, int]
    decoded: int = 0
    ahead: list[Path] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refusal: str = ""

    @property
    def problems(self) -> list[str]:
        """One line for each file or sample that is left out."""
        return [finding.line for finding in self.findings if finding.severity == "error"]


def survey(
    config: DataConfig,
    plugins: Plugins,
    wanted: Wanted,
    *,
    everything: bool = False,
    seen: Callable[[int], None] = lambda total: None,
) -> Survey:
    """Looks at the samples of a data folder, or at a few drawn ones.

    Args:
        config: the data section.
        plugins: where datasets are looked up.
        wanted: what the samples are for.
        everything: look at all samples, instead of at about ``data.check_files`` of each split, evenly spread.
        seen: called for every sample, with the number of samples that there will be.

    Raises:
        DataError: there is no such folder, no layout fits it, there is no sample in it, or a key that is needed.
        PluginError: the dataset breaks its contract.
    """
    source = Source.open(config, plugins, wanted, config.root, "data.root")
    other = Source.open(config, plugins, wanted, config.val_root, "data.val_root") if config.val_root else source
    readers = {
        id(one): FactsReader(one.read, Store(one.root if one.ours else None), stand_ins=one.ours)
        for one in (source, other)
    }
    (train, val), indices, val_split = _datasets(source, other, readers, config, wanted)
    lookers = [
        Looker(source, train, readers[id(source)], "train", config.direction),
        Looker(other, val, readers[id(other)], "val", config.direction),
    ]
    alone = len(getattr(train, "problems", []))
    looks = _looked(lookers, indices, None if everything else config.check_files, seen)
    refusal = _refusal(source.name, looks[0], alone, getattr(train, "problems", []), wanted, config)
    if not refusal:
        _check_keys(looks[0], wanted, config, lookers[0])
        _check_labels(train, val, source, other)
    labels = tuple(map(str, getattr(train, "labels", ())))
    errors = [*_told_by(lookers), *(finding for side in looks for look in side for finding in look.findings)]
    counted = labels if len(looks[0]) >= min(len(indices[0]), ENOUGH * len(labels)) else ()
    warnings = doubts(*looks, config, counted, paired=bool(getattr(train, "paired", True)))
    bad = [{look.index for look in side if look.findings} for side in looks]
    return Survey(
        source=source,
        other=other,
        dataset=train,
        val_split=val_split,
        train=[index for index in indices[0] if index not in bad[0]],
        val=[index for index in indices[1] if index not in bad[1]],
        samples={"train": len(indices[0]), "val": len(indices[1])},
        decoded=sum(reader.decoded for reader in readers.values()),
        ahead=readers[id(source)].fitting(config.cache_mb),
        seen=_seen(looks[0]),
        findings=[*dict.fromkeys(errors), *warnings],
        warnings=told(warnings, looks[0]),
        refusal=refusal,
    )


def _looked(
    lookers: list[Looker], indices: tuple[list[int], list[int]], limit: int | None, seen: Callable[[int], None]
) -> tuple[list[Look], list[Look]]:
    """Looks at samples of training and validation, at most about `limit` of each, and keeps what is learnt of files."""
    parts = []
    for looker, some in zip(lookers, indices, strict=True):
        most = len(some) if limit is None else limit
        most = most if looker.source.root else DRAWN
        parts.append(some[:: max(1, -(-len(some) // max(1, most)))])
    total = sum(map(len, parts))
    whole = False
    try:
        train, val = (
            list(looker.looks(part, lambda: seen(total))) for looker, part in zip(lookers, parts, strict=True)
        )
        whole = total == sum(map(len, indices))
    finally:  # an interrupted check goes on where it was
        for looker in lookers:
            looker.reader.save(whole=whole)
    return train, val


def _datasets(
    source: Source, other: Source, readers: dict[int, FactsReader], config: DataConfig, wanted: Wanted
) -> tuple[tuple[Any, Any], tuple[list[int], list[int]], str]:
    """Training and validation dataset, the samples of both, and the split that validation reads."""
    train, val, indices, indices_val, val_split = split_samples(
        source, other, config.val_fraction, readers[id(source)], readers[id(other)]
    )
    if not indices:
        why = "".join(f"; {problem}" for problem in getattr(train, "problems", [])[:1])
        raise DataError(f"{source.name}: no training samples found (data.layout is {source.layout}){why}")
    if wanted.paired and not getattr(train, "paired", True):
        raise DataError(f"{source.name}: the recipe needs pairs, and layout {source.layout} gives none")
    return (train, val), (indices, indices_val), val_split


def _told_by(lookers: list[Looker]) -> list[Finding]:
    """What the datasets themselves say they have left out."""
    found = []
    for looker in {id(looker.dataset): looker for looker in reversed(lookers)}.values():
        bad = {
            f"{printable(path)}: {facts.problem}": facts for path, facts in looker.reader.facts.items() if facts.problem
        }
        for line in sorted(set(getattr(looker.dataset, "problems", []))):
            file, kind = line.partition(": ")[0], "unusable"
            if line in bad:
                file, kind = line.removesuffix(f": {bad[line].problem}"), kind_of(bad[line])
            for words, name in ((": no partner in ", "partner"), (": another file has its name", "name")):
                if words in line:
                    file, kind = line.partition(words)[0], name
            found.append(Finding(file, kind, line, looker.split))
    return found


def _refusal(name: str, looks: list[Look], alone: int, problems: list[str], wanted: Wanted, config: DataConfig) -> str:
    """Why too little of the training data can be used; empty if enough can."""
    bad = [look.findings[0].line for look in looks if look.findings]
    checked = len(looks) + alone
    if (len(bad) + alone) * 2 > checked:
        return f"{name}: {len(bad) + alone} of {checked} samples cannot be used; the first: {[*bad, *problems][0]}"
    if len(problems) > alone:  # a side of its own of which too little can be read, as of unpaired images
        for key in sorted(wanted.keys - ({"source"} if config.degrade else set())):
            without = sum(key not in look.values for look in looks)
            if without * 2 > len(looks):
                return f"{name}: {without} of {len(looks)} samples have no {key}; the first: {problems[alone]}"
    return ""


def _check_keys(looks: list[Look], wanted: Wanted, config: DataConfig, looker: Looker) -> None:
    keys: list[str] = []
    for look in looks:
        if not look.findings:
            check_keys(f"{looker.source.who}: sample {look.index}", look.values, keys)
            keys = [] if hasattr(looker.dataset, "look") else list(look.values)  # a look may show less than there is
    given = _seen(looks)
    if missing := sorted(wanted.keys - given.keys() - ({"source"} if config.degrade else set())):
        raise DataError(
            f"{looker.source.name}: the recipe needs {', '.join(missing)}, "
            f"but {looker.source.who} gives {', '.join(given)}"
        )


def _check_labels(train: Any, val: Any, source: Source, other: Source) -> None:
    labels = [tuple(map(str, getattr(dataset, "labels", ()))) for dataset in (train, val)]
    if labels[0] != labels[1]:
        here, there = (", ".join(names) for names in labels)
        raise DataError(f"{other.name}: its classes ({there}) must be those of {source.name} ({here})")


def _seen(looks: list[Look]) -> dict[str, Seen]:
    seen: dict[str, Seen] = {}
    for look in looks:
        for key, value in look.values.items():
            seen.setdefault(key, Seen()).add(value)
    return seen
