"""Checks of metrics."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.errors import ConfigError, PluginError, UserError, one_line
from i2i.metrics.showing import kind_of, problem_of, takes_labels
from i2i.plugins.builder import Builder
from i2i.testing.pictures import draw_pair
from i2i.testing.subject import Check, Skipped, Subject, fail, failing_as

SIDE = 192
"""Height and width of the images, enough for metrics that look at several scales."""


def value(subject: Subject) -> None:
    """Gives a finite number for images (N, C, H, W) in [-1, 1]."""
    metric = _metric(subject)
    with failing_as("images of 3 channels"):
        _update(metric, _images(metric, 3))
        result = metric.compute()
    if isinstance(result, Tensor) and result.numel() != 1:
        fail(f"compute must return a scalar, not a tensor {tuple(result.shape)}")
    with failing_as("compute must return a scalar"):
        number = float(result)
    if not np.isfinite(number):
        fail(f"it is {number}{f', for {problem}' if (problem := problem_of(metric)) else ''}")
    try:
        grey = _metric(subject)
        _update(grey, _images(grey, 1))
        if not np.isfinite(float(grey.compute())):
            raise ValueError("gives a value that is not finite")
    except Exception as error:
        subject.notes.append(f"it cannot compare grey images: {one_line(error)}")


def accumulation(subject: Subject) -> None:
    """Counts every batch since the last reset, of real and of generated images in any order, and forgets them there."""
    metric = _metric(subject)
    first, second = _images(metric, 3), _images(metric, 3, strength=0.6)
    once, other = (_value_for(subject, batch) for batch in (first, second))
    both = (_value_for(subject, first, second), _value_for(subject, second, first))
    of_the_last = all(abs(value - last) < 1e-9 for value, last in zip(both, (other, once), strict=True))
    if of_the_last and len({once, other, *both}) > 1:
        fail("after two batches it is what it is after the last one: update must add to what it saw before")
    _update(metric, second)
    metric.reset()
    _update(metric, first)
    again = float(metric.compute())
    if _differ(once, again):
        fail(f"the same images gave {once:.5g}, and after a reset {again:.5g}: reset must forget what update saw")
    if kind_of(metric) == "distribution":
        metric.reset()
        with failing_as("generated images before real ones"):
            metric.update_fake(first[0])
            metric.update_real(first[1])
        if _differ(once, again := float(metric.compute())):
            fail(
                f"{once:.5g} when real and generated images came one by one in turn, and {again:.5g} when all "
                "generated ones came first: the value must depend on the sets alone"
            )


def direction(subject: Subject) -> None:
    """Says by higher_is_better which of two values is the better one, and more noise makes it worse.

    The score of one set may rise with noise, for it knows no real images: only the attribute is asked for.
    """
    metric = _metric(subject)
    higher = getattr(metric, "higher_is_better", None)
    if not isinstance(higher, bool):
        fail("say by an attribute higher_is_better = True or False which of two values is the better one")
    if kind_of(metric) == "scores":
        return
    strengths = (0.0 if _of_sets(metric) else 0.1, 0.6)  # pairs that are equal have a PSNR of infinity
    little, much = (_value_for(subject, _images(metric, 3, strength=strength)) for strength in strengths)
    if (much >= little) if higher else (much <= little):
        what = "no noise" if _of_sets(metric) else "a little noise"
        fail(f"{little:.4g} with {what} and {much:.4g} with much, but higher_is_better = {higher}")


def protocol(subject: Subject) -> None:
    """Says by `protocol`, if it has that, how its value came about: plain values, which JSON can hold, by name."""
    metric = _metric(subject)
    if inspect.getattr_static(metric, "protocol", None) is None:
        raise Skipped("it has no protocol")
    for batches in (0, 1):
        for _ in range(batches):
            _update(metric, _images(metric, 3))
        with failing_as(f"its protocol after {batches} batches"):
            said = metric.protocol
            if not isinstance(said, Mapping) or not all(isinstance(key, str) for key in said):
                fail(f"protocol must be a mapping of plain values by name, not a {type(said).__name__}")
            json.dumps(dict(said), allow_nan=False)


def some_images(subject: Subject) -> None:
    """Gives by `of_images`, if it has that, the figure of some of the images, by their places in the order shown."""
    metric = _metric(subject)
    if not callable(getattr(metric, "of_images", None)):
        raise Skipped("it has no method of_images")
    output, target = _images(metric, 3)
    count = len(output)
    if output.is_floating_point():  # images whose errors are far apart, so that their figures are, too
        output = target + (output - target) / torch.arange(1, count + 1).view(-1, 1, 1, 1)
    images = output, target
    for number in range(count):
        _update(metric, _chosen(images, [number]))
    for places in (list(range(count)), [count - 1], [0, 0, count - 1]):
        wanted = _value_for(subject, _chosen(images, places))
        with failing_as(f"of_images({places})"):
            got = float(metric.of_images(places))
        if _differ(wanted, got):
            fail(f"of_images({places}) is {got:.5g}, and a new metric that sees these images alone gives {wanted:.5g}")


def embedding(subject: Subject) -> None:
    """Takes by its collector, if that has `embed`, what `embed` gives for images in the images' place."""
    metric = _metric(subject)
    collector: Any = getattr(metric, "collector", None)
    if not callable(getattr(collector, "embed", None)):
        raise Skipped("it has no collector with a method embed")
    name = getattr(collector, "embedding", None)
    if not isinstance(name, str) or name != getattr(_metric(subject).collector, "embedding", None):
        fail("the collector must name by an attribute embedding, a text, what embed computes; the same each time")
    output, target = _images(metric, 3)
    wanted = _value_for(subject, (output, target))
    with torch.inference_mode(), failing_as("embed, add_real and add_fake"):
        for part in target.split(5) if kind_of(metric) == "distribution" else ():
            collector.add_real(collector.embed(part))
        for part in output.split(5):
            collector.add_fake(collector.embed(part))
    if _differ(wanted, got := float(metric.compute())):
        fail(f"{got:.5g} by what embed gives for images, and {wanted:.5g} by the images themselves")


METRIC: Sequence[Check] = (value, accumulation, direction, protocol, some_images, embedding)


def _metric(subject: Subject) -> Any:
    """A new metric, which has seen no images; the check is skipped where it lacks something, such as weights."""
    try:
        return Builder(subject.plugins, (SIDE, SIDE)).metric(subject.name, scale=1, **subject.options)
    except (PluginError, ConfigError):
        raise
    except UserError as error:
        raise Skipped(str(error)) from error


def _value_for(subject: Subject, *batches: tuple[Tensor, Tensor]) -> float:
    """The value of a new metric after these batches of outputs and targets."""
    metric = _metric(subject)
    for batch in batches:
        _update(metric, batch)
    return float(metric.compute())


def _update(metric: Any, batch: tuple[Tensor, Tensor]) -> None:
    """Shows a metric outputs and targets: together, or one image at a time to one of sets, with the classes 0 and 1.

    An image's class follows from its brightness, so that it is the same whenever the image is shown.
    """
    if not _of_sets(metric):
        metric.update(*batch)
        return
    for output, target in zip(*(images.split(1) for images in batch), strict=True):
        if kind_of(metric) == "distribution":
            metric.update_real(target)
        classes = [torch.tensor([round(100 * float(target.mean())) % 2])] if takes_labels(metric) else []
        metric.update_fake(output, *classes)


def _of_sets(metric: Any) -> bool:
    """Whether it measures sets of images, one or two."""
    return kind_of(metric) != "pair"


def _chosen(images: tuple[Tensor, Tensor], places: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Some of the outputs and targets."""
    output, target = images
    return output[list(places)], target[list(places)]


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > 1e-4 * max(1.0, abs(one))


def _images(metric: Any, channels: int, strength: float = 0.2) -> tuple[Tensor, Tensor]:
    """Pictures with noise, and without it, each ``(N, channels, SIDE, SIDE)`` in [-1, 1]: 3, of sets 16.

    A metric that takes no images gets label maps ``(3, SIDE, SIDE)`` of four classes, with wrong pixels and without.

    Noise that is clipped at -1 and 1 makes dark pictures brighter and bright ones darker, so that the mean error of
    some images is above 0 and that of others below it.

    Args:
        metric: what compares them.
        channels: number of channels.
        strength: standard deviation of the noise, images in [-1, 1].
    """
    count = 16 if _of_sets(metric) else 3
    pictures = [torch.from_numpy(draw_pair(number, size=SIDE)[1]).permute(2, 0, 1) for number in range(count)]
    target = torch.stack([picture[:channels] for picture in pictures]).float() / 127.5 - 1
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    if getattr(metric, "takes_images", True) is False:
        classes = ((target.mean(1) + 1) * 2).long().clamp(max=3)
        return (classes + (noise.mean(1).abs() < strength)) % 4, classes
    return (target + strength * noise).clamp(-1, 1), target
