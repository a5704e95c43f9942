"""An exported model as metrics look at it: from a batch of one sample to its output."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from i2i.interface import ImageInput, Input, LabelMap, LabelMapInput, MaskInput, TextInput, VectorInput
from i2i.metrics.measuring import Batch, Measurable
from i2i.runtime.network import ExportedNetwork
from i2i.runtime.training_samples import TrainingSamples


def measurable(network: ExportedNetwork, samples: TrainingSamples) -> Measurable:
    """A model that metrics can measure.

    Args:
        network: the exported network.
        samples: what it takes and gives of a sample.
    """
    info, keys = network.info, samples.keys
    picture = info.pictures[0]
    vectors = {name: (of.size,) for name, of in info.inputs.items() if isinstance(of, VectorInput)}
    sizes = network.drawn_sizes() if info.generates else vectors
    drawn = {keys.get(name, name): size for name, size in sizes.items()}

    def make(batch: Batch) -> Tensor:
        given = {name: batch[key] for name, key in keys.items() if key in batch}
        label = int(given["label"]) if "label" in given else None
        arrays = {
            name: _array(info.inputs.get(name), value, network.dtype)
            for name, value in given.items()
            if name not in ("image", "label")
        }
        if info.generates:
            found = network.run(network.noise_feeds([0], label=label, inputs=arrays), 1)[picture]
        else:
            images = _array(info.inputs.get("image", ImageInput()), given["image"], network.dtype)
            found = network.translate(images, label=label, inputs=arrays)[picture]
        return _output(found, label_map=isinstance(info.outputs[picture], LabelMap))

    return Measurable(
        make,
        samples.real,
        samples.target,
        image=None if info.generates else keys.get("image", "source"),
        label=keys.get("label") if network.takes_label else None,
        classes=len(info.labels),
        drawn=drawn,
        gives_label_map=isinstance(info.outputs[picture], LabelMap),
    )


def _array(of: Input | None, value: Tensor, dtype: np.dtype[Any]) -> np.ndarray:
    """A tensor of a batch of one as a model file takes it; see `i2i.interface`."""
    whole = dtype == np.uint8
    if isinstance(of, LabelMapInput):
        array = value[..., None].to(torch.uint8)
    elif isinstance(of, MaskInput):
        array = value.permute(0, 2, 3, 1) * (255 if whole else 1)
    elif isinstance(of, ImageInput):
        image = (value.permute(0, 2, 3, 1).clamp(-1, 1) + 1) / 2
        array = (image * 255).round() if whole else image
    else:
        return value.numpy().astype(np.int32 if isinstance(of, TextInput) else np.float32)
    return np.ascontiguousarray(array.numpy().astype(np.uint8 if isinstance(of, LabelMapInput) else dtype))


def _output(found: np.ndarray, *, label_map: bool) -> Tensor:
    """A model's picture ``(1, H, W, C)`` as ``(1, C, H, W)`` in [-1, 1], or as a label map ``(1, H, W)`` int64."""
    values = torch.from_numpy(np.ascontiguousarray(found))
    if label_map:
        return values[..., 0].long()
    image = values.permute(0, 3, 1, 2)
    return image.float() / 127.5 - 1 if image.dtype == torch.uint8 else image.float() * 2 - 1
