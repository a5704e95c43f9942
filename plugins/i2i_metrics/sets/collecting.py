"""Features of two sets of images, taken once for all metrics that look through the same network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

import i2i
from i2i_metrics.preparing import QUANTISATION, as_colour, eight_bits
from i2i_metrics.sets.distances import factor_of

MAX_BATCH = 16
"""Images that go through a network at once: more do not fit a CPU's cache."""

MAX_PIXELS = 2**22
"""Pixels that wait for the network; larger images go in smaller batches."""


class ImageSet:
    """The features of one set: their moments, and the vectors or logits themselves where something needs them.

    Args:
        network: gives features; on the device where it computes.

    Attributes:
        count: number of images so far.
        width: number of features; 0 before the first image went through the network.
        keep: what is kept of each image: ``features`` and ``logits``; ``moments`` are kept for the whole set.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network, self.keep = network, set[str]()
        self.reset()

    def reset(self) -> None:
        """Forgets all images."""
        self.count, self.width = 0, 0
        self._taken, self._mean, self._scatter = 0, torch.zeros(()).double(), torch.zeros(()).double()
        self._few: list[Tensor] = []
        self._kept: dict[str, list[Tensor]] = {"features": [], "logits": []}
        self._waiting: list[Tensor] = []

    def add(self, images: Tensor) -> None:
        """Adds images ``(N, C, H, W)`` in [-1, 1], which are rounded to 8 bits.

        Raises:
            i2i.DataError: they have neither one nor three channels.
        """
        for image in eight_bits(as_colour(images)).split(1):
            if self._waiting and self._waiting[0].shape != image.shape:
                self._take()
            self._waiting.append(image)
            self.count += 1
            if len(self._waiting) >= at_once(image):
                self._take()

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean ``(D,)`` and a factor ``(D, N)`` of the covariance, in float64, of two images and more.

        Of up to D images the centred features are such a factor, at no cost.
        """
        self._take()
        scale = (self._taken - 1) ** 0.5
        if self._few:
            return self._mean, (torch.cat(self._few).double() - self._mean).T / scale
        return self._mean, factor_of(self._scatter) / scale

    def kept(self, what: str) -> Tensor:
        """The ``features`` or ``logits`` of all images, ``(N, D)`` in float64."""
        self._take()
        return torch.cat(self._kept[what]).double()

    def add_rows(self, rows: Mapping[str, Tensor]) -> None:
        """Adds images by what `embed` gave for them, a row each."""
        self._take()
        self.count += len(rows["features"])
        self._add_embedded(rows)

    @torch.no_grad()
    def embed(self, eight: Tensor) -> dict[str, Tensor]:
        """What the network says of images ``(N, 3, H, W)`` uint8: ``(N, D)`` float32 on the CPU by name."""
        device = next((tensor.device for tensor in self.network.buffers()), torch.device("cpu"))
        wanted = {"features"} | self.keep
        parts = []
        for part in eight.split(at_once(eight)):
            given = embedded(self.network, part.to(device).float() / 127.5 - 1)
            parts.append({name: values.float().cpu() for name, values in given.items() if name in wanted})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _take(self) -> None:
        """Sends what waits through the network."""
        if self._waiting:
            images, self._waiting = torch.cat(self._waiting), []
            self._add_embedded(self.embed(images))

    def _add_embedded(self, rows: Mapping[str, Tensor]) -> None:
        self.width = rows["features"].shape[1]
        for name in self.keep & rows.keys():
            self._kept[name].append(rows[name])
        if "moments" in self.keep:
            self._few = [*self._few, rows["features"]] if self.count <= self.width else []
            self._add_moments(rows["features"].double())

    def _add_moments(self, features: Tensor) -> None:
        """Joins the moments of a batch with those so far (Chan et al. 1979, Updating formulae for sample variances)."""
        count, total = len(features), self._taken + len(features)
        mean = features.mean(0)
        shift = mean - self._mean
        rows = torch.cat([features - mean, shift[None] * (self._taken * count / total) ** 0.5])
        self._scatter = torch.addmm(self._scatter, rows.T, rows)
        self._mean, self._taken = self._mean + shift * (count / total), total


class FeatureSets:
    """A feature network, and what it saw of the real and of the generated images.

    Args:
        network: a component of `i2i_features`.
        name: the component's name, by which figures are told apart where the network has no name of its own.

    Attributes:
        real: the real images.
        fake: the generated ones.
        standard: whether it is the network on which the well-known figures are defined.
        name: the network's name.
        changes: grows with each image and each reset, so that a figure is computed once for the same images.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        self.network, self.changes = network, 0
        self.real, self.fake = ImageSet(network), ImageSet(network)
        said = dict(getattr(network, "protocol", {}))
        self.standard = bool(said.pop("standard", False))
        if "digest" not in said:
            said["digest"] = weights_digest(network)
        self.name = str(said.pop("network", name))
        self._said = {"network": self.name} | said

    def want(self, what: str) -> None:
        """Makes both sets keep ``moments``, ``features`` or ``logits``; to be called before the first image."""
        self.real.keep.add(what)
        self.fake.keep.add(what)

    def update_real(self, images: Tensor) -> None:
        """Adds real images ``(N, C, H, W)`` in [-1, 1]."""
        self.real.add(images)
        self.changes += 1

    def update_fake(self, images: Tensor) -> None:
        """Adds generated images ``(N, C, H, W)`` in [-1, 1]."""
        self.fake.add(images)
        self.changes += 1

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        """What the metrics need of images, which `add_real` and `add_fake` take in their place, now or in a later run.

        Args:
            images: ``(N, C, H, W)`` in [-1, 1], which are rounded to 8 bits.

        Returns:
            Float32 by name, a row ``(D,)`` an image; it depends on nothing but the image and `embedding`.
        """
        return self.real.embed(eight_bits(as_colour(images)))

    @property
    def embedding(self) -> str:
        """Names what `embed` computes: two that are equal give the same rows for the same image."""
        said = self._said | {"quantisation": QUANTISATION, "rows": sorted({"features"} | self.real.keep & {"logits"})}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def add_real(self, rows: Mapping[str, Tensor]) -> None:
        """Adds real images by their rows."""
        self.real.add_rows(rows)
        self.changes += 1

    def add_fake(self, rows: Mapping[str, Tensor]) -> None:
        """Adds generated images by their rows."""
        self.fake.add_rows(rows)
        self.changes += 1

    def reset(self) -> None:
        """Forgets all images."""
        self.real.reset()
        self.fake.reset()
        self.changes += 1

    @property
    def protocol(self) -> dict[str, Any]:
        """How the features came about."""
        return {
            **self._said,
            "quantisation": QUANTISATION,
            "colour": "RGB; grey images repeated three times",
            "real_images": self.real.count,
            "fake_images": self.fake.count,
        }


def at_once(images: Tensor) -> int:
    """How many images ``(N, C, H, W)`` of this size go through a network together."""
    return min(MAX_BATCH, max(1, MAX_PIXELS // images[0, 0].numel()))


def embedded(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What a feature network says of images: ``features`` ``(N, D)``, and ``logits`` of one that knows classes.

    A network without a method `embed` gives the last of its feature maps, averaged over the pixels.

    Args:
        network: a component of `i2i_features`.
        images: ``(N, 3, H, W)`` in [-1, 1].
    """
    if callable(embed := getattr(network, "embed", None)):
        given: dict[str, Tensor] = embed(images)
        return given
    return {"features": network(images)[-1].flatten(2).mean(2)}


def weights_digest(network: nn.Module) -> str:
    """SHA-256 over the names and bytes of all weights, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted([*network.named_parameters(), *network.named_buffers()]):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def feature_sets(choice: i2i.FeaturesChoice, context: i2i.MetricContext) -> FeatureSets:
    """The sets that look through a network, one object for all metrics of a measurement.

    Args:
        choice: the feature network.
        context: builds it, and keeps what the metrics of one measurement share.

    Raises:
        i2i.UserError: the network cannot be built, such as for lack of its weights.
    """
    key = ("i2i_metrics", json.dumps(choice.to_dict(), sort_keys=True, default=str))
    if key not in context.shared:
        try:
            context.shared[key] = FeatureSets(context.build.features(choice).to(context.device), choice.name)
        except i2i.ModelError as error:  # not tried again for each metric: a download may take long to fail
            context.shared[key] = error
    found: FeatureSets | i2i.ModelError = context.shared[key]
    if isinstance(found, i2i.ModelError):
        raise found
    return found
