"""An exported network that runs: images, labels and noise go in, and the shape of what comes out is checked.

`i2i.translate` builds on it: tiles and folders, and on them all `i2i.translate.model.Model`, which users hold.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np

from i2i.errors import DataError, ErrorKind, ModelError, UserError
from i2i.files import printable
from i2i.interface import (
    Image,
    ImageInput,
    Input,
    LabelMap,
    LabelMapInput,
    Number,
    NumberInput,
    Spatial,
    VectorInput,
)
from i2i.runtime.computing.runner import Feeds, Runner
from i2i.runtime.float_graph import float_graph
from i2i.runtime.metadata import Metadata
from i2i.runtime.noise import draw_noise, fixed_noise, noise_size

Outputs = dict[str, np.ndarray]
"""Arrays by the name of the graph's output that gave them."""


class ExportedNetwork:
    """A network as `i2i export` writes it; safe to use from several threads.

    Args:
        runner: computes its graph.
        info: what its file says about it.

    Attributes:
        dtype: type of input and output: uint8, or float32 in [0, 1].
        path: the file.
    """

    def __init__(self, runner: Runner, info: Metadata) -> None:
        self.runner, self.info = runner, info
        self.dtype = np.dtype(info.value_type)
        self.path = runner.path
        self._float_form = _FloatForm()

    @property
    def takes_label(self) -> bool:
        """Whether there are labels, with names or only numbered."""
        return "label" in self.runner.inputs

    @property
    def image_dtype(self) -> np.dtype:
        """Type of the input ``image``: that of all images, or uint8 for a label map."""
        return np.dtype(np.uint8) if isinstance(self.info.inputs.get("image"), LabelMapInput) else self.dtype

    def translate(
        self, images: np.ndarray, *, label: str | int | None = None, inputs: Feeds = MappingProxyType({})
    ) -> Outputs:
        """Translates images of one size.

        Args:
            images: ``(N, H, W, C)`` in the channels and `image_dtype` of the network.
            label: name or number of the target of all of them.
            inputs: further inputs by name, as `input_feeds` takes them.

        Returns:
            The outputs by name: images ``(N, scale H, scale W, C')`` of type `dtype`, label maps
            ``(N, scale H, scale W, 1)`` uint8, numbers ``(N,)`` and vectors ``(N, size)`` float32.

        Raises:
            DataError: shape or type do not fit the network.
            ModelError: the network takes no images, fails, or gives something else than its metadata say.
            UserError: the label or another input is missing, unknown, or not taken by the model.
        """
        self.check_command("translate")
        channels = self.info.channels_in
        if not isinstance(images, np.ndarray):
            raise DataError(
                f"a batch is a numpy array, not something of type {type(images).__name__}", kind=ErrorKind.NOT_AN_IMAGE
            )
        if images.ndim != 4 or images.shape[3] != channels or images.dtype != self.image_dtype or not images.size:
            wanted = f"{self.image_dtype} of shape (N, H, W, {channels})"
            found = f"the model takes {wanted}, not {images.dtype} of shape {images.shape}"
            raise DataError(found, kind=ErrorKind.NOT_AN_IMAGE)
        if self.info.size is not None and images.shape[1:3] != self.info.size:
            found = f"the model takes images of {self.info.size}, height and width, not {images.shape[1:3]}"
            raise DataError(found, kind=ErrorKind.UNEQUAL_SIZES)
        feeds = self.image_feeds(images, label=label, inputs=inputs)
        return self.run(feeds, len(images), (images.shape[1], images.shape[2]))

    def generate(
        self,
        numbers: Sequence[int],
        *,
        label: str | int | None = None,
        seed: int = 0,
        truncation: float | None = None,
        inputs: Feeds = MappingProxyType({}),
    ) -> np.ndarray:
        """Makes the images of these numbers from noise.

        Args:
            numbers: one for each image, from 0; an image depends on its number, not on the others in the call.
            label: name or number of what they are to show.
            seed: a whole number from 0; another one gives other images.
            truncation: largest magnitude of the noise, above 0; None: no limit.
            inputs: further inputs by name, as `input_feeds` takes them.

        Returns:
            Array ``(N, H, W, C)`` of type `dtype`; of a network of label maps ``(N, H, W, 1)`` uint8.

        Raises:
            ModelError: the network translates images, fails, or gives something else than its metadata say.
            UserError: a number is out of range; the label or another input is missing, unknown, or not taken.
        """
        self.check_command("generate")
        feeds = self.noise_feeds(numbers, label=label, seed=seed, truncation=truncation, inputs=inputs)
        return self.run(feeds, len(numbers))[self.info.pictures[0]]

    def image_feeds(
        self, images: np.ndarray, *, label: str | int | None = None, inputs: Feeds = MappingProxyType({})
    ) -> dict[str, np.ndarray]:
        """The arrays to feed to the graph to translate images ``(N, H, W, C)`` of one size.

        Raises:
            UserError: the label or another input is missing, unknown, or not taken by the model.
        """
        nodes = self.runner.inputs
        feeds = {"image": np.ascontiguousarray(images)}
        if "noise" in nodes and "noise" not in inputs:
            feeds["noise"] = fixed_noise(nodes["noise"].shape, nodes["image"].shape, images.shape)
        typed = self.input_feeds(len(images), inputs, (images.shape[1], images.shape[2]))
        return feeds | typed | _label_feed(self.label_index(label), len(images))

    def noise_feeds(
        self,
        numbers: Sequence[int],
        *,
        label: str | int | None = None,
        seed: int = 0,
        truncation: float | None = None,
        inputs: Feeds = MappingProxyType({}),
    ) -> dict[str, np.ndarray]:
        """The arrays to feed to the graph to make images from noise; arguments and errors are those of `generate`."""
        index, drawn = self.label_index(label), {}
        for name, size in self.drawn_sizes().items():
            if name not in inputs:
                drawn[name] = draw_noise(size, numbers, label=index, seed=seed, truncation=truncation)
        return drawn | self.input_feeds(len(numbers), drawn | dict(inputs)) | _label_feed(index, len(numbers))

    def drawn_sizes(self, image: Sequence[int] = ()) -> dict[str, tuple[int, ...]]:
        """Shape, without the number of images, of each input that is drawn at random where it is not given.

        Args:
            image: actual shape ``(N, H, W, C)`` of the images, which noise may depend on; empty without images.
        """
        found: dict[str, tuple[int, ...]]
        found = {name: (of.size,) for name, of in self.info.inputs.items() if isinstance(of, VectorInput)}
        if (noise := self.runner.inputs.get("noise")) is not None:
            names = self.runner.inputs["image"].shape if image else ()
            found = {"noise": noise_size(noise.shape, names, image), **found}
        return found

    def input_feeds(self, count: int, given: Feeds, size: tuple[int, int] | None = None) -> dict[str, np.ndarray]:
        """The arrays for all inputs that have a type, but for ``image``.

        Args:
            count: number of images.
            given: what is given, by name, each with one row an image: images ``(N, H, W, C)`` and masks
                ``(N, H, W, 1)`` in the type that the file has for images, label maps ``(N, H, W, 1)`` uint8, numbers
                ``(N,)`` float32, texts ``(N, length)`` int32, vectors ``(N, size)`` float32.
            size: height and width of ``image``; None where there is none.

        Raises:
            DataError: one has another shape or type.
            UserError: one is missing that has no default, or one is given that the model does not take.
        """
        name, nodes = printable(self.path), self.runner.inputs
        if unknown := sorted(given.keys() - (self.info.inputs.keys() - {"image"}) - (nodes.keys() & {"noise"})):
            takes = ", ".join(key for key in nodes if key != "image") or "nothing but the image"
            raise UserError(f"the model has no input {unknown[0]!r}; it takes {takes}", path=name)
        feeds = {}
        for key, of in self.info.inputs.items():
            if key == "image":
                continue
            value = given[key] if key in given else _default(key, of, count, size, self.info)
            if value is None:
                raise UserError(f"the model needs the input {key!r}, which has no default", path=name)
            self._check_input(key, value, count, size)
            feeds[key] = np.ascontiguousarray(value)
        if "noise" in given:
            feeds["noise"] = np.ascontiguousarray(given["noise"])
        return feeds

    def _check_input(self, key: str, value: np.ndarray, count: int, size: tuple[int, int] | None) -> None:
        """Raises DataError unless an array has the shape and type of an input."""
        node, of = self.runner.inputs[key], self.info.inputs[key]
        expected: list[Any] = [count, *node.shape[1:]]
        if size is not None and isinstance(of, Spatial) and not getattr(of, "own_size", False):
            expected[1:3] = size
        fits = value.ndim == len(expected) and all(
            want == got or (not isinstance(want, int) and got) for want, got in zip(expected, value.shape, strict=True)
        )
        dtype = {"tensor(uint8)": "uint8", "tensor(int32)": "int32"}.get(node.type, "float32")
        if not fits or value.dtype != dtype:
            wanted = f"{dtype} of shape {tuple(expected)}"
            found = f"the input {key!r} is {wanted}, not {value.dtype} of shape {value.shape}"
            raise DataError(found, kind=ErrorKind.NOT_AN_IMAGE)

    def run(self, feeds: Feeds, count: int, size: tuple[int, int] | None = None) -> Outputs:
        """Runs the graph on feeds as `image_feeds` and `noise_feeds` make them.

        Args:
            feeds: arrays by name of the graph's input.
            count: number of images.
            size: height and width of the input image; None without one.

        Raises:
            ModelError: it fails, or a result has another shape than the metadata promise.
        """
        names = list(self.info.outputs)
        outputs = dict(zip(names, self.runner.run(names, feeds), strict=True))
        self.check_outputs(outputs, count, size)
        return outputs

    def check_outputs(self, outputs: Outputs, count: int, size: tuple[int, int] | None) -> None:
        """Makes sure that results have the shapes that the metadata promise; arguments are those of `run`.

        Raises:
            ModelError: one has another shape.
        """
        height, width = (None, None) if size is None else (side * self.info.scale for side in size)
        for name, of in self.info.outputs.items():
            expected: tuple[int | None, ...] = (count,) if isinstance(of, Number) else (count, None)
            if isinstance(of, Image | LabelMap):
                channels = 1 if isinstance(of, LabelMap) else of.channels or self.info.channels_out
                expected = (count, height, width, channels)
            shape = tuple(getattr(outputs[name], "shape", ()))  # a graph may give a list
            fits = len(shape) == len(expected)
            if not fits or any(want not in (None, got) for want, got in zip(expected, shape, strict=True)):
                which = "" if len(self.info.outputs) == 1 else f" for {name}"
                reason = f"gave shape {shape} where its metadata promise {expected}{which}"
                raise ModelError(reason, path=printable(self.path))

    def spatial_axes(self) -> dict[str, tuple[int, ...]]:
        """The axes of each input that are height and width of the image: dimensions named as those of ``image``."""
        _, *sides, _ = self.runner.inputs["image"].shape
        return {
            name: tuple(node.shape.index(side) for side in sides if isinstance(side, str) and side in node.shape)
            for name, node in self.runner.inputs.items()
        }

    def check_command(self, command: Literal["generate", "translate"]) -> None:
        """Makes sure that the network can do what a command asks for.

        Raises:
            ModelError: it is for the other command, which the message names.
        """
        name = printable(self.path)
        if self.info.generates and command == "translate":
            raise ModelError("makes images from noise and takes none; use: i2i generate", path=name)
        if not self.info.generates and command == "generate":
            raise ModelError("translates images and makes none from noise; use: i2i translate", path=name)

    def label_index(self, label: str | int | None) -> int | None:
        """The number of a label given by name or number; None for networks without labels.

        Where labels have names that are numbers, such as 1, 3, 5, a text is a name only.

        Raises:
            UserError: the label is missing, unknown, or not taken by the model.
        """
        name, names = printable(self.path), self.info.labels
        if not self.takes_label:
            if label is not None:
                raise UserError("the model has no labels; leave the label out", path=name)
            return None
        known = ", ".join(names) or "a number"
        if label is None:
            raise UserError(f"the model needs a label: {known}", path=name)
        if label in names:
            return names.index(str(label))
        text = str(label)
        index = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        # beside names such as 1, 3, 5 a text that is none of them could be meant as a name
        by_name = isinstance(label, str) and any(re.fullmatch(r"[+-]?\d+([.,]\d+)?", name) for name in names)
        if index < 0 or by_name or (names and index >= len(names)):
            raise UserError(f"unknown label {label!r}; the model knows: {known}", path=name)
        return index

    def in_floats(self) -> ExportedNetwork | None:
        """The network with images of float32 in [0, 1], stopped by the same `interrupt`.

        That is itself, or the same weights in a graph without rounding to 8 bits, opened when it is first asked for;
        None where the graph computes with 8-bit values.
        """
        if self.dtype == np.float32:
            return self
        images = [name for name, of in self.info.outputs.items() if isinstance(of, Image)]
        runner = self._float_form.runner(self.runner, images)
        if runner is None:
            return None
        return ExportedNetwork(runner.stopped_with(self.runner), replace(self.info, value_type="float32"))

    def taking(self, images: np.ndarray) -> ExportedNetwork:
        """The network that takes images of that type: itself, or the one that `in_floats` gives."""
        return (self.in_floats() if images.dtype == np.float32 else None) or self

    def interruptible(self) -> ExportedNetwork:
        """The same network with an `interrupt` of its own."""
        own = copy.copy(self)
        own.runner = self.runner.interruptible()
        return own

    def interrupt(self) -> None:
        """Breaks off what this network computes, in any thread, and lets it compute no more."""
        self.runner.interrupt()


class _FloatForm:
    """The float form of a network's graph, opened once for all copies of the network, by the first that asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tried = False
        self._runner: Runner | None = None

    def runner(self, original: Runner, images: Sequence[str]) -> Runner | None:
        """The opened float form of the graph that `original` computes, `images` of its outputs; None without one."""
        with self._lock:
            if not self._tried:
                with suppress(ModelError):
                    self._runner = original.open_variant(float_graph(original.graph, images))
                self._tried = True
            return self._runner


class LoadedModel(Protocol):
    """The part of `i2i.translate.Model` that translating folders needs.

    Attributes:
        network: the exported network.
        notes: lines for the user, such as that a device could not be used.
    """

    network: ExportedNetwork
    notes: list[str]


def _default(name: str, of: Input, count: int, size: tuple[int, int] | None, info: Metadata) -> np.ndarray | None:
    """What an input is where nothing is given; None if something must be."""
    if isinstance(of, NumberInput):
        return np.full(count, of.default, np.float32)
    if isinstance(of, VectorInput):
        return fixed_noise((0, of.size), (), (count,))
    if isinstance(of, ImageInput) and of.previous and size is not None:
        return np.zeros((count, *size, of.channels), info.value_type)
    return None


def _label_feed(index: int | None, count: int) -> dict[str, np.ndarray]:
    return {} if index is None else {"label": np.full(count, index, np.int32)}
