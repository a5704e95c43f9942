"""What transforms and metrics promise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.builder import Builder
from i2i.data.contract import IMAGES, check_sample
from i2i.data.facades import draw_facade
from i2i.testing.kit import Check, Skipped, Subject, fail

SCALE = 2
"""What degradations for super-resolution are told."""

Sample = dict[str, Any]


def samples(subject: Subject) -> None:
    """Takes and gives images of uint8, uint16 and float32, and keeps every other key."""
    for dtype in (np.uint8, np.uint16, np.float32):
        for channels in (3, 1):
            given = _sample(subject, dtype, channels)
            changed = _transform(subject)(dict(given))
            check_sample(f"of {np.dtype(dtype)} with {channels} channels", changed, keys=list(given))
            if changed["label"] != given["label"]:
                fail("it changed the label")


def sizes(subject: Subject) -> None:
    """Both images of a pair keep one size; a degradation makes the source, smaller by the scale that it was told."""
    given = _sample(subject, np.uint8, 3)
    changed = _transform(subject)(dict(given))
    shapes = {key: changed[key].shape[:2] for key in IMAGES if key in changed}
    scale = SCALE if _degrades(subject) and shapes["source"] != shapes["target"] else 1
    if shapes["target"] != tuple(scale * side for side in shapes["source"]):
        fail(f"source and target became {shapes['source']} and {shapes['target']}: transform both images alike")


def together(subject: Subject) -> None:
    """One call sees the whole sample: two equal images of a pair stay equal."""
    if _degrades(subject):
        raise Skipped("a degradation makes one image of the other")
    transform = _transform(subject)
    for seed in range(20):
        sample = _sample(subject, np.uint8, 3)
        sample["source"] = sample["target"].copy()
        _seed(seed)
        changed = transform(sample)
        if not np.array_equal(changed["source"], changed["target"]):
            fail("two equal images became different: draw random parameters once a sample, for all of its images")


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
    given = _sample(subject, np.uint8, 3)
    for key in IMAGES:
        if key in given:
            given[key].setflags(write=False)
    for seed in range(5):
        _seed(seed)
        try:
            _transform(subject)(dict(given))
        except ValueError as error:
            fail(f"it writes into its input ({error}): copy the image first")


def value(subject: Subject) -> None:
    """Gives a finite number for images (N, C, H, W) in [-1, 1], grey ones too."""
    for channels in (3, 1):
        metric = _metric(subject)
        output, target = _images(channels)
        metric.update(output, target)
        result = metric.compute()
        if isinstance(result, Tensor) and result.numel() != 1:
            fail(f"compute must return a scalar, not a tensor {tuple(result.shape)}")
        if not np.isfinite(float(result)):
            fail(f"of {channels} channels: it is {float(result)}")


def reset(subject: Subject) -> None:
    """Forgets at reset, and the same images give the same value again."""
    metric, values = _metric(subject), []
    output, target = _images(3)
    for _ in range(2):
        metric.update(output, target)
        values.append(float(metric.compute()))
        metric.reset()
    other = _metric(subject)
    other.update(target, target)
    other.reset()
    other.update(output, target)
    values.append(float(other.compute()))
    if max(values) - min(values) > 1e-4 * max(1.0, abs(values[0])):
        fail(f"the same images gave {', '.join(f'{v:.5g}' for v in values)}: reset must forget what update saw")


def direction(subject: Subject) -> None:
    """higher_is_better is a truth value, and more noise makes the metric worse."""
    metric = _metric(subject)
    higher = getattr(metric, "higher_is_better", None)
    if not isinstance(higher, bool):
        fail("say by an attribute higher_is_better = True or False which of two values is the better one")
    values = []
    _, target = _images(3)
    for strength in (0.1, 0.6):
        metric.reset()
        torch.manual_seed(0)
        metric.update((target + strength * torch.randn_like(target)).clamp(-1, 1), target)
        values.append(float(metric.compute()))
    if (values[0] > values[1]) != higher:
        fail(f"{values[0]:.4g} with a little noise and {values[1]:.4g} with much, but higher_is_better = {higher}")


TRANSFORM: Sequence[Check] = (samples, sizes, together, repeatable, inputs_kept)
METRIC: Sequence[Check] = (value, reset, direction)


def _transform(subject: Subject) -> Any:
    def make() -> Any:
        return Builder(subject.plugins, (64, 64)).transform(subject.name, scale=SCALE, **subject.options)

    return subject.once("transform", make)


def _degrades(subject: Subject) -> bool:
    """Whether it makes a source where there is none."""

    def tried() -> bool:
        sample = {"target": draw_facade(0, size=64)[1]}
        try:
            return "source" in _transform(subject)(sample)
        except Exception:
            return False

    return subject.once("degrades", tried)


def _sample(subject: Subject, dtype: Any, channels: int) -> Sample:
    labels, picture = (image[..., :channels] for image in draw_facade(0, size=64))
    factor = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    source, target = ((image * np.float64(factor)).astype(dtype) for image in (labels, picture))
    sample: Sample = {"target": target, "label": 2}
    return sample if _degrades(subject) else {"source": source, **sample}


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _metric(subject: Subject) -> Any:
    return Builder(subject.plugins, (64, 64)).metric(subject.name, scale=1, **subject.options)


def _images(channels: int) -> tuple[Tensor, Tensor]:
    """Two facades that are compared with themselves under a little noise."""
    drawn = [torch.from_numpy(draw_facade(number, size=64)[1]).permute(2, 0, 1)[:channels] for number in range(2)]
    target = torch.stack(drawn).float() / 127.5 - 1
    generator = torch.Generator().manual_seed(0)
    return (target + 0.2 * torch.randn(target.shape, generator=generator)).clamp(-1, 1), target
