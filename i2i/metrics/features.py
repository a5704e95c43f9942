"""The features of a set of images, taken once and used for figures of the whole set and of single classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from i2i.errors import attributed_to

MAX_BATCH = 16
"""Images that go through the network at once."""
MAX_PIXELS = 2**22
"""Pixels that wait for the network; larger images go in smaller batches."""


Embed = Callable[[Any, Tensor], Mapping[str, Tensor]]
"""From a collector of the hook `i2i_metrics`, and images ``(N, C, H, W)`` in [-1, 1], to what its `embed` gives."""


def embed_anew(collector: Any, images: Tensor) -> Mapping[str, Tensor]:
    """What a collector's network says of images ``(N, C, H, W)`` in [-1, 1], a row each."""
    rows: Mapping[str, Tensor] = collector.embed(images)
    return rows


class SetFeatures:
    """What the collector of a metric says of each image of a set, with the image's class.

    Args:
        collector: has the method ``embed`` of the hook `i2i_metrics`.
        owner: the metric in messages.
        embed: takes the features, or has them from elsewhere.
    """

    def __init__(self, collector: Any, owner: str, embed: Embed = embed_anew) -> None:
        self.collector, self.owner, self.embed = collector, owner, embed
        self.labels: list[int | None] = []
        self._rows: list[Mapping[str, Tensor]] = []
        self._waiting: list[Tensor] = []

    def add(self, image: Tensor, label: int | None) -> None:
        """Adds an image ``(1, C, H, W)`` in [-1, 1], and the number of its class; None without classes."""
        if self._waiting and self._waiting[0].shape != image.shape:
            self._take()
        self._waiting.append(image)
        self.labels.append(label)
        if len(self._waiting) >= min(MAX_BATCH, max(1, MAX_PIXELS // image[0, 0].numel())):
            self._take()

    def rows(self, label: int | None = None) -> dict[str, Tensor]:
        """The features of all images, or of those of a class, ``(N, D)`` by name; empty without images."""
        self._take()
        if not self._rows:
            return {}
        if len(self._rows) > 1:
            self._rows = [{name: torch.cat([part[name] for part in self._rows]) for name in self._rows[0]}]
        chosen = [place for place, of in enumerate(self.labels) if label is None or of == label]
        return {name: values[chosen] for name, values in self._rows[0].items()} if chosen else {}

    def _take(self) -> None:
        """Sends what waits through the network."""
        if self._waiting:
            images, self._waiting = torch.cat(self._waiting), []
            with attributed_to(self.owner):
                self._rows.append(self.embed(self.collector, images))
