"""Patchwise contrastive loss PatchNCE (Park et al. 2020, arXiv:2007.15651, section 3).

A patch of the output should be recognised, among all patches of the input, as the one at the same place: a
classification by the similarity of features, in several layers of the generator's encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import i2i

INIT_GAIN = 0.02
"""Gain of the xavier initialisation of the projection, as in the authors' code."""
MIN_LENGTH = 1e-7
"""Added to the length of a feature before it is divided by, as in the authors' code."""


class Projection(nn.Module):
    """A network of two layers for each feature map, applied at each place (H in section 3).

    Args:
        channels: channels of each feature map.
        units: width of both layers.
    """

    def __init__(self, channels: Sequence[int], units: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Sequential(nn.Linear(count, units), nn.ReLU(), nn.Linear(units, units)) for count in channels
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight, INIT_GAIN)
                nn.init.zeros_(layer.bias)

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """Features ``(N, P, C)`` of P places, one tensor for each map -> ``(N, P, units)``, not normalised."""
        return [network(x) for network, x in zip(self.maps, patches, strict=True)]


def draw_places(shapes: Sequence[torch.Size], count: int, batch: int, ctx: i2i.Context) -> list[Tensor]:
    """Places of each image at which patches are compared, without repetition and in no order.

    Each image has its own, of numbers whose first dimension is the batch's: it then has the same ones in whichever
    process it is. Where sources and targets follow each other in one tensor, each sample draws for both. The authors'
    code draws one set for all images together.

    Args:
        shapes: of the feature maps, ``(N, C, H, W)``; N is a multiple of `batch`, and images of a sample are `batch`
            apart.
        count: places of an image.
        batch: samples in the batch.
        ctx: draws.

    Returns:
        For each map ``(N, min(count, H * W))`` int64, numbers of pixels row by row.
    """
    places = []
    for images, _, height, width in shapes:
        numbers = ctx.rand(batch, images // batch, height * width).transpose(0, 1).flatten(0, 1)
        places.append(numbers.topk(min(count, height * width), sorted=False).indices)
    return places


def patches_at(maps: Sequence[Tensor], places: Sequence[Tensor], flipped: Tensor | None = None) -> list[Tensor]:
    """The features at the places.

    Args:
        maps: ``(N, C, H, W)`` each.
        places: ``(N, P)`` for each map.
        flipped: ``(N,)``, whether a map is that of a mirrored image: the places are those of the image as it was.

    Returns:
        ``(N, P, C)`` for each map.
    """
    found = []
    for x, place in zip(maps, places, strict=True):
        width = x.shape[3]
        row, column = place // width, place % width
        if flipped is not None:
            column = torch.where(flipped[:, None], width - 1 - column, column)
        image = torch.arange(len(x), device=x.device)[:, None]
        found.append(x[image, :, row, column])
    return found


def patch_nce(queries: Tensor, keys: Tensor, *, temperature: float, negatives: str = "image") -> Tensor:
    """Cross-entropy of recognising each query's key by cosine similarity (section 3, PatchNCE).

    Args:
        queries: features of the outputs ``(N, P, C)`` at P places; normalised here.
        keys: features of the inputs at the same places; no gradient reaches them.
        temperature: tau in the paper.
        negatives: ``image``: among the places of the same image; ``batch``: among those of all images.

    Returns:
        Scalar, the mean over places and images.
    """
    queries, keys = (x / (x.norm(dim=2, keepdim=True) + MIN_LENGTH) for x in (queries, keys.detach()))
    if negatives == "batch":
        queries, keys = queries.flatten(0, 1)[None], keys.flatten(0, 1)[None]
    logits = queries @ keys.transpose(1, 2) / temperature
    own = torch.arange(logits.shape[1], device=logits.device).expand(logits.shape[:2])
    return cross_entropy(logits.flatten(0, 1), own.flatten())


def translated(generator: Any, images: Tensor, layers: Sequence[int] | None) -> tuple[Tensor, list[Tensor]]:
    """Translations of images and the encoder's feature maps of the images, in one pass where the generator can."""
    both: Callable[..., tuple[Tensor, list[Tensor]]] | None = getattr(generator, "with_features", None)
    if both is not None:
        return both(images, *_given(layers))
    return generator(images), encoded(generator, images, layers)


def encoded(generator: Any, images: Tensor, layers: Sequence[int] | None) -> list[Tensor]:
    """The encoder's feature maps ``(N, C, H, W)`` of images."""
    return generator.features(images, *_given(layers))


def _given(layers: Sequence[int] | None) -> tuple[Sequence[int], ...]:
    return () if layers is None else (layers,)
