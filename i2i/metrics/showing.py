"""Showing images to metrics, whichever kind they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from i2i.errors import attributed_to

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Shown:
    """Images that metrics are shown.

    Attributes:
        output: generated images ``(N, C, H, W)``, or other outputs, on the CPU.
        real: their targets, or real images; None without.
        labels: the classes that were asked for, ``(N,)``; None without.
    """

    output: Tensor
    real: Tensor | None
    labels: Tensor | None = None


def kind_of(metric: Any) -> str:
    """What a metric compares: ``pair``, ``distribution`` (two sets of images) or ``scores`` (one set)."""
    kind = getattr(metric, "kind", "pair")
    return kind if kind in ("distribution", "scores") else "pair"


def takes_labels(metric: Any) -> bool:
    """Whether a metric of one set is shown the classes, too, that its images were to be of."""
    return getattr(metric, "takes_labels", False) is True and kind_of(metric) == "scores"


def problem_of(metric: Any) -> str:
    """Why a metric has no figure, in one line; empty when it does not say, or has one."""
    problem = getattr(metric, "problem", None)
    return " ".join(str(problem()).split()) if callable(problem) else ""


def update(metrics: Mapping[str, Any], shown: Shown) -> None:
    """Shows images to metrics; what several of them share by their attribute `collector` sees each image once.

    Args:
        metrics: by their names in messages, or anything that tells them apart and begins with it.
        shown: the images; generated ones are clipped to [-1, 1] for metrics of sets, as in files.

    Raises:
        PluginError: a metric fails; a `UserError` of its own stays as it is.
    """
    collectors: dict[int, tuple[str, Any, bool]] = {}
    for owner, metric in metrics.items():
        if kind_of(metric) == "pair":
            with attributed_to(owner):
                metric.update(shown.output, shown.real)
            continue
        found = getattr(metric, "collector", metric)
        real = kind_of(metric) == "distribution" or collectors.get(id(found), ("", None, False))[2]
        collectors[id(found)] = owner, found, real
    for owner, collector, of_real in collectors.values():
        with attributed_to(owner):
            if of_real:
                collector.update_real(shown.real)
            fake = shown.output.clamp(-1, 1)
            if takes_labels(collector):
                collector.update_fake(fake, shown.labels)
            else:
                collector.update_fake(fake)
