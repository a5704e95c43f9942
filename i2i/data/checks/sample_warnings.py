"""What training can live with, but a person should know of before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from i2i.config import DataConfig
from i2i.data.checks.findings import Finding
from i2i.data.checks.sample_checker import Look, Value

FEW = 10
"""A class is called small when the largest one has that many times its images."""
OBLONG = 2.0
"""Shapes are told when the most oblong image differs from the least by that factor, and all are stretched."""


def doubts(
    train: Sequence[Look], val: Sequence[Look], config: DataConfig, labels: Sequence[str], *, paired: bool
) -> list[Finding]:
    """All warnings about usable samples.

    Args:
        train: samples that were looked at.
        val: the same of validation.
        config: the data section.
        labels: names of the classes.
        paired: whether the images of a sample belong together.
    """
    found: list[Finding] = []
    for split, looks in (("train", train), ("val", val)):
        for key in ("source", "target"):
            values = [look.values[key] for look in looks if key in look.values and look.values[key].shape]
            found += _constant(values, key, split) + _modes(values, key, split)
            if key == "target":
                found += _small(values, config.size, split)
    return _once(found + _duplicates(train, val, paired) + _classes(train, labels) + _shapes(train, config))


def told(findings: Sequence[Finding], train: Sequence[Look]) -> list[str]:
    """The warnings in a few lines, for the beginning of a training."""
    lines = []
    for key in ("source", "target"):
        total = sum(key in look.values for look in train)
        constant = [f for f in findings if (f.kind, f.split, f.key) == ("constant", "train", key)]
        if constant:
            files = {f.file for f in constant}
            count = sum(key in look.values and look.values[key].file in files for look in train)
            share = f"{100 * count / total:.3g} % of the training {key}s are constant images"
            lines.append(f"{share} ({count} of {total}), such as {constant[0].line}")
    for kind, what in (
        ("duplicate", "validation samples are in the training data too"),
        ("small", "images are much smaller than data.size"),
        ("mode", "images are unlike most in channels or bits"),
    ):
        some = [f for f in findings if f.kind == kind]
        if some:
            lines.append(f"{len(some)} {what}, such as {some[0].line}")
    return lines + [f.line for f in findings if f.kind in ("class", "shape")]


def _constant(values: Sequence[Value], key: str, split: str) -> list[Finding]:
    found = []
    for value in values:
        if value.colour is not None:
            colour = "black" if not any(value.colour[:3]) else ", ".join(f"{number:g}" for number in value.colour)
            line = f"{value.file}: all pixels of the {key} are the same ({colour})"
            found.append(Finding(value.file, "constant", line, split, key))
    return found


def _modes(values: Sequence[Value], key: str, split: str) -> list[Finding]:
    """Images of other channels or bits than most; they are converted."""
    modes = [_mode(value) for value in values]
    if len(set(modes)) < 2:
        return []
    usual = Counter(modes).most_common(1)[0][0]
    return [
        Finding(value.file, "mode", f"{value.file}: {mode}, and most {key}s are {usual}", split, key)
        for value, mode in zip(values, modes, strict=True)
        if mode != usual
    ]


def _mode(value: Value) -> str:
    colours = {1: "grey", 3: "RGB", 4: "RGB with alpha"}[value.shape[2]]
    return colours + {"uint8": "", "uint16": " of 16 bits", "float32": " of floats"}[value.dtype]


def _small(values: Sequence[Value], size: int, split: str) -> list[Finding]:
    return [
        Finding(
            v.file, "small", f"{v.file}: {v.shape[1]}x{v.shape[0]} pixels, and data.size is {size}", split, "target"
        )
        for v in values
        if min(v.shape[:2]) * 2 < size
    ]


def _duplicates(train: Sequence[Look], val: Sequence[Look], paired: bool) -> list[Finding]:
    """Validation samples that are training samples under other names, the images of a pair together."""
    known = {tuple(digest for digest, _ in unit): unit for look in train for unit in _units(look, paired)}
    found = []
    for unit in [unit for look in val for unit in _units(look, paired)]:
        other = known.get(tuple(digest for digest, _ in unit))
        if other is not None and [file for _, file in other] != [file for _, file in unit]:
            file = unit[0][1]
            line = f"{file}: has the pixels of a training sample, {other[0][1]}"
            found.append(Finding(file, "duplicate", line, "val"))
    return found


def _units(look: Look, paired: bool) -> list[list[tuple[str, str]]]:
    """What counts as one picture or pair; nothing for constant images, which are alike without being copies."""
    if not look.pictures or all(value.colour is not None for value in look.values.values() if value.shape):
        return []
    return [look.pictures] if paired else [[picture] for picture in look.pictures]


def _classes(train: Sequence[Look], labels: Sequence[str]) -> list[Finding]:
    counts = Counter(look.values["label"].label for look in train if "label" in look.values)
    most = max(counts.values(), default=0)
    return [
        Finding(
            f"class {name}",
            "class",
            f"class {name}: {counts[number]} training images, and the largest class has {most}",
            key="label",
        )
        for number, name in enumerate(labels)
        if counts[number] * FEW < most
    ]


def _shapes(train: Sequence[Look], config: DataConfig) -> list[Finding]:
    values = [look.values["target"] for look in train if "target" in look.values and look.values["target"].shape]
    if config.resize != "stretch" or config.scale > 1 or not values:
        return []
    shapes = sorted(values, key=lambda value: value.shape[1] / value.shape[0])
    first, last = shapes[0], shapes[-1]
    if last.shape[1] * first.shape[0] < OBLONG * first.shape[1] * last.shape[0]:
        return []
    sizes = " to ".join(f"{value.shape[1]}x{value.shape[0]}" for value in (first, last))
    line = f"targets: their shapes go from {sizes}, and data.resize=stretch makes all of them square"
    return [Finding("targets", "shape", line, key="target")]


def _once(findings: Sequence[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))
