"""What an exported file says about itself, checked against its graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from i2i.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime

_PREFIX = "i2i."
_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


@dataclass(frozen=True)
class Metadata:
    """The entries ``i2i.*`` of an ONNX file's metadata.

    Attributes:
        version: of i2i that exported it.
        recipe: that trained it.
        translator: ``default``, or the direction such as ``AtoB``.
        scale: output size over input size.
        multiple: to which the graph pads height and width by itself.
        channels_in: of ``image``.
        channels_out: of ``image_out``.
        value_type: ``uint8``, or ``float32`` in [0, 1].
        labels: names of the labels, in the order of their numbers.
        receptive_field: side in pixels that one output pixel depends on; None where it is the whole image or unknown.
        config_digest: of the configuration it was trained with.
        raw: all entries, without the prefix.
    """

    version: str
    recipe: str
    translator: str
    scale: int
    multiple: int
    channels_in: int
    channels_out: int
    value_type: str
    labels: tuple[str, ...]
    receptive_field: int | None
    config_digest: str
    raw: Mapping[str, str]


def read_metadata(session: onnxruntime.InferenceSession) -> Metadata:
    """Reads the metadata of an opened file.

    Raises:
        ModelError: i2i did not export the file, or metadata and graph contradict each other.
    """
    entries = session.get_modelmeta().custom_metadata_map
    raw = {key.removeprefix(_PREFIX): value for key, value in sorted(entries.items()) if key.startswith(_PREFIX)}
    if "version" not in raw:
        raise ModelError("an ONNX file, but not one that i2i exported: it has no i2i metadata")
    metadata = Metadata(
        version=raw["version"],
        recipe=raw.get("recipe", ""),
        translator=raw.get("translator", "default"),
        scale=_count(raw, "scale", 1),
        multiple=_count(raw, "multiple", 1),
        channels_in=_count(raw, "channels_in"),
        channels_out=_count(raw, "channels_out"),
        value_type=raw.get("value_type", ""),
        labels=_labels(raw.get("labels", "[]")),
        receptive_field=int(text) if _is_count(text := raw.get("receptive_field", "")) else None,
        config_digest=raw.get("config_digest", ""),
        raw=raw,
    )
    _check(metadata, session)
    return metadata


def _count(raw: Mapping[str, str], key: str, default: int | None = None) -> int:
    text = raw.get(key, "" if default is None else str(default))
    if not _is_count(text):
        raise ModelError(f"its metadata are damaged: i2i.{key} is {text[:40]!r}, not a whole number from 1")
    return int(text)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0


def _labels(text: str) -> tuple[str, ...]:
    try:
        labels: Any = json.loads(text or "[]")
    except (ValueError, RecursionError):
        labels = None
    if not isinstance(labels, list):
        raise ModelError("its metadata are damaged: i2i.labels is not a JSON list")
    return tuple(str(label) for label in labels)


def _check(metadata: Metadata, session: onnxruntime.InferenceSession) -> None:
    """Compares with the graph, so that a wrong entry is found here and not as a wrong image."""
    if metadata.value_type not in _TYPES:
        raise ModelError(f"its metadata are damaged: i2i.value_type is {metadata.value_type[:40]!r}")
    inputs = {node.name: node for node in session.get_inputs()}
    outputs = {node.name: node for node in session.get_outputs()}
    unknown = sorted(inputs.keys() - {"image", "label", "noise"})
    if "image" not in inputs or "image_out" not in outputs or unknown:
        raise ModelError(f"its inputs {sorted(inputs)} and outputs {sorted(outputs)} are not those of an i2i model")
    for node, channels in ((inputs["image"], metadata.channels_in), (outputs["image_out"], metadata.channels_out)):
        last = node.shape[3] if len(node.shape) == 4 else 0
        if node.type != _TYPES[metadata.value_type] or (isinstance(last, int) and last != channels):
            said = f"{metadata.value_type} with {channels} channels"
            raise ModelError(f"its metadata say {said} for {node.name}, its graph {node.type} of shape {node.shape}")
