"""What an exported model says about itself: the entries ``i2i.*`` in the metadata of its ONNX file.

`i2i.export` writes them and `i2i.translate` reads them, both by this module alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar, get_args

from i2i.errors import ModelError
from i2i.interface import (
    IMAGE_OUT,
    Image,
    Input,
    LabelMap,
    Output,
    Vector,
    inputs_from_json,
    inputs_to_json,
    outputs_from_json,
    outputs_to_json,
)
from i2i.kinds import LabelColors, ValueKind, is_range
from i2i.runtime.training_samples import TrainingSamples, training_samples

ValueType = Literal["uint8", "float32"]
"""Type of a model's input and output images: uint8, or float32 in [0, 1]."""
PixelType = Literal["uint8", "uint16", "float32"]
"""Type of the values of image files."""
Bounds = tuple[float, float]
"""Two values of image files, the lower one first."""
PagesRule = Literal["first", "stack"]
"""Which pages of a file are read: the first, or all as bands of one image."""
T = TypeVar("T")
PREFIX = "i2i."
"""What the key of each entry begins with."""


@dataclass(frozen=True)
class Metadata:
    """The metadata of an exported model.

    Attributes:
        version: of i2i that exported it.
        translator: ``default``, or the direction such as ``AtoB``.
        scale: output size over input size.
        multiple: the graph pads height and width to multiples of this, and crops the result.
        channels_in: number of channels of ``image``; 0 where there is none and images are made from ``noise``.
        channels_out: number of channels of the first image that it gives; 1 of a label map, 0 where there is neither.
        value_type: type of all images that it takes and gives; masks have it, too, and label maps are uint8.
        source_type: the deepest type of the images that it was trained to translate; in older files `value_type`.
        target_type: the deepest type of the images that it was trained to give.
        source_range: the values of its input images, in their own units, that become 0 and 1 in the graph; None: 0 and
            full scale of the image's type.
        target_range: the values of its output images that 0 and 1 in the graph stand for.
        bands_of: how many channels, alpha among them, the images that it was trained to translate had, where these were
            bands; 0: colours, which are converted.
        bands: numbers from 1 of those that it takes, in this order; empty: all.
        gives_bands: whether the channels of its output are bands, none of them alpha.
        pages: which pages of a file it was trained on; ``stack``: all as bands of one image.
        source_kind: what the values of its input images stand for; of ``labels``, palette images are taken by their
            numbers, not by their colours.
        target_kind: what the values of its output images stand for.
        label_colors: which colours of the label maps that it takes stand for which classes; None: these have numbers.
        labels: names of the labels, in the order of their numbers.
        receptive_field: side in pixels of the square that one output pixel depends on; None: the whole image, or
            unknown.
        global_statistics: whether layers normalise by statistics of the whole image, beyond the receptive field.
        bytes_per_pixel: peak memory of the activations in bytes, divided by the pixels of the input; None: unknown.
        recipe: name of the recipe that trained it.
        config_digest: digest of the configuration it was trained with.
        inputs: types of its inputs by name, but for ``label``, ``noise`` and an ``image`` that is a picture.
        outputs: types of its outputs by name, in the order of the graph's.
        size: the only height and width in pixels that it takes; None: any.
        samples: how samples like those of its training are made of a data folder; None: older files do not say.
        validation: what the validation in training measured of these weights: ``step``, and by name in ``figures`` the
            ``value`` (None: none), its ``error`` bar, ``higher_is_better``, a ``summary`` and the ``protocol``. Empty:
            they were not validated.
        raw: all entries ``i2i.*`` of the file, by key without the prefix, as text; also those of other versions of i2i.
    """

    version: str
    translator: str
    scale: int
    multiple: int
    channels_in: int
    channels_out: int
    value_type: ValueType
    source_type: PixelType
    target_type: PixelType
    source_range: Bounds | None = None
    target_range: Bounds | None = None
    bands_of: int = 0
    bands: tuple[int, ...] = ()
    gives_bands: bool = False
    pages: PagesRule = "first"
    source_kind: ValueKind = "image"
    target_kind: ValueKind = "image"
    label_colors: LabelColors | None = None
    labels: tuple[str, ...] = ()
    receptive_field: int | None = None
    global_statistics: bool = False
    bytes_per_pixel: int | None = None
    recipe: str = ""
    config_digest: str = ""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=lambda: {IMAGE_OUT: Image()})
    size: tuple[int, int] | None = None
    samples: TrainingSamples | None = None
    validation: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of the outputs that become image files: images and label maps."""
        return tuple(name for name, of in self.outputs.items() if isinstance(of, Image | LabelMap))

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the outputs that become files: pictures, and vectors behind them."""
        vectors = tuple(name for name, of in self.outputs.items() if isinstance(of, Vector))
        return self.pictures + vectors

    @property
    def generates(self) -> bool:
        """Whether it makes images without one to begin with, such as from noise."""
        return self.channels_in == 0

    @property
    def keeps_type(self) -> bool:
        """Whether it was trained to give pictures of the type that it takes, both at full scale."""
        plain = self.source_range is None and self.target_range is None and self.target_kind == "image"
        return plain and self.source_type == self.target_type

    @property
    def keeps_units(self) -> bool:
        """Whether the values that it gives mean the same as those that it takes: pictures, or one range for both."""
        source, target = (self.source_type, self.source_range), (self.target_type, self.target_range)
        return self.keeps_type or (source == target and self.source_kind == self.target_kind)


def to_entries(metadata: Metadata) -> dict[str, str]:
    """The entries to write into a file, by key with its prefix; `Metadata.raw` is not among them."""
    entries = {
        "version": metadata.version,
        "translator": metadata.translator,
        "scale": str(metadata.scale),
        "multiple": str(metadata.multiple),
        "channels_in": str(metadata.channels_in),
        "channels_out": str(metadata.channels_out),
        "value_type": metadata.value_type,
        "labels": json.dumps(list(metadata.labels)),
        "receptive_field": str(metadata.receptive_field or "global"),
        "global_statistics": json.dumps(metadata.global_statistics),
    }
    entries |= value_entries("source", metadata.source_type, metadata.source_range)
    entries |= value_entries("target", metadata.target_type, metadata.target_range)
    entries |= band_entries(metadata.bands_of, metadata.bands, metadata.gives_bands, metadata.pages)
    entries |= {"source_kind": metadata.source_kind} if metadata.source_kind != "image" else {}
    entries |= {"target_kind": metadata.target_kind} if metadata.target_kind != "image" else {}
    entries |= color_entries(metadata.label_colors)
    entries |= {"inputs": json.dumps(inputs_to_json(metadata.inputs))} if metadata.inputs else {}
    if metadata.outputs != {IMAGE_OUT: Image()}:
        entries["outputs"] = json.dumps(outputs_to_json(metadata.outputs))
    entries |= {"size": json.dumps(list(metadata.size))} if metadata.size else {}
    entries |= validation_entries(metadata.validation)
    if metadata.bytes_per_pixel is not None:
        entries["bytes_per_pixel"] = str(metadata.bytes_per_pixel)
    entries |= {"recipe": metadata.recipe} if metadata.recipe else {}
    entries |= {"config_digest": metadata.config_digest} if metadata.config_digest else {}
    entries |= sample_entries(metadata.samples)
    return {f"{PREFIX}{key}": text for key, text in entries.items()}


def value_entries(side: Literal["source", "target"], dtype: str, bounds: Bounds | None) -> dict[str, str]:
    """The entries, by key without prefix, on the values of one side's images.

    Args:
        side: what is translated, or what is given.
        dtype: one of `PixelType`.
        bounds: as `Metadata.source_range` and `Metadata.target_range`.
    """
    ranges = {} if bounds is None else {f"{side}_range": json.dumps(list(bounds))}
    return {f"{side}_type": dtype} | ranges


def band_entries(bands_of: int, bands: Sequence[int], gives_bands: bool, pages: str) -> dict[str, str]:
    """The entries about bands, by key without its prefix; none for a model of colours."""
    entries = {"bands_of": str(bands_of)} if bands_of else {}
    entries |= {"bands": json.dumps(list(bands))} if bands else {}
    entries |= {"gives_bands": "true"} if gives_bands else {}
    return entries | ({"pages": pages} if pages != "first" else {})


def color_entries(colors: LabelColors | None) -> dict[str, str]:
    """The entry about colours of label maps, by key without its prefix; none without."""
    return {} if colors is None else {"label_colors": json.dumps(asdict(colors))}


def sample_entries(samples: TrainingSamples | None) -> dict[str, str]:
    """The entry about samples like those of the training, by key without its prefix; none where that is unknown."""
    return {} if samples is None else {"samples": samples.to_text()}


def validation_entries(validation: Mapping[str, Any]) -> dict[str, str]:
    """The entry about the validation, by key without its prefix; none without.

    Args:
        validation: as `Metadata.validation`.
    """
    return {"validation": json.dumps(validation)} if validation else {}


def from_entries(entries: Mapping[str, str]) -> Metadata:
    """Reads the metadata from a file's entries.

    Args:
        entries: all entries of the file by key; those without the prefix are ignored.

    Raises:
        ModelError: i2i did not export the file, or the value of an entry is invalid.
    """
    raw = {key.removeprefix(PREFIX): text for key, text in sorted(entries.items()) if key.startswith(PREFIX)}
    if "version" not in raw:
        raise ModelError("an ONNX file, but not one that i2i exported: it has no i2i metadata")
    value_type = _one_of(raw, "value_type", ValueType)
    return Metadata(
        version=raw["version"],
        translator=raw.get("translator", "default"),
        scale=_count(raw, "scale", 1),
        multiple=_count(raw, "multiple", 1),
        channels_in=_count(raw, "channels_in", least=0),
        channels_out=_count(raw, "channels_out", least=0),
        value_type=value_type,
        source_type=_one_of(raw, "source_type", PixelType, value_type),
        target_type=_one_of(raw, "target_type", PixelType, value_type),
        source_range=_bounds(raw, "source_range"),
        target_range=_bounds(raw, "target_range"),
        bands_of=_count(raw, "bands_of", 0, least=0),
        bands=_band_numbers(raw),
        gives_bands=raw.get("gives_bands") == "true",
        pages=_one_of(raw, "pages", PagesRule, "first"),
        source_kind=_one_of(raw, "source_kind", ValueKind, "image"),
        target_kind=_one_of(raw, "target_kind", ValueKind, "image"),
        label_colors=_label_colors(raw),
        labels=_labels(raw.get("labels", "[]")),
        receptive_field=_optional_count(raw, "receptive_field"),
        global_statistics=raw.get("global_statistics") == "true",
        bytes_per_pixel=_optional_count(raw, "bytes_per_pixel"),
        recipe=raw.get("recipe", ""),
        config_digest=raw.get("config_digest", ""),
        inputs=_types(raw, "inputs", inputs_from_json) or {},
        outputs=_types(raw, "outputs", outputs_from_json) or {IMAGE_OUT: Image()},
        size=_size(raw),
        samples=_samples(raw),
        validation=_validation(raw),
        raw=raw,
    )


def _types(raw: Mapping[str, str], key: str, parse: Callable[[Any], dict[str, T]]) -> dict[str, T]:
    try:
        return parse(json.loads(raw.get(key, "[]")))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"its metadata are damaged: i2i.{key} is {raw[key][:40]!r}") from error


def _size(raw: Mapping[str, str]) -> tuple[int, int] | None:
    if "size" not in raw:
        return None
    try:
        height, width = json.loads(raw["size"])
    except (ValueError, TypeError, RecursionError):
        height = width = 0
    if not all(type(side) is int and 0 < side <= 16384 for side in (height, width)):
        raise ModelError(f"its metadata are damaged: i2i.size is {raw['size'][:40]!r}, not a height and a width")
    return height, width


def _samples(raw: Mapping[str, str]) -> TrainingSamples | None:
    if "samples" not in raw:
        return None
    try:
        return training_samples(raw["samples"])
    except (ValueError, RecursionError) as error:
        raise ModelError(f"its metadata are damaged: i2i.samples is {raw['samples'][:40]!r}") from error


def _validation(raw: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(raw.get("validation", "{}"))
        figures = found["figures"].values() if found else ()
        fits = not found or type(found["step"]) is int
        fits = fits and all(isinstance(one, dict) and "value" in one for one in figures)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        fits = False
    if not fits or not isinstance(found, dict):
        raise ModelError(f"its metadata are damaged: i2i.validation is {raw['validation'][:40]!r}")
    return found


def _label_colors(raw: Mapping[str, str]) -> LabelColors | None:
    if "label_colors" not in raw:
        return None
    try:
        entry = json.loads(raw["label_colors"])
        return LabelColors(entry["classes"], entry["other"], entry.get("nearest") is True)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(f"its metadata are damaged: i2i.label_colors is {raw['label_colors'][:40]!r}") from error


def _one_of(raw: Mapping[str, str], key: str, choices: Any, default: str = "") -> Any:
    text = raw.get(key, default)
    if text not in get_args(choices):
        raise ModelError(f"its metadata are damaged: i2i.{key} is {text[:40]!r}")
    return text


def _band_numbers(raw: Mapping[str, str]) -> tuple[int, ...]:
    try:
        numbers: Any = json.loads(raw.get("bands", "[]"))
    except (ValueError, RecursionError):
        numbers = None
    most = _count(raw, "bands_of", 0, least=0)
    fits = isinstance(numbers, list) and all(type(number) is int and 1 <= number <= most for number in numbers)
    if not fits or len(numbers) not in (0, _count(raw, "channels_in", least=0)):
        raise ModelError(f"its metadata are damaged: i2i.bands is {raw['bands'][:40]!r}")
    return tuple(numbers)


def _bounds(raw: Mapping[str, str], key: str) -> Bounds | None:
    if key not in raw:
        return None
    try:
        low, high = map(float, json.loads(raw[key]))
    except (ValueError, TypeError, RecursionError, OverflowError):
        low = high = math.nan
    if not is_range(low, high):
        raise ModelError(f"its metadata are damaged: i2i.{key} is {raw[key][:40]!r}, not two numbers in order")
    return low, high


def _count(raw: Mapping[str, str], key: str, default: int | None = None, *, least: int = 1) -> int:
    text = raw.get(key, "" if default is None else str(default))
    if not _is_count(text, least):
        raise ModelError(f"its metadata are damaged: i2i.{key} is {text[:40]!r}, not a whole number from {least}")
    return int(text)


def _optional_count(raw: Mapping[str, str], key: str) -> int | None:
    text = raw.get(key, "")
    return int(text) if _is_count(text) else None


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
