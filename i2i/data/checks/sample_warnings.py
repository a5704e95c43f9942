"""Warnings about samples: they can be trained on, but may spoil the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from i2i.config import DataConfig, parse_range, size_text
from i2i.data.checks.findings import SUMMARIES, DataFinding
from i2i.data.checks.sample_checker import CheckedSample, CheckedValue
from i2i.data.checks.value_ranges import SIDES, configured_range
from i2i.images.pixels import FULL_SCALE
from i2i.images.values import bounds_text, deepest
from i2i.kinds import PICKED, ValueKind

RARE_CLASS_FACTOR = 10
"""There is a warning for a class if the largest one has more than this many times its images."""
MIN_SHARE_OF_TYPE = 8
"""There is a warning if the largest value of a set is under full scale divided by this."""
SHAPE_FACTOR = 2.0
"""There is a warning if the aspect ratios of two images differ by this factor and images are stretched."""
SIZE_FACTOR = 2
"""There is a warning for an image if this many times a side are less than that of the training crop."""


def sample_warnings(
    train: Sequence[CheckedSample],
    val: Sequence[CheckedSample],
    config: DataConfig,
    labels: Sequence[str],
    *,
    paired: bool,
    kinds: Mapping[str, ValueKind],
) -> list[DataFinding]:
    """All warnings about usable samples.

    Args:
        train: samples of training that were checked.
        val: samples of validation that were checked.
        config: the data section.
        labels: names of the classes whose sizes are compared.
        paired: whether the images of a sample belong together.
        kinds: what the images stand for, by key, where it is known.
    """
    found: list[DataFinding] = []
    for split, samples in (("train", train), ("val", val)):
        for key in ("source", "target"):
            values = [s.values[key] for s in samples if key in s.values and s.values[key].shape]
            found += _constant_images(values, key, split) + _unusual_modes(values, key, split)
            found += _further_pages(values, key, split) if config.pages == "first" else []
            if key == "target":
                found += _small_images(values, config.height_width, split)
    found += [finding for key in SIDES if kinds.get(key) not in PICKED for finding in _ranges(train, config, key)]
    found += _duplicates(train, val, paired) + _rare_classes(train, labels) + _different_shapes(train, config)
    return list(dict.fromkeys(found))


def blended_label_maps(
    train: Sequence[CheckedSample], val: Sequence[CheckedSample], config: DataConfig, kinds: Mapping[str, ValueKind]
) -> list[DataFinding]:
    """Warnings about images that look like label maps and would be resized as pictures, which blends their values.

    Args:
        train: samples of training that were checked.
        val: samples of validation that were checked.
        config: the data section.
        kinds: what the images stand for, by key, where it is known.
    """
    found = []
    for split, samples in (("train", train), ("val", val)):
        for key in ("source", "target"):
            values = [s.values[key] for s in samples if key in s.values and s.values[key].shape]
            few = [v.few for v in values if v.few and v.colour is None and _is_resized(v, config)]
            if key not in kinds and len(few) * 2 > len(values):
                line = (
                    f"{key}s: {len(few)} of {len(values)} have few colours (up to {max(few)}), as label maps and masks "
                    f"do, and are resized as pictures, which blends these: set data.{key}_kind=labels or mask, or "
                    "image if they are pictures"
                )
                found.append(DataFinding(f"{key}s", "blend", line, split, key))
    return found


def _is_resized(value: CheckedValue, config: DataConfig) -> bool:
    if config.resize == "none" or config.scale > 1:
        return False
    return {config.resized, config.height_width} != {value.shape[:2]}


def summary(findings: Sequence[DataFinding], train: Sequence[CheckedSample]) -> list[str]:
    """The warnings in a few lines, for the beginning of a training.

    Args:
        findings: all warnings.
        train: samples of training that were checked.
    """
    lines = []
    for key in ("source", "target"):
        total = sum(key in sample.values for sample in train)
        constant = [f for f in findings if (f.kind, f.split, f.key) == ("constant", "train", key)]
        if constant:
            files = {f.file for f in constant}
            count = sum(key in sample.values and sample.values[key].file in files for sample in train)
            share = f"{100 * count / total:.3g} % of the training {key}s are constant images"
            lines.append(f"{share} ({count} of {total}), such as {constant[0].line}")
    for kind, what in SUMMARIES.items():
        some = [f for f in findings if f.kind == kind]
        if some:
            lines.append(f"{len(some)} {what}, such as {some[0].line}")
    told = [f.line for f in findings if f.kind in ("validation", "class", "shape", "range")]
    return [*lines, *told, *(f.line for f in findings if (f.kind, f.split) == ("blend", "train"))]


def _constant_images(values: Sequence[CheckedValue], key: str, split: str) -> list[DataFinding]:
    found = []
    for value in values:
        if value.colour is not None:
            colour = "black" if not any(value.colour[:3]) else ", ".join(f"{number:g}" for number in value.colour)
            line = f"{value.file}: all pixels of the {key} are the same ({colour})"
            found.append(DataFinding(value.file, "constant", line, split, key))
    return found


def _unusual_modes(values: Sequence[CheckedValue], key: str, split: str) -> list[DataFinding]:
    """Images of other channels or bits than most; they are converted."""
    modes = [_mode(value) for value in values]
    if len(set(modes)) < 2:
        return []
    usual = Counter(modes).most_common(1)[0][0]
    return [
        DataFinding(value.file, "mode", f"{value.file}: {mode}, and most {key}s are {usual}", split, key)
        for value, mode in zip(values, modes, strict=True)
        if mode != usual
    ]


def _mode(value: CheckedValue) -> str:
    """Channels and bits of an image in words."""
    channels = value.shape[2]
    colours = {1: "grey", 3: "RGB", 4: "RGB with alpha" if value.has_alpha else ""}.get(channels) or f"{channels} bands"
    return colours + {"uint8": "", "uint16": " of 16 bits", "float32": " of floats"}[value.dtype]


def _further_pages(values: Sequence[CheckedValue], key: str, split: str) -> list[DataFinding]:
    return [
        DataFinding(
            value.file,
            "pages",
            f"{value.file}: the first of {value.frames} pages; data.pages=stack takes pages of one size as bands",
            split,
            key,
        )
        for value in values
        if value.frames > 1
    ]


def _small_images(values: Sequence[CheckedValue], size: tuple[int, int], split: str) -> list[DataFinding]:
    return [
        DataFinding(
            v.file,
            "small",
            f"{v.file}: {v.shape[0]} pixels high and {v.shape[1]} wide, and data.size is {size_text(size)}",
            split,
            "target",
        )
        for v in values
        if any(length * SIZE_FACTOR < side for length, side in zip(v.shape[:2], size, strict=True))
    ]


def _ranges(train: Sequence[CheckedSample], config: DataConfig, key: str) -> Iterator[DataFinding]:
    """A set that uses little of what its type holds, or whose values lie beyond the range that is set."""
    values = [s.values[key] for s in train if key in s.values and s.values[key].extremes]
    spans = [value.extremes for value in values if value.extremes]
    text = configured_range(config, key)
    if not spans or text == "auto":
        return
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    if text is None:
        dtype = deepest(value.dtype for value in values)
        full = FULL_SCALE[np.dtype(dtype)]
        if low < high < full / MIN_SHARE_OF_TYPE:
            line = (
                f"{key}s: values from {low:g} to {high:g} use {100 * high / full:.2g} % of what {dtype} holds: set "
                f"data.{key}_range=auto, or data.{key}_range={bounds_text(low, high)}"
            )
            yield DataFinding(f"{key}s", "range", line, key=key)
        return
    least, greatest = map(np.float32, parse_range(text))  # as precise as floats of images
    beyond = sum(bool(np.float32(span[0]) < least or np.float32(span[1]) > greatest) for span in spans)
    if beyond:
        line = (
            f"{key}s: {beyond} of {len(spans)} have values beyond data.{key}_range={text}, which are clipped: they go "
            f"from {low:g} to {high:g}"
        )
        yield DataFinding(f"{key}s", "range", line, key=key)


def _duplicates(train: Sequence[CheckedSample], val: Sequence[CheckedSample], paired: bool) -> list[DataFinding]:
    """Validation samples that are training samples under other names, the images of a pair together."""
    known = {tuple(digest for digest, _ in unit): unit for sample in train for unit in _units(sample, paired)}
    found = []
    for unit in [unit for sample in val for unit in _units(sample, paired)]:
        other = known.get(tuple(digest for digest, _ in unit))
        if other is not None and [file for _, file in other] != [file for _, file in unit]:
            file = unit[0][1]
            line = f"{file}: has the pixels of a training sample, {other[0][1]}"
            found.append(DataFinding(file, "duplicate", line, "val"))
    return found


def _units(sample: CheckedSample, paired: bool) -> list[list[tuple[str, str]]]:
    """The images to compare as one: those of a pair, or a single unpaired one. Constant images are left out."""
    if not sample.pictures or all(value.colour is not None for value in sample.values.values() if value.shape):
        return []
    return [sample.pictures] if paired else [[picture] for picture in sample.pictures]


def _rare_classes(train: Sequence[CheckedSample], labels: Sequence[str]) -> list[DataFinding]:
    counts = Counter(sample.values["label"].label for sample in train if "label" in sample.values)
    most = max(counts.values(), default=0)
    return [
        DataFinding(
            f"class {name}",
            "class",
            f"class {name}: {counts[number]} training images, and the largest class has {most}",
            key="label",
        )
        for number, name in enumerate(labels)
        if counts[number] * RARE_CLASS_FACTOR < most
    ]


def _different_shapes(train: Sequence[CheckedSample], config: DataConfig) -> list[DataFinding]:
    values = [s.values["target"] for s in train if "target" in s.values and s.values["target"].shape]
    if config.resize != "stretch" or config.scale > 1 or not values:
        return []
    shapes = sorted(values, key=lambda value: value.shape[1] / value.shape[0])
    first, last = shapes[0], shapes[-1]
    if last.shape[1] * first.shape[0] < SHAPE_FACTOR * first.shape[1] * last.shape[0]:
        return []
    sizes = " to ".join(f"{value.shape[0]}x{value.shape[1]}" for value in (first, last))
    height, width = config.height_width
    shape = "square" if height == width else f"{height}x{width}"
    line = f"targets: their heights and widths go from {sizes}, and data.resize=stretch makes all of them {shape}"
    return [DataFinding("targets", "shape", line, key="target")]
