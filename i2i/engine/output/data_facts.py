"""What a run is trained on, in its folder: counts, channels and sizes as JSON, and a picture of some samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from i2i.config import DataConfig
from i2i.data.batches import collate, to_device
from i2i.data.loading import Data
from i2i.engine.output.grids import Row, picture, save_grid
from i2i.images import ValueRange
from i2i.runs.disk import writing
from i2i.runs.folder import RunFolder
from i2i.runs.grid import Column

MAX_SAMPLES = 4
"""Training samples in the picture."""


def save_data(run: RunFolder, data: Data, config: DataConfig) -> None:
    """Writes ``data.json``, and ``data.png`` with samples as the networks are given them: cropped and augmented.

    Args:
        run: the run's folder.
        data: the data of the training.
        config: the data section, which names the folders as the user gave them.

    Raises:
        TrainingError: the disk is full or cannot be written to.
    """
    samples = _samples(data)
    facts = {
        "layout": data.layout,
        "folder": config.root,
        "validation_folder": config.val_root,
        "training": len(data.train),
        "validation": len(data.val),
        "left_out": len(data.problems),
        "labels": list(data.labels),
        "images": {key: _image_facts(data, key, samples[0][key]) for key in data.types if _is_shown(samples, key)},
    }
    with writing(run.data):
        run.write(run.data, json.dumps(facts, indent=2) + "\n")
    keys = [key for key in samples[0] if _is_shown(samples, key)]
    rows = [Row([(Column(key), sample[key]) for key in keys], _label(sample, data.labels)) for sample in samples]
    if keys:
        save_grid(run.data_samples, picture(rows))


def _samples(data: Data) -> list[dict[str, Tensor]]:
    """Evenly spaced training samples, as batches of one."""
    count = min(MAX_SAMPLES, len(data.train))
    samples = [collate([data.train[0, place * len(data.train) // count]]) for place in range(count)]
    return [to_device(sample, torch.device("cpu")) for sample in samples]


def _is_shown(samples: Sequence[Mapping[str, Tensor]], key: str) -> bool:
    """Whether all samples have an image or a label map under a key."""
    return all(key in sample and sample[key].ndim in (3, 4) for sample in samples)


def _image_facts(data: Data, key: str, image: Tensor) -> dict[str, Any]:
    """Facts about the images under a key: of the files, and as the networks are given them."""
    files, values, bands = data.types[key], data.values.get(key, ValueRange("")), data.bands.get(key)
    return {
        "kind": data.kinds.get(key, "image"),
        "dtype": files.dtype,
        "heights": files.heights,
        "widths": files.widths,
        "file_channels": sorted(files.channels),
        "channels": image.shape[1] if image.ndim == 4 else 1,
        "bands": list(bands.chosen) if bands else [],
        "range": values.text,
        "crop": list(image.shape[-2:]),
    }


def _label(sample: Mapping[str, Tensor], names: Sequence[str]) -> str:
    """The name of a sample's class; empty without."""
    label = sample.get("label")
    if label is None or label.numel() != 1:
        return ""
    number = int(label)
    return names[number] if number < len(names) else str(number)
