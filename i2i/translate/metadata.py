"""What an exported file says about itself, checked against its graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
        channels_in: of ``image``; 0 where there is none and images are made from ``noise``.
        channels_out: of ``image_out``.
        value_type: ``uint8``, or ``float32`` in [0, 1].
        labels: names of the labels, in the order of their numbers.
        receptive_field: side in pixels that one output pixel depends on; None where it is the whole image or unknown.
        global_statistics: whether layers normalise by statistics of the whole image, beyond the receptive field.
        bytes_per_pixel: most memory that activations take at one time, for each pixel of the input; None: unknown.
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
    global_statistics: bool
    bytes_per_pixel: int | None
    config_digest: str
    raw: Mapping[str, str]

    @property
    def generates(self) -> bool:
        """Whether images are made from noise alone, not from other images."""
        return self.channels_in == 0


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
        channels_in=_count(raw, "channels_in", least=0),
        channels_out=_count(raw, "channels_out"),
        value_type=raw.get("value_type", ""),
        labels=_labels(raw.get("labels", "[]")),
        receptive_field=int(text) if _is_count(text := raw.get("receptive_field", "")) else None,
        global_statistics=raw.get("global_statistics") == "true",
        bytes_per_pixel=int(text) if _is_count(text := raw.get("bytes_per_pixel", "")) else None,
        config_digest=raw.get("config_digest", ""),
        raw=raw,
    )
    _check(metadata, session)
    return metadata


def _count(raw: Mapping[str, str], key: str, default: int | None = None, *, least: int = 1) -> int:
    text = raw.get(key, "" if default is None else str(default))
    if not _is_count(text, least):
        raise ModelError(f"its metadata are damaged: i2i.{key} is {text[:40]!r}, not a whole number from {least}")
    return int(text)


def _is_count(text: str, least: int = 1) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least


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
    if not inputs.keys() & {"image", "noise"} or "image_out" not in outputs or unknown:
        raise ModelError(f"its inputs {sorted(inputs)} and outputs {sorted(outputs)} are not those of an i2i model")
    if metadata.generates == ("image" in inputs):
        raise ModelError(f"its metadata say {metadata.channels_in} channels of input, its graph takes {sorted(inputs)}")
    images = [(inputs["image"], metadata.channels_in)] if "image" in inputs else []
    for node, channels in [*images, (outputs["image_out"], metadata.channels_out)]:
        last = node.shape[3] if len(node.shape) == 4 else 0
        if node.type != _TYPES[metadata.value_type] or (isinstance(last, int) and last != channels):
            said = f"{metadata.value_type} with {channels} channels"
            raise ModelError(f"its metadata say {said} for {node.name}, its graph {node.type} of shape {node.shape}")
    if "noise" in inputs:
        _check_noise(inputs["noise"], inputs["image"].shape if "image" in inputs else [])


def _check_noise(noise: Any, image: Sequence[int | str]) -> None:
    """Each image's noise must have a size that is fixed or the image's."""
    names = {size for size in image if isinstance(size, str)}
    known = all(size in names or (isinstance(size, int) and size > 0) for size in noise.shape[1:])
    if noise.type != _TYPES["float32"] or len(noise.shape) < 2 or not known:
        raise ModelError(
            f"its noise is {noise.type} of shape {noise.shape}, not float32 of a known size for each image"
        )
