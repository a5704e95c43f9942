"""An exported model as users hold it: one ONNX file that translates images, folders and batches, or makes images."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np

from i2i.errors import ModelError, UserError, short_repr
from i2i.files import printable
from i2i.images.errors import errors_about
from i2i.images.pixels import AlphaRule
from i2i.images.values import deepest
from i2i.interface import Image, LabelMap, Number
from i2i.runtime.computing.verified import Candidates, exactly
from i2i.runtime.network import ExportedNetwork
from i2i.runtime.opening import open_network
from i2i.runtime.sandbox.check import check_model
from i2i.translate.find import find_model
from i2i.translate.folders.folder import translate_folder
from i2i.translate.folders.planning.inputs import PathLike
from i2i.translate.generate import generated_pixels
from i2i.translate.inputs import GivenInputs, repeated
from i2i.translate.pictures import ImageLike, attach_alpha, network_input, open_picture, output_type, to_output
from i2i.translate.results import Result, Results
from i2i.translate.tiles.tiling import Tiling

MAX_NOTES = 20
"""Lines in `Model.notes` after which those about further images are left out."""


def load(
    path: str | os.PathLike[str],
    *,
    translator: str | None = None,
    device: str = "auto",
    check: bool = False,
    candidates: Candidates | None = None,
) -> Model:
    """Loads an exported model; `i2i.load` is the same, with backends by name.

    Args:
        path: as for `i2i.load`, and so are `translator`, `device` and `check`.
        translator: which of several to take.
        device: where onnxruntime computes; not used where there are candidates.
        check: try the file in a process of its own first.
        candidates: the backends that may compute it; None: onnxruntime in float32.

    Raises:
        ModelError: there is no model, or several and `translator` names none; the file is no ONNX file that i2i
            exported; or it failed the check.
        UserError: `device` is unknown.
    """
    file = find_model(path, translator)
    verdict = check_model(file) if check else ""
    network = open_network(file, candidates or exactly(device), verdict)
    if translator not in (None, network.info.translator):
        what = f"has one translator, {network.info.translator!r}, and no {translator!r}; leave the translator out"
        raise ModelError(what, path=printable(file))
    if size := network.info.size:
        taken = f"images are resized to {size[1]} x {size[0]} pixels, the only size that the model takes"
        network.runner.notes.append(taken)
    return Model(network)


class Model:
    """An exported model, ready to translate or to generate; safe to use from several threads.

    Attributes:
        info: what the file's metadata say, parsed and checked.
        path: the file.
        notes: lines for the user, such as that a device could not be used.
        network: the exported network; for `i2i.translate` itself, and may change.
    """

    def __init__(self, network: ExportedNetwork) -> None:
        self.network = network
        self.info = network.info
        self.path = network.path
        self.notes = network.runner.notes
        self._lock = threading.Lock()
        self._tilings: dict[str | int, Tiling] = {}

    def __repr__(self) -> str:
        """The file, and what it takes and gives."""
        colours = {0: "noise", 1: "grey", 3: "RGB", 4: "RGBA"}
        takes, gives = (colours.get(count, f"{count} channels") for count in self.channels)
        names = f" of {len(self.labels)}: {short_repr(list(self.labels))}" if self.labels else ""
        labels = f", takes a label{names}" if self.takes_label else ""
        what = f"{self.recipe} {self.info.translator}, {takes} -> {gives}, scale {self.scale}, {self.dtype}{labels}"
        return f"<i2i.Model {printable(self.path)}: {what}, {self.provider}>"

    @property
    def provider(self) -> str:
        """What computes, such as ``CPUExecutionProvider`` of onnxruntime, or ``OpenVINO bf16``."""
        return self.network.runner.provider

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
        return self.network.takes_label

    @property
    def metadata(self) -> dict[str, str]:
        """The file's metadata entries ``i2i.*`` as text, by key without that prefix."""
        return dict(self.info.raw)

    @property
    def dtype(self) -> np.dtype:
        """Type of the images that `translate_batch` takes and gives: uint8, or float32 in [0, 1]."""
        return self.network.dtype

    def translate(
        self,
        image: ImageLike,
        *,
        label: str | int | None = None,
        tile: Literal["auto", "none"] | int = "auto",
        alpha: AlphaRule = "keep",
        seed: int | None = None,
        **inputs: Any,
    ) -> Any:
        """Translates one image.

        Args:
            image: a path; the bytes of an image file, or a file opened with mode ``rb``; an image that Pillow opened,
                whose EXIF orientation is applied as for a path; or an array ``(H, W)`` or ``(H, W, C)``, uint8, uint16
                or floating point in [0, 1]; of any values where the model was trained with ``data.source_range``, which
                maps them. Grey, RGB and RGBA are converted to what the model takes, and so is the bit depth.
            label: name or number, from 0, of the target, for models that have labels. Where names are numbers
                themselves, a text is a name only.
            tile: side in pixels of the pieces that a large image is translated in; ``auto``: as memory allows;
                ``none``: always in one piece.
            alpha: what becomes of transparency. ``keep``: put on the output, enlarged with it, which is RGBA then if
                the model takes no alpha and gives 1 or 3 channels; before that, the colours of the nearest visible
                pixels are spread to where alpha is 0. ``drop``: left out; ``white`` and ``black``: the image is put on
                that colour first.
            seed: noise and vectors that are not given are drawn with it; None: they are the same for every image.
            inputs: the model's further inputs by name: images, label maps and masks as `image`; a number; a text; a
                vector as numbers or the name of an ``.npy`` file.

        Returns:
            Array ``(scale H, scale W, C)`` in the type and units of the targets of the training; where these were of
            the type of the sources, both at full scale, in the deeper one of that type and the image's. What of the
            image could not be kept is in `notes`. Of a model that gives something else than one picture, a dictionary
            of all outputs by name: such arrays, label maps ``(scale H, scale W)`` uint8, floats, vectors ``(size,)``.

        Raises:
            DataError: the image, or another input, cannot be read or converted.
            ModelError: the model fails, or takes no image.
            UserError: the label or another input is missing, unknown, or not taken by the model, or an option is out
                of range.

        Example:
            >>> import i2i
            >>> i2i.load("model.onnx").translate("photos/cat.png").shape
            (16, 20, 3)
        """
        self.network.check_command("translate")
        if alpha not in get_args(AlphaRule):
            raise UserError(f"alpha is one of {', '.join(get_args(AlphaRule))}, not {alpha!r}")
        with errors_about(image if isinstance(image, str | os.PathLike) else "image"):
            picture = open_picture(image, any_range=self.info.source_range is not None, pages=self.info.pages)
            given = network_input(picture, alpha, self.network)
        index = self.network.label_index(label)
        feeds = GivenInputs(self.network, inputs, seed).feeds(shape=given.pixels.shape, label=index)
        with self._lock:
            outputs = self._tiling(tile).translate(given.pixels, label=label, inputs=feeds)
        self.notes += [note for note in given.notes if note not in self.notes][: max(0, MAX_NOTES - len(self.notes))]
        dtype = output_type(self.info, picture.pixels.dtype)
        dtype = np.dtype(np.float32 if dtype.kind == "f" else deepest([dtype.name, self.info.target_type]))
        found = {name: self._result(name, value, dtype, given.alpha) for name, value in outputs.items()}
        return next(iter(found.values())) if len(found) == len(self.info.pictures) == 1 else found

    def _result(self, name: str, value: np.ndarray, dtype: np.dtype, alpha: np.ndarray | None) -> Any:
        """An output as users get it; an image in that type, with that alpha."""
        of = self.info.outputs[name]
        if isinstance(of, Image):
            return attach_alpha(to_output(value, self.info, dtype), alpha)
        return value[..., 0] if isinstance(of, LabelMap) else float(value) if isinstance(of, Number) else value

    def translate_folder(self, inputs: PathLike | Sequence[PathLike], out: PathLike, **options: Any) -> Results[Result]:
        """Translates files, folders and patterns into a folder; see `i2i.translate.translate_folder`."""
        return translate_folder(self, inputs, out, **options)

    def translate_batch(
        self,
        images: np.ndarray,
        *,
        label: str | int | None = None,
        inputs: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Any:
        """Translates images of one size.

        Args:
            images: ``(N, H, W, C)`` in the channels and `dtype` of the model, floats in [0, 1]; for a model of label
                maps ``(N, H, W, 1)`` uint8.
            label: the target of all of them.
            inputs: further inputs by name, each with one row an image: images and masks as `images`, label maps
                ``(N, H, W, 1)`` uint8, numbers ``(N,)`` float32, texts ``(N, length)`` int32 as `i2i.encode_text` makes
                them, vectors ``(N, size)`` float32.

        Returns:
            Array ``(N, scale H, scale W, C)`` of type `dtype`; of a model that gives something else than one picture, a
            dictionary of all outputs by name.

        Raises:
            DataError: shape or type do not fit the model.
            ModelError: the model fails, or gives something else than its metadata say.
            UserError: the label or another input is missing, unknown, or not taken by the model.
        """
        outputs = self.network.translate(images, label=label, inputs=inputs)
        return next(iter(outputs.values())) if len(outputs) == len(self.info.pictures) == 1 else outputs

    def generate(
        self,
        count: int = 1,
        *,
        label: str | int | None = None,
        seed: int = 0,
        truncation: float | None = None,
        batch: int = 16,
        **inputs: Any,
    ) -> np.ndarray:
        """Makes images from noise.

        Args:
            count: how many. The noise of each depends on seed, label and its number alone.
            label: name or number of what they are to show, for models that have labels.
            seed: a whole number from 0; another one gives other images.
            truncation: noise of larger magnitude is drawn anew: less variety, fewer odd images. None: all is kept.
            batch: most images that go through the network at once.
            inputs: the model's further inputs by name, the same for all images; as for `translate`.

        Returns:
            Array ``(count, H, W, C)`` in the type and units of the images that the model was trained on.

        Raises:
            ModelError: the model fails, or translates images.
            UserError: a number is out of range; the label is missing, unknown, or not taken by the model.

        Example:
            >>> import i2i
            >>> i2i.load("dreams.onnx").generate(3, label="cat", seed=1).shape
            (3, 8, 8, 1)
        """
        self.network.check_command("generate")
        if count < 1 or batch < 1:
            raise UserError("count and batch are whole numbers from 1")
        batches = [range(start, min(start + batch, count)) for start in range(0, count, batch)]
        options = {"label": label, "seed": seed, "truncation": truncation, **inputs}
        return np.concatenate([self.generate_batch(numbers, **options) for numbers in batches])

    def generate_batch(
        self,
        numbers: Sequence[int],
        *,
        label: str | int | None = None,
        seed: int = 0,
        truncation: float | None = None,
        **inputs: Any,
    ) -> np.ndarray:
        """Makes the images of these numbers in one batch.

        Args:
            numbers: one for each image, from 0, as `generate` counts them.
            label: name or number of what they are to show, for models that have labels.
            seed: a whole number from 0; another one gives other images.
            truncation: largest magnitude of the noise, above 0; None: no limit.
            inputs: the model's further inputs by name, the same for all images; as for `translate`.

        Returns:
            Array ``(N, H, W, C)`` in the type and units of the images that the model was trained on.

        Raises:
            ModelError: the model fails, or translates images.
            UserError: a number is out of range; the label is missing, unknown, or not taken by the model.
        """
        self.network.check_command("generate")
        feeds = repeated(GivenInputs(self.network, inputs).feeds(), len(numbers))
        images = self.network.generate(numbers, label=label, seed=seed, truncation=truncation, inputs=feeds)
        return generated_pixels(images, self.info)

    def _tiling(self, tile: Literal["auto", "none"] | int) -> Tiling:
        """The `Tiling` for that option, kept for later calls: finding out memory and statistics takes time."""
        if tile not in self._tilings:
            self._tilings[tile] = Tiling(self.network.interruptible(), tile, self.notes)
        return self._tilings[tile]
