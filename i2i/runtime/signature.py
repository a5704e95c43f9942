"""Compares the metadata of an exported file with its graph, so that a wrong entry is found when the file is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnxruntime

from i2i.errors import ModelError
from i2i.interface import (
    Image,
    ImageInput,
    Input,
    LabelMap,
    LabelMapInput,
    MaskInput,
    Number,
    NumberInput,
    Output,
    TextInput,
)
from i2i.runtime.metadata import Metadata, from_entries

_TENSOR_TYPES = {
    "uint8": "tensor(uint8)",
    "float32": "tensor(float)",
    "int32": "tensor(int32)",
}
"""onnxruntime's name for each type of values."""


@dataclass(frozen=True)
class Node:
    """An input of a graph.

    Attributes:
        name: its name.
        type: type of its values as onnxruntime writes it, such as ``tensor(uint8)``.
        shape: length of each axis; a name, or None, where it may differ.
    """

    name: str
    type: str
    shape: list[Any]


def input_nodes(session: onnxruntime.InferenceSession) -> dict[str, Node]:
    """The inputs of an opened graph by name."""
    return {node.name: Node(node.name, node.type, list(node.shape)) for node in session.get_inputs()}


def read_metadata(session: onnxruntime.InferenceSession) -> Metadata:
    """Reads the metadata of an opened file.

    Raises:
        ModelError: i2i did not export the file, or metadata and graph contradict each other.
    """
    metadata = from_entries(session.get_modelmeta().custom_metadata_map)
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    _check_names(metadata, inputs, outputs)
    for name, of in metadata.inputs.items():
        _check_form(name, inputs[name], *_input_form(metadata, name, of))
    if "image" in inputs and "image" not in metadata.inputs:
        _check_form("image", inputs["image"], metadata.value_type, 4, metadata.channels_in)
    for name, result in metadata.outputs.items():
        _check_form(name, outputs[name], *_output_form(metadata, name, result))
    if "noise" in inputs:
        _check_noise(inputs["noise"], inputs["image"].shape if "image" in inputs else [])
    return metadata


def _input_form(metadata: Metadata, name: str, of: Input) -> tuple[str, int, int]:
    """Type, number of axes and length of the last axis of an input; a length of 0: any."""
    if isinstance(of, ImageInput):
        return metadata.value_type, 4, metadata.channels_in if name == "image" else of.channels
    if isinstance(of, MaskInput):
        return metadata.value_type, 4, 1
    if isinstance(of, LabelMapInput):
        return "uint8", 4, 1
    if isinstance(of, NumberInput):
        return "float32", 1, 0
    return ("int32", 2, of.length) if isinstance(of, TextInput) else ("float32", 2, of.size)


def _output_form(metadata: Metadata, name: str, of: Output) -> tuple[str, int, int]:
    """Type, number of axes and length of the last axis of an output; a length of 0: any."""
    if isinstance(of, Image):
        return metadata.value_type, 4, of.channels or metadata.channels_out
    if isinstance(of, LabelMap):
        return "uint8", 4, 1
    return "float32", 1 if isinstance(of, Number) else 2, 0


def _check_form(name: str, node: Any, dtype: str, ndim: int, last: int) -> None:
    length = node.shape[-1] if node.shape else None
    other_length = last and isinstance(length, int) and length != last
    if node.type != _TENSOR_TYPES[dtype] or len(node.shape) != ndim or other_length:
        said = f"{dtype} with {ndim} axes" + (f", the last of length {last}" if last else "")
        raise ModelError(f"its metadata say {said} for {name}, its graph {node.type} of shape {node.shape}")


def _check_names(metadata: Metadata, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    unknown = sorted(inputs.keys() - {"image", "label", "noise"} - metadata.inputs.keys())
    missing = metadata.inputs.keys() - inputs.keys() or set(metadata.outputs) ^ set(outputs)
    if not inputs or unknown or missing:
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
