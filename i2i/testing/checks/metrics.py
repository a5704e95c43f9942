"""Checks of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.errors import one_line
from i2i.plugins.builder import Builder
from i2i.testing.pictures import draw_pair
from i2i.testing.subject import Check, Subject, fail, failing_as

SIDE = 192
"""Height and width of the images, enough for metrics that look at several scales."""


def value(subject: Subject) -> None:
    """Gives a finite number for images (N, C, H, W) in [-1, 1]."""
    metric = _metric(subject)
    with failing_as("images of 3 channels"):
        metric.update(*_images(3))
        result = metric.compute()
    if isinstance(result, Tensor) and result.numel() != 1:
        fail(f"compute must return a scalar, not a tensor {tuple(result.shape)}")
    with failing_as("compute must return a scalar"):
        number = float(result)
    if not np.isfinite(number):
        fail(f"it is {number}")
    try:
        grey = _metric(subject)
        grey.update(*_images(1))
        if not np.isfinite(float(grey.compute())):
            raise ValueError("gives a value that is not finite")
    except Exception as error:
        subject.notes.append(f"it cannot compare grey images: {one_line(error)}")


def accumulation(subject: Subject) -> None:
    """Counts every batch since the last reset, and forgets them there."""
    first, second = _images(3), _images(3, strength=0.6)
    once, other = (_value_for(subject, batch) for batch in (first, second))
    both = (_value_for(subject, first, second), _value_for(subject, second, first))
    of_the_last = all(abs(value - last) < 1e-9 for value, last in zip(both, (other, once), strict=True))
    if of_the_last and len({once, other, *both}) > 1:
        fail("after two batches it is what it is after the last one: update must add to what it saw before")
    metric = _metric(subject)
    metric.update(*second)
    metric.reset()
    metric.update(*first)
    again = float(metric.compute())
    if abs(once - again) > 1e-4 * max(1.0, abs(once)):
        fail(f"the same images gave {once:.5g}, and after a reset {again:.5g}: reset must forget what update saw")


def direction(subject: Subject) -> None:
    """Says by higher_is_better which of two values is the better one, and more noise makes it worse."""
    higher = getattr(_metric(subject), "higher_is_better", None)
    if not isinstance(higher, bool):
        fail("say by an attribute higher_is_better = True or False which of two values is the better one")
    little, much = (_value_for(subject, _images(3, strength=strength)) for strength in (0.1, 0.6))
    if (much >= little) if higher else (much <= little):
        fail(f"{little:.4g} with a little noise and {much:.4g} with much, but higher_is_better = {higher}")


METRIC: Sequence[Check] = (value, accumulation, direction)


def _metric(subject: Subject) -> Any:
    """A new metric, which has seen no images."""
    return Builder(subject.plugins, (SIDE, SIDE)).metric(subject.name, scale=1, **subject.options)


def _value_for(subject: Subject, *batches: tuple[Tensor, Tensor]) -> float:
    """The value of a new metric after these batches of outputs and targets."""
    metric = _metric(subject)
    for batch in batches:
        metric.update(*batch)
    return float(metric.compute())


def _images(channels: int, strength: float = 0.2) -> tuple[Tensor, Tensor]:
    """Three pictures with noise, and without it, each ``(3, channels, SIDE, SIDE)`` in [-1, 1].

    Noise that is clipped at -1 and 1 makes dark pictures brighter and bright ones darker, so that the mean error of
    some images is above 0 and that of others below it.

    Args:
        channels: number of channels.
        strength: standard deviation of the noise, images in [-1, 1].
    """
    pictures = [torch.from_numpy(draw_pair(number, size=SIDE)[1]).permute(2, 0, 1) for number in range(3)]
    target = torch.stack([picture[:channels] for picture in pictures]).float() / 127.5 - 1
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    return (target + strength * noise).clamp(-1, 1), target
