"""Shows images to the metrics of one evaluation, by features that are kept where there are any."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from i2i.errors import attributed_to
from i2i.evaluation.feature_cache import FeatureCache, Rows
from i2i.evaluation.images import EvaluatedImage
from i2i.metrics.building import BuiltMetric
from i2i.metrics.showing import kind_of

Side = Literal["real", "fake"]


@dataclass(frozen=True)
class Collector:
    """What sees the images of sets for one metric or several.

    Attributes:
        seen_by: an object with `update_fake`, and `update_real` where metrics compare two sets.
        owner: a metric that it belongs to, in messages.
        compares: whether it is shown real images, too.
        embedding: names the features that it takes, which can be kept; empty where it takes none.
    """

    seen_by: Any
    owner: str
    compares: bool
    embedding: str


def collectors_of(metrics: Mapping[str, BuiltMetric]) -> list[Collector]:
    """What sees the images of sets, each once."""
    found: dict[int, Collector] = {}
    for built in metrics.values():
        if kind_of(built.metric) == "pair":
            continue
        one = getattr(built.metric, "collector", built.metric)
        compares = kind_of(built.metric) == "distribution" or (id(one) in found and found[id(one)].compares)
        embedding = str(getattr(one, "embedding", "")) if callable(getattr(one, "embed", None)) else ""
        found[id(one)] = Collector(one, built.owner, compares, embedding)
    return list(found.values())


class SetsShown:
    """Shows images to the metrics of sets; features that an earlier evaluation took are not taken anew.

    Args:
        metrics: by the names of their figures; those of pairs are left out.
        cache: keeps features.
    """

    def __init__(self, metrics: Mapping[str, BuiltMetric], cache: FeatureCache) -> None:
        self.collectors, self.cache = collectors_of(metrics), cache
        self._known = {one.embedding: cache.known(one.embedding) for one in self.collectors if one.embedding}

    def needs_pixels(self, digest: str, side: Side) -> bool:
        """Whether some metric has to see the pixels of the image with this digest."""
        asked = [one for one in self.collectors if one.compares or side == "fake"]
        return any(not one.embedding or digest not in self._known[one.embedding] for one in asked)

    @torch.inference_mode()
    def show(self, side: Side, images: Sequence[EvaluatedImage]) -> None:
        """Shows images of one side, in their order.

        Args:
            side: real or generated images.
            images: the images.

        Raises:
            PluginError: a metric fails; a `UserError` of its own stays as it is.
        """
        for one in self.collectors:
            if side == "real" and not one.compares:
                continue
            with attributed_to(one.owner):
                if one.embedding:
                    rows = kept_features(self.cache, one.seen_by, images)
                    (one.seen_by.add_real if side == "real" else one.seen_by.add_fake)(rows)
                    continue
                update = one.seen_by.update_real if side == "real" else one.seen_by.update_fake
                for image in images:
                    update(image.load().clamp(-1, 1))


def kept_features(cache: FeatureCache, collector: Any, images: Sequence[EvaluatedImage]) -> dict[str, Tensor]:
    """The features of images, ``(N, D)`` by name: those that the cache has, and the others taken now and kept.

    Args:
        cache: keeps features.
        collector: has `embed` and `embedding` of the hook `i2i_metrics`.
        images: at least one.
    """
    kept = cache.get(collector.embedding, [image.digest for image in images])
    new: dict[str, Rows] = {}
    alike: dict[torch.Size, dict[str, Tensor]] = {}  # by size, for what goes through the network together
    for image in images:
        if image.digest not in kept:
            pixels = image.load()
            alike.setdefault(pixels.shape, {})[image.digest] = pixels
    for group in alike.values():
        given = collector.embed(torch.cat(list(group.values())).clamp(-1, 1))
        for place, digest in enumerate(group):
            new[digest] = {name: values[place : place + 1] for name, values in given.items()}
    cache.put(collector.embedding, new)
    rows = [(kept | new)[image.digest] for image in images]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def embed_once(cache: FeatureCache, collector: Any, images: Tensor) -> dict[str, Tensor]:
    """The features of images ``(N, C, H, W)`` in [-1, 1], which are known by their values."""
    return kept_features(cache, collector, [_in_memory(image) for image in images.cpu().split(1)])


def _in_memory(image: Tensor) -> EvaluatedImage:
    values = f"{image.dtype} {tuple(image.shape)} ".encode() + image.contiguous().numpy().tobytes()
    return EvaluatedImage("", hashlib.sha256(values).hexdigest(), lambda: image)
