"""Compares the metadata of an exported file with its graph, so that a wrong entry is found when the file is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime

from i2i.errors import ModelError
from i2i.runtime.metadata import Metadata, from_entries

_TENSOR_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
"""onnxruntime's name for each type of images."""


def read_metadata(session: onnxruntime.InferenceSession) -> Metadata:
    """Reads the metadata of an opened file.

    Raises:
        ModelError: i2i did not export the file, or metadata and graph contradict each other.
    """
    metadata = from_entries(session.get_modelmeta().custom_metadata_map)
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    _check_names(metadata, inputs, outputs)
    images = [(inputs["image"], metadata.channels_in)] if "image" in inputs else []
    for node, channels in [*images, (outputs["image_out"], metadata.channels_out)]:
        last = node.shape[3] if len(node.shape) == 4 else 0
        if node.type != _TENSOR_TYPES[metadata.value_type] or (isinstance(last, int) and last != channels):
            said = f"{metadata.value_type} with {channels} channels"
            raise ModelError(f"its metadata say {said} for {node.name}, its graph {node.type} of shape {node.shape}")
    if "noise" in inputs:
        _check_noise(inputs["noise"], inputs["image"].shape if "image" in inputs else [])
    return metadata


def _check_names(metadata: Metadata, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    unknown = sorted(inputs.keys() - {"image", "label", "noise"})
    if not inputs.keys() & {"image", "noise"} or "image_out" not in outputs or unknown:
        raise ModelError(f"its inputs {sorted(inputs)} and outputs {sorted(outputs)} are not those of an i2i model")
    if metadata.generates == ("image" in inputs):
        raise ModelError(f"its metadata say {metadata.channels_in} channels of input, its graph takes {sorted(inputs)}")


def _check_noise(noise: Any, image: Sequence[int | str]) -> None:
    """Refuses noise unless every dimension is fixed or one of the image's."""
    names = {size for size in image if isinstance(size, str)}
    known = all(size in names or (isinstance(size, int) and size > 0) for size in noise.shape[1:])
    if noise.type != _TENSOR_TYPES["float32"] or len(noise.shape) < 2 or not known:
        raise ModelError(
            f"its noise is {noise.type} of shape {noise.shape}, not float32 of a known size for each image"
        )
