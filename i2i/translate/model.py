"""An exported model: one ONNX file that says in its metadata what it takes and gives."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import cv2
import numpy as np
import onnxruntime
from PIL import Image

from i2i.errors import DataError, ErrorKind, FileError, ModelError, UserError
from i2i.files import printable
from i2i.images import Picture, from_pillow, read_image, refuse_range, to_channels, to_dtype
from i2i.images.errors import named
from i2i.images.pixels import AlphaRule, apply_alpha, split_alpha, with_alpha
from i2i.translate.find import find_model
from i2i.translate.metadata import Metadata, read_metadata
from i2i.translate.noise import draw_noise, same_noise
from i2i.translate.sandbox.probe import check_model
from i2i.translate.session import last_words, open_session

if TYPE_CHECKING:
    from i2i.translate.folders.plan import PathLike
    from i2i.translate.results import Result, Results
    from i2i.translate.tiles.tiling import Tiling

ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray


def load(
    path: str | os.PathLike[str], *, translator: str | None = None, device: str = "auto", check: bool = False
) -> Model:
    """Loads an exported model.

    Args:
        path: an ``.onnx`` file, or a run folder with ``model.onnx`` or several ``model.NAME.onnx``.
        translator: which of several to take, such as ``AtoB``.
        device: ``cpu``, ``cuda``, ``tensorrt``, or ``auto``: CUDA where it works. What cannot be had is replaced by the
            next best, which `Model.notes` tells.
        check: try the file in a process of its own first, with limits of time and memory, as the command line does:
            for files from strangers.

    Raises:
        ModelError: nothing there, more than one to choose from, no ONNX file of i2i, or one that failed the check.
        UserError: `device` is unknown.
    """
    file = find_model(path, translator)
    if check:
        check_model(file)
    try:
        session, note = open_session(file, device)
        metadata = read_metadata(session)
    except UserError as error:
        raise type(error)(f"{printable(file)}: {error}") from error
    if translator not in (None, metadata.translator):
        raise ModelError(f"{printable(file)}: translates {metadata.translator!r}, not {translator!r}")
    return Model(session, metadata, file, [note] if note else [])


class Model:
    """An exported model, ready to translate or to generate; safe to use from several threads.

    Attributes:
        info: what the file's metadata say, parsed and checked.
        path: the file.
        provider: onnxruntime's execution provider in use, such as ``CPUExecutionProvider``.
        notes: what is worth knowing, such as a device that could not be used; one line each.
        run_options: of every run with this model; an interrupt acts through them.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, info: Metadata, path: Path, notes: Sequence[str] = ()
    ) -> None:
        self.info = info
        self.path = path
        self.provider: str = session.get_providers()[0]
        self.notes = list(notes)
        self.run_options = onnxruntime.RunOptions()
        self._session = session
        self._lock = threading.Lock()
        self._tilings: dict[str | int, Tiling] = {}
        self._inputs = {node.name: node for node in session.get_inputs()}

    @property
    def recipe(self) -> str:
        """Name of the recipe that trained it."""
        return self.info.recipe

    @property
    def scale(self) -> int:
        """Output size over input size."""
        return self.info.scale

    @property
    def channels(self) -> tuple[int, int]:
        """Number of channels of the input, 0 where there is none, and of the output."""
        return self.info.channels_in, self.info.channels_out

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that `translate` or `generate` can be told; empty where there are none or no names."""
        return self.info.labels

    @property
    def takes_label(self) -> bool:
        """Whether there are labels, with names or only numbered."""
        return "label" in self._inputs

    @property
    def metadata(self) -> dict[str, str]:
        """The file's metadata under ``i2i.``, as they stand there, without that prefix."""
        return dict(self.info.raw)

    @property
    def dtype(self) -> np.dtype:
        """Type of input and output: uint8, or float32 in [0, 1]."""
        return np.dtype(self.info.value_type)

    def translate(
        self,
        image: ImageLike,
        *,
        label: str | int | None = None,
        tile: Literal["auto", "none"] | int = "auto",
        alpha: AlphaRule = "keep",
    ) -> np.ndarray:
        """Translates one image.

        Args:
            image: a path; an image that Pillow opened, whose EXIF orientation is applied as for a path; or an array
                ``(H, W)`` or ``(H, W, C)``, uint8, uint16 or floating point in [0, 1]. Grey, RGB and RGBA are converted
                to what the model takes, and so is the bit depth.
            label: name or number of the target, for models that have labels.
            tile: as for `i2i.translate.folders.folder.translate_folder`.
            alpha: likewise; with ``keep`` the result of an image that has alpha, and a model that gives 1 or 3
                channels, is RGBA.

        Returns:
            Array ``(scale H, scale W, C)`` of type `dtype`.

        Raises:
            DataError: the image cannot be read or converted.
            ModelError: the model fails, or takes no image.
            UserError: the label is missing, unknown, or of no use, or an option is out of range.
        """
        self.check_command("translate")
        if alpha not in get_args(AlphaRule):
            raise UserError(f"alpha is one of {', '.join(get_args(AlphaRule))}, not {alpha!r}")
        with named("image" if isinstance(image, Image.Image | np.ndarray) else image):
            picture = self._picture(image)
            pixels, transparency = apply_alpha(picture.pixels, picture.alpha, alpha)
            prepared = self.prepare(replace(picture, pixels=pixels, alpha=transparency))
        with self._lock:
            result = self._tiling(tile).translate(prepared, label=label)
        return attach_alpha(result, transparency)

    def translate_folder(self, inputs: PathLike | Sequence[PathLike], out: PathLike, **options: Any) -> Results[Result]:
        """Translates files, folders and patterns into a folder; see `i2i.translate.translate_folder`."""
        from i2i.translate.folders.folder import translate_folder

        return translate_folder(self, inputs, out, **options)

    def translate_batch(self, images: np.ndarray, *, label: str | int | None = None) -> np.ndarray:
        """Translates images of one size.

        Args:
            images: ``(N, H, W, C)`` in the channels and `dtype` of the model, floats in [0, 1].
            label: the target of all of them.

        Returns:
            Array ``(N, scale H, scale W, C)`` of type `dtype`.

        Raises:
            DataError: shape or type do not fit the model.
            ModelError: the model fails, or gives something else than its metadata say.
            UserError: the label is missing, unknown, or of no use.
        """
        self.check_command("translate")
        channels = self.info.channels_in
        if images.ndim != 4 or images.shape[3] != channels or images.dtype != self.dtype or not images.size:
            wanted = f"{self.dtype} of shape (N, H, W, {channels})"
            raise DataError(f"the model takes {wanted}, not {images.dtype} of shape {images.shape}")
        count, height, width, _ = images.shape
        promised = (count, height * self.scale, width * self.scale, self.info.channels_out)
        return self._run(self.feeds(images, label=label), promised)

    def generate(
        self,
        count: int = 1,
        *,
        label: str | int | None = None,
        seed: int = 0,
        truncation: float | None = None,
        batch: int = 16,
    ) -> np.ndarray:
        """Makes images from noise.

        Args:
            count: how many. The noise of each depends on seed, label and its number alone.
            label: name or number of what they are to show, for models that have labels.
            seed: a whole number from 0; another one gives other images.
            truncation: noise of larger magnitude is drawn anew: less variety, fewer odd images. None: all is kept.
            batch: most images that go through the network at once.

        Returns:
            Array ``(count, H, W, C)`` of type `dtype`.

        Raises:
            ModelError: the model fails, or translates images.
            UserError: a number is out of range; the label is missing, unknown, or of no use.
        """
        self.check_command("generate")
        if count < 1 or batch < 1:
            raise UserError("count and batch are whole numbers from 1")
        batches = [range(start, min(start + batch, count)) for start in range(0, count, batch)]
        return np.concatenate(
            [self.generate_batch(numbers, label=label, seed=seed, truncation=truncation) for numbers in batches]
        )

    def generate_batch(
        self, numbers: Sequence[int], *, label: str | int | None = None, seed: int = 0, truncation: float | None = None
    ) -> np.ndarray:
        """The images of these numbers, each from 0, that `generate` makes, in one batch ``(N, H, W, C)``."""
        self.check_command("generate")
        size, index = self._inputs["noise"].shape[1:], self.label_index(label)
        noise = draw_noise(size, numbers, label=index, seed=seed, truncation=truncation)
        feeds = {"noise": noise} | self._label_feed(index, len(noise))
        return self._run(feeds, (len(noise), None, None, self.info.channels_out))

    def feeds(self, images: np.ndarray, *, label: str | int | None = None) -> dict[str, np.ndarray]:
        """What the graph is given for images ``(N, H, W, C)`` of one size: by the name of its input.

        Raises:
            UserError: the label is missing, unknown, or of no use.
        """
        feeds: dict[str, np.ndarray] = {"image": np.ascontiguousarray(images)}
        if "noise" in self._inputs:
            feeds["noise"] = same_noise(self._inputs["noise"].shape, self._inputs["image"].shape, images.shape)
        return feeds | self._label_feed(self.label_index(label), len(images))

    def interruptible(self) -> Model:
        """The same model, sharing all but what `interrupt` acts on."""
        own = copy.copy(self)
        own.run_options = onnxruntime.RunOptions()
        return own

    def interrupt(self) -> None:
        """Breaks off what this model computes, in any thread, and lets it compute no more."""
        self.run_options.terminate = True

    def check_command(self, command: Literal["generate", "translate"]) -> None:
        """Makes sure that the model is for that command.

        Raises:
            ModelError: it is for the other; the message says so.
        """
        if self.info.generates and command == "translate":
            raise ModelError(f"{printable(self.path)}: makes images from noise and takes none; use: i2i generate")
        if not self.info.generates and command == "generate":
            raise ModelError(f"{printable(self.path)}: translates images and makes none from noise; use: i2i translate")

    def prepare(self, picture: Picture) -> np.ndarray:
        """The picture's pixels ``(H, W, C)`` in the channels and type that the model takes.

        Raises:
            FileError: it has a number of channels that cannot be converted.
        """
        return to_dtype(to_channels(picture.pixels, self.info.channels_in, picture.alpha), self.dtype)

    def label_index(self, label: str | int | None) -> int | None:
        """The number of a label given by name or number; None for models without labels.

        Raises:
            UserError: the label is missing, unknown, or of no use.
        """
        if not self.takes_label:
            if label is not None:
                raise UserError(f"{printable(self.path)}: the model has no labels; leave the label out")
            return None
        known = ", ".join(self.labels) or "a number"
        if label is None:
            raise UserError(f"{printable(self.path)}: the model needs a label: {known}")
        if label in self.labels:
            return self.labels.index(str(label))
        text = str(label)
        index = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if index < 0 or (self.labels and index >= len(self.labels)):
            raise UserError(f"{printable(self.path)}: unknown label {label!r}; the model knows: {known}")
        return index

    def _label_feed(self, index: int | None, count: int) -> dict[str, np.ndarray]:
        return {} if index is None else {"label": np.full(count, index, np.int32)}

    def _run(self, feeds: dict[str, np.ndarray], promised: tuple[int, int | None, int | None, int]) -> np.ndarray:
        """The network's images, whose shape is as promised, None standing for any size."""
        try:
            (result,) = self._session.run(["image_out"], feeds, self.run_options)
        except Exception as error:  # onnxruntime raises types of its own, and RuntimeError
            raise ModelError(f"{printable(self.path)}: the model failed: {last_words(error)}") from error
        if len(result.shape) != 4 or any(p not in (None, g) for p, g in zip(promised, result.shape, strict=True)):
            raise ModelError(f"{printable(self.path)}: gave shape {result.shape} where its metadata promise {promised}")
        return result

    def _tiling(self, tile: Literal["auto", "none"] | int) -> Tiling:
        """Kept, since what it finds out about memory and statistics costs time; its notes are the model's."""
        from i2i.translate.tiles.tiling import Tiling

        if tile not in self._tilings:
            self._tilings[tile] = Tiling(self.interruptible(), tile)
            self._tilings[tile].notes = self.notes
        return self._tilings[tile]

    def _picture(self, image: ImageLike) -> Picture:
        if isinstance(image, Image.Image):
            return from_pillow(image)
        if not isinstance(image, np.ndarray):
            return read_image(image)
        if image.ndim not in (2, 3) or not image.size:
            raise FileError(ErrorKind.NOT_AN_IMAGE, f"an array of shape {image.shape} is no image")
        if image.dtype.kind == "f":
            refuse_range(image)
        pixels = image if image.ndim == 3 else image[..., np.newaxis]
        if pixels.shape[2] != 4:
            return Picture(pixels, None, None, "")
        return Picture(*split_alpha(pixels), None, "")


def attach_alpha(image: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Puts alpha ``(h, w)`` of any type on an image ``(H, W, 1 or 3)``, resized to it: RGBA ``(H, W, 4)``.

    An image of other channels, or without alpha to put on it, is returned as it is.
    """
    if alpha is None or image.shape[2] not in (1, 3):
        return image
    height, width = image.shape[:2]
    if alpha.shape != (height, width):
        alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR))
    return with_alpha(to_channels(image, 3), to_dtype(alpha, image.dtype))
