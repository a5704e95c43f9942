"""Checks of transforms."""

from __future__ import annotations

import inspect
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from i2i.data.sample_checks import IMAGES, check_sample
from i2i.plugins.builder import Builder
from i2i.testing.pictures import draw_pair
from i2i.testing.subject import Check, Skipped, Subject, fail, failing_as

SCALE = 2
"""Degradations for super-resolution are built for targets this many times as large as the sources."""

Sample = dict[str, Any]


def samples(subject: Subject) -> None:
    """Takes and gives images of uint8, uint16 and float32, and keeps every other key."""
    for dtype in (np.uint8, np.uint16, np.float32):
        for channels in (3, 1):
            given = _sample(subject, dtype, channels)
            with failing_as(f"images of {np.dtype(dtype)} with {channels} channels"):
                changed = _transform(subject)(dict(given))
            check_sample(f"of {np.dtype(dtype)} with {channels} channels", changed, keys=list(given))
            if changed["label"] != given["label"]:
                fail("it changed the label")


def sizes(subject: Subject) -> None:
    """Both images of a pair keep one size; a degradation makes the source, smaller by the scale that it was told."""
    changed = _transform(subject)(_sample(subject, np.uint8, 3))
    small, large = (changed[key].shape[:2] for key in IMAGES)
    scale = large[0] // max(1, small[0]) if _degrades(subject) else 1
    if large != tuple(scale * side for side in small):
        fail(f"source and target became {small} and {large}: transform both images alike")
    if _degrades(subject) and scale != SCALE and "scale" in inspect.signature(subject.component.builder).parameters:
        fail(f"told a scale of {SCALE}, it made a source of {small} from a target of {large}")


def together(subject: Subject) -> None:
    """One call sees the whole sample: two equal images of a pair stay equal."""
    if _degrades(subject):
        raise Skipped("a degradation makes one image of the other")
    for seed in range(20):
        sample = _sample(subject, np.uint8, 3)
        sample["source"] = sample["target"].copy()
        _seed(seed)
        changed = _transform(subject)(sample)
        if not np.array_equal(changed["source"], changed["target"]):
            subject.notes.append(
                "two equal images became different: unless that is meant, draw random parameters once a sample"
            )
            return


def repeatable(subject: Subject) -> None:
    """Random numbers come from numpy.random or random: the same seed gives the same sample."""
    transform = _transform(subject)
    for seed in range(5):
        results = []
        for _ in range(2):
            _seed(seed)
            results.append(transform(_sample(subject, np.uint8, 3)))
        if any(not np.array_equal(results[0][key], results[1][key]) for key in results[0]):
            fail("two calls with the same seed differ: draw from numpy.random or random, which i2i seeds")


def inputs_kept(subject: Subject) -> None:
    """Leaves the arrays that it was given as they were: they are cached."""
    for seed in range(5):
        given = _sample(subject, np.uint8, 3)
        before = {key: given[key].copy() for key in IMAGES if key in given}
        _seed(seed)
        _transform(subject)(dict(given))
        if any(not np.array_equal(given[key], image) for key, image in before.items()):
            fail("it writes into its input: copy the image first")


TRANSFORM: Sequence[Check] = (samples, sizes, together, repeatable, inputs_kept)


def _transform(subject: Subject) -> Any:
    """The transform, built once for all checks."""

    def make() -> Any:
        return Builder(subject.plugins, (64, 64)).transform(subject.name, scale=SCALE, **subject.options)

    return subject.once("transform", make)


def _degrades(subject: Subject) -> bool:
    """Whether the transform makes a source for a sample that has none."""

    def tried() -> bool:
        sample = {"target": draw_pair(0, size=64)[1]}
        try:
            return "source" in _transform(subject)(sample)
        except Exception:
            return False

    return subject.once("degrades", tried)


def _sample(subject: Subject, dtype: Any, channels: int) -> Sample:
    """A sample of pictures of 64 pixels as the transform gets it: without a source if it makes one itself."""
    labels, picture = (image[..., :channels] for image in draw_pair(0, size=64))
    factor = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    source, target = ((image * np.float64(factor)).astype(dtype) for image in (labels, picture))
    sample: Sample = {"target": target, "label": 2}
    return sample if _degrades(subject) else {"source": source, **sample}


def _seed(seed: int) -> None:
    """Seeds every generator that a transform may draw from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
