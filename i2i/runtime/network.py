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
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from i2i.errors import DataError, ErrorKind, ModelError, UserError
from i2i.files import printable
from i2i.runtime.float_graph import float_graph
from i2i.runtime.metadata import Metadata
from i2i.runtime.noise import draw_noise, fixed_noise
from i2i.runtime.runner import Feeds, Runner
from i2i.runtime.session import open_session
from i2i.runtime.signature import read_metadata

Shape = tuple[int, int | None, int | None, int]
"""Number, height, width and channels of images; None where any size will do."""


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

    def translate(self, images: np.ndarray, *, label: str | int | None = None) -> np.ndarray:
        """Translates images of one size.

        Args:
            images: ``(N, H, W, C)`` in the channels and `dtype` of the network.
            label: name or number of the target of all of them.

        Returns:
            Array ``(N, scale H, scale W, C')`` of type `dtype`.

        Raises:
            DataError: shape or type do not fit the network.
            ModelError: the network takes no images, fails, or gives something else than its metadata say.
            UserError: the label is missing, unknown, or not taken by the model.
        """
        self.check_command("translate")
        channels = self.info.channels_in
        if not isinstance(images, np.ndarray):
            raise DataError(
                f"a batch is a numpy array, not something of type {type(images).__name__}", kind=ErrorKind.NOT_AN_IMAGE
            )
        if images.ndim != 4 or images.shape[3] != channels or images.dtype != self.dtype or not images.size:
            wanted = f"{self.dtype} of shape (N, H, W, {channels})"
            found = f"the model takes {wanted}, not {images.dtype} of shape {images.shape}"
            raise DataError(found, kind=ErrorKind.NOT_AN_IMAGE)
        return self.run(self.image_feeds(images, label=label), self.shape_for(*images.shape[:3]))

    def generate(
        self, numbers: Sequence[int], *, label: str | int | None = None, seed: int = 0, truncation: float | None = None
    ) -> np.ndarray:
        """Makes the images of these numbers from noise.

        Args:
            numbers: one for each image, from 0; an image depends on its number, not on the others in the call.
            label: name or number of what they are to show.
            seed: a whole number from 0; another one gives other images.
            truncation: largest magnitude of the noise, above 0; None: no limit.

        Returns:
            Array ``(N, H, W, C)`` of type `dtype`.

        Raises:
            ModelError: the network translates images, fails, or gives something else than its metadata say.
            UserError: a number is out of range; the label is missing, unknown, or not taken by the model.
        """
        self.check_command("generate")
        feeds = self.noise_feeds(numbers, label=label, seed=seed, truncation=truncation)
        return self.run(feeds, (len(numbers), None, None, self.info.channels_out))

    def image_feeds(self, images: np.ndarray, *, label: str | int | None = None) -> Feeds:
        """The arrays to feed to the graph to translate images ``(N, H, W, C)`` of one size.

        Raises:
            UserError: the label is missing, unknown, or not taken by the model.
        """
        inputs = self.runner.inputs
        feeds: Feeds = {"image": np.ascontiguousarray(images)}
        if "noise" in inputs:
            feeds["noise"] = fixed_noise(inputs["noise"].shape, inputs["image"].shape, images.shape)
        return feeds | _label_feed(self.label_index(label), len(images))

    def noise_feeds(
        self, numbers: Sequence[int], *, label: str | int | None = None, seed: int = 0, truncation: float | None = None
    ) -> Feeds:
        """The arrays to feed to the graph to make images from noise; arguments and errors are those of `generate`."""
        size, index = self.runner.inputs["noise"].shape[1:], self.label_index(label)
        noise = draw_noise(size, numbers, label=index, seed=seed, truncation=truncation)
        return {"noise": noise} | _label_feed(index, len(noise))

    def run(self, feeds: Feeds, expected: Shape) -> np.ndarray:
        """Runs the graph on feeds as `image_feeds` and `noise_feeds` make them.

        Args:
            feeds: arrays by name of the graph's input.
            expected: the shape of the result according to the metadata.

        Raises:
            ModelError: it fails, or the result has another shape.
        """
        (result,) = self.runner.run(["image_out"], feeds)
        self.check_shape(result, expected)
        return result

    def check_shape(self, result: np.ndarray, expected: Shape) -> None:
        """Makes sure that a result has the shape that the metadata promise.

        Raises:
            ModelError: it has another shape.
        """
        shape = tuple(getattr(result, "shape", ()))  # a graph may give a list
        if len(shape) != 4 or any(want not in (None, got) for want, got in zip(expected, shape, strict=True)):
            reason = f"gave shape {shape} where its metadata promise {expected}"
            raise ModelError(reason, path=printable(self.path))

    def shape_for(self, count: int, height: int, width: int) -> Shape:
        """Expected shape of the translation of `count` images of that size in pixels."""
        return count, height * self.info.scale, width * self.info.scale, self.info.channels_out

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
        runner = self._float_form.runner(self.runner)
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

    def runner(self, original: Runner) -> Runner | None:
        """The opened float form of the graph that `original` computes; None where there is none."""
        with self._lock:
            if not self._tried:
                with suppress(ModelError):
                    self._runner = original.open_variant(float_graph(original.graph))
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


def open_network(file: Path, device: str) -> tuple[ExportedNetwork, str]:
    """Opens an exported file.

    Args:
        file: an ONNX file.
        device: as for `i2i.runtime.session.open_session`.

    Returns:
        The network, and a line for the user if another device than `device` is used; else "".

    Raises:
        ModelError: no ONNX file, or none that i2i exported.
        UserError: `device` is unknown.
    """
    try:
        session, note = open_session(file, device)
        return ExportedNetwork(Runner(session, file), read_metadata(session)), note
    except UserError as error:
        raise type(error)(error.reason, kind=error.kind, path=printable(file)) from error


def _label_feed(index: int | None, count: int) -> Feeds:
    return {} if index is None else {"label": np.full(count, index, np.int32)}
