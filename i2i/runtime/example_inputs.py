"""Inputs to try a model with, where there are none."""

from __future__ import annotations

import numpy as np

from i2i.interface import ImageInput, Input, LabelMapInput, NumberInput, TextInput, VectorInput
from i2i.runtime.computing.runner import Feeds
from i2i.runtime.network import ExportedNetwork


def example_feeds(
    network: ExportedNetwork,
    size: tuple[int, int],
    *,
    images: np.ndarray | None = None,
    count: int = 1,
    last_label: bool = False,
) -> Feeds:
    """The arrays to feed to a network for some images of one size: all inputs but `images` are drawn.

    Args:
        network: an exported network.
        size: height and width; that of `images` where they are given.
        images: ``(N, H, W, C)`` as `ExportedNetwork.translate` takes them; None: noise.
        count: how many images where none are given.
        last_label: whether they are to become the last label, in place of the first.
    """
    info, label = network.info, None
    count = count if images is None else len(images)
    if network.takes_label:
        label = max(len(info.labels) - 1, 0) if last_label else 0
    inputs = {name: _drawn(of, size, info.value_type, count) for name, of in info.inputs.items()}
    if info.generates:
        return network.noise_feeds(range(count), label=label, inputs=inputs)
    drawn = inputs.pop("image", None)
    if images is None:
        images = _drawn(ImageInput(channels=info.channels_in), size, info.value_type, count) if drawn is None else drawn
    return network.image_feeds(images, label=label, inputs=inputs)


def _drawn(of: Input, size: tuple[int, int], value_type: str, count: int) -> np.ndarray:
    """Values for an input, with height and width where it has them."""
    draw = np.random.default_rng(0)
    if isinstance(of, NumberInput):
        return np.full(count, of.default, np.float32)
    if isinstance(of, TextInput):
        return draw.integers(0, 256, (count, of.length), np.int32)
    if isinstance(of, VectorInput):
        return draw.standard_normal((count, of.size), np.float32)
    if isinstance(of, LabelMapInput):
        return draw.integers(0, of.count, (count, *size, 1), np.uint8)
    image = draw.random((count, *size, of.channels if isinstance(of, ImageInput) else 1), np.float32)
    return (image * 255).astype(np.uint8) if value_type == "uint8" else image
