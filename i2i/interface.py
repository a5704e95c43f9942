"""The types of what a translator takes and gives, and their form in the metadata of an exported model.

A recipe states them in its `i2i.Translator`, the exported file carries them, and what runs the file reads them there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from i2i.errors import DataError, ErrorKind, short_repr

if TYPE_CHECKING:
    import numpy as np

Colour = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""
MAX_CLASSES = 256
"""Classes of a label map: its values have 8 bits."""


@dataclass(frozen=True)
class ImageInput:
    """An image: ``(N, C, H, W)`` float32 in [-1, 1] for the module.

    Attributes:
        key: key of the batch that holds it in validation; empty: the input's own name.
        channels: number of channels; 0: those of the example.
        own_size: whether it may have another height and width than the input ``image``, as a reference has that shows a
            style. If not, it belongs to ``image`` pixel by pixel, and is cut into the same tiles.
        previous: name of an image among the outputs: the input is what that output was for the frame before, and black
            for the first one. Empty: it is given with each image.
    """

    key: str = ""
    channels: int = 0
    own_size: bool = False
    previous: str = ""

    def __post_init__(self) -> None:
        _require(0 <= self.channels <= 1024, f"channels must be from 0 to 1024, not {self.channels}")
        _require(not (self.previous and self.own_size), "what an output was before has the size of the image")


@dataclass(frozen=True)
class LabelMapInput:
    """A label map, the number of a class for each pixel: ``(N, H, W)`` int64 from 0 for the module.

    Of a palette image these are the numbers in the palette, of a grey one its values.

    Attributes:
        count: number of classes, at most 256; larger values are refused.
        key: key of the batch that holds it in validation; empty: that of the input's name.
        ignore: a value from `count` on that is allowed, too: the class of the pixel is not known. None: there is none.
    """

    count: int
    key: str = ""
    ignore: int | None = None

    def __post_init__(self) -> None:
        _require(1 <= self.count <= MAX_CLASSES, f"count must be from 1 to {MAX_CLASSES}, not {self.count}")
        is_other = self.ignore is None or self.count <= self.ignore < MAX_CLASSES
        _require(is_other, f"ignore must be from {self.count} to {MAX_CLASSES - 1}, not {self.ignore}")


@dataclass(frozen=True)
class MaskInput:
    """Where something is: ``(N, 1, H, W)`` float32 for the module, 1 where the mask is white and 0 elsewhere.

    Attributes:
        key: key of the batch that holds it in validation; empty: the input's own name.
    """

    key: str = ""


@dataclass(frozen=True)
class NumberInput:
    """A number: ``(N,)`` float32 for the module.

    Attributes:
        default: its value where none is given.
        low: the least value that is taken; None: any.
        high: the greatest value that is taken; None: any.
        key: key of the batch that holds it in validation; empty: the input's own name.
    """

    default: float = 0.0
    low: float | None = None
    high: float | None = None
    key: str = ""

    def __post_init__(self) -> None:
        _require(self.problem(self.default) == "", f"the default {self.default} must be a number within the limits")

    def problem(self, value: float) -> str:
        """Why a value is not taken; empty if it is."""
        least, most = (value if limit is None else limit for limit in (self.low, self.high))
        if math.isfinite(value) and least <= value <= most:
            return ""
        limits = ("from", self.low), ("to", self.high)
        ends = "".join(f" {word} {limit:g}" for word, limit in limits if limit is not None)
        return f"must be a number{ends}, not {value:g}"


@dataclass(frozen=True)
class TextInput:
    """A text: ``(N, length)`` int64 for the module, the bytes of its UTF-8 form, then zeros; see `encode_text`.

    Attributes:
        length: greatest number of bytes; a longer text is refused.
        encode: how text becomes numbers; ``bytes`` is the only way yet.
        key: key of the batch that holds it in validation; empty: the input's own name.
    """

    length: int
    encode: Literal["bytes"] = "bytes"
    key: str = ""

    def __post_init__(self) -> None:
        _require(1 <= self.length <= 1 << 20, f"length must be from 1 to {1 << 20}, not {self.length}")
        _require(self.encode == "bytes", f"encode must be 'bytes', not {self.encode!r}")


@dataclass(frozen=True)
class VectorInput:
    """A code, such as that of a style: ``(N, size)`` float32 for the module, drawn from N(0, 1) where none is given.

    Attributes:
        size: its length.
        key: key of the batch that holds it in validation; empty: the input's own name.
    """

    size: int
    key: str = ""

    def __post_init__(self) -> None:
        _require(1 <= self.size <= 1 << 20, f"size must be from 1 to {1 << 20}, not {self.size}")


@dataclass(frozen=True)
class Image:
    """An image: ``(N, C, H, W)`` in [-1, 1] from the module; it becomes a file.

    Attributes:
        channels: number of channels; 0: those that the module gives for the example.
    """

    channels: int = 0


@dataclass(frozen=True)
class LabelMap:
    """A label map: ``(N, classes, H, W)`` scores, of which the highest wins, or ``(N, H, W)`` integers.

    That is what the module gives; it becomes a PNG with a palette.

    Attributes:
        palette: red, green and blue, 0 to 255, of each class in order; empty: colours that are easy to tell apart.
    """

    palette: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        colours = tuple(tuple(int(value) for value in colour) for colour in self.palette)
        fits = len(colours) <= MAX_CLASSES and all(len(c) == 3 and min(c) >= 0 and max(c) <= 255 for c in colours)
        _require(fits, f"palette must have at most {MAX_CLASSES} colours of three numbers from 0 to 255")
        object.__setattr__(self, "palette", colours)


@dataclass(frozen=True)
class Number:
    """A number for each image: ``(N,)`` or ``(N, 1)`` from the module; it becomes a column of ``results.csv``."""


@dataclass(frozen=True)
class Vector:
    """A row of numbers for each image: ``(N, size)`` from the module; it becomes an ``.npy`` file."""


Input = ImageInput | LabelMapInput | MaskInput | NumberInput | TextInput | VectorInput
"""What a module may take, besides the inputs ``image``, ``label`` and ``noise``, which need no type."""
Output = Image | LabelMap | Number | Vector
"""What a module may give."""
Spatial = ImageInput | LabelMapInput | MaskInput
"""Inputs that have height and width."""
IMAGE_OUT = "image_out"
"""Name of the output where a translator names none."""
_INPUT_KINDS: dict[str, type[Any]] = {
    "image": ImageInput,
    "label_map": LabelMapInput,
    "mask": MaskInput,
    "number": NumberInput,
    "text": TextInput,
    "vector": VectorInput,
}
_OUTPUT_KINDS: dict[str, type[Any]] = {"image": Image, "label_map": LabelMap, "number": Number, "vector": Vector}
T = TypeVar("T")


def is_required(of: Input) -> bool:
    """Whether an input has to be given, as it has no default."""
    return isinstance(of, LabelMapInput | MaskInput | TextInput) or (isinstance(of, ImageInput) and not of.previous)


def encode_text(text: str, length: int) -> np.ndarray:
    """A text as a `TextInput` of that length takes it.

    Args:
        text: any text.
        length: greatest number of bytes of its UTF-8 form.

    Returns:
        Array ``(length,)`` int64: the bytes, then zeros.

    Raises:
        DataError: the text is longer.
    """
    import numpy as np

    encoded = text.encode(errors="surrogateescape")
    if len(encoded) > length:
        reason = f"the text {short_repr(text)} has {len(encoded)} bytes, and {length} are taken"
        raise DataError(reason, kind=ErrorKind.TOO_LARGE)
    return np.pad(np.frombuffer(encoded, np.uint8), (0, length - len(encoded))).astype(np.int64)


def inputs_to_json(types: Mapping[str, Input]) -> list[dict[str, Any]]:
    """Inputs by name as an exported file has them: a list of objects, in their order."""
    return _to_json(types, _INPUT_KINDS)


def outputs_to_json(types: Mapping[str, Output]) -> list[dict[str, Any]]:
    """Outputs by name as an exported file has them: a list of objects, in their order."""
    return _to_json(types, _OUTPUT_KINDS)


def inputs_from_json(entries: Any) -> dict[str, Input]:
    """The inputs that `inputs_to_json` has written.

    Raises:
        ValueError: they are no such list.
    """
    return _from_json(entries, _INPUT_KINDS)


def outputs_from_json(entries: Any) -> dict[str, Output]:
    """The outputs that `outputs_to_json` has written.

    Raises:
        ValueError: they are no such list.
    """
    return _from_json(entries, _OUTPUT_KINDS)


def _to_json(types: Mapping[str, Any], kinds: Mapping[str, type[Any]]) -> list[dict[str, Any]]:
    names = {of_kind: kind for kind, of_kind in kinds.items()}
    return [{"name": name, "kind": names[type(value)], **asdict(value)} for name, value in types.items()]


def _from_json(entries: Any, kinds: Mapping[str, type[T]]) -> dict[str, T]:
    try:
        return {entry["name"]: _one(entry, kinds) for entry in entries}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def _one(entry: Mapping[str, Any], kinds: Mapping[str, type[T]]) -> T:
    """The value of one object; members of a later version of i2i are left out, and those that lack have defaults."""
    of_kind: Any = kinds[entry["kind"]]
    if not isinstance(entry["name"], str):
        raise TypeError("a name is a text")
    known = {one.name: one for one in fields(of_kind)}
    for name, one in known.items():
        default = 0 if one.default is MISSING else one.default
        if isinstance(default, int | str) and not isinstance(entry.get(name, default), type(default)):
            raise TypeError(f"{name} is of another type")
    return of_kind(**{name: value for name, value in entry.items() if name in known})


def _require(fits: bool, problem: str) -> None:
    """Raises ValueError with that text unless a value fits."""
    if not fits:
        raise ValueError(problem)
