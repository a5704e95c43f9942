"""Checks of a recipe's translators before the first step: what export and translation would refuse much later."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from i2i.api import Translator
from i2i.components.inference import run_translator
from i2i.config import DataConfig
from i2i.data.loading import Data
from i2i.engine.state import Training
from i2i.errors import DataError, PluginError, attributed_to
from i2i.interface import (
    IMAGE_OUT,
    Image,
    ImageInput,
    Input,
    LabelMap,
    LabelMapInput,
    MaskInput,
    NumberInput,
    Output,
    Spatial,
    TextInput,
)
from i2i.plugins.builder import is_frozen

SMALL = (9, 21)
"""Height and width in pixels of an image that is smaller than a training's, as users have them."""
UNTYPED = ("image", "label", "noise")
"""Inputs whose type is known by their names."""
RESERVED = frozenset({"alpha", "batch", "count", "label", "noise", "seed", "tile", "truncation"})
"""Names that an input with a type cannot have: options of translating and generating."""


def check_translators(training: Training, data: Data) -> None:
    """Makes sure that what a recipe exports can be validated, exported and used.

    Each translator is run at the size of its example, at another one, and on two images of a small one.

    Args:
        training: the run in memory.
        data: its samples.

    Raises:
        DataError: a label map has a class beyond those that a translator takes.
        PluginError: a translator has an input without a type, or an example or an output that does not fit its type; it
            fails at another size; or its outputs would be compared with images that have nothing to do with its inputs.
    """
    for name, translator in training.translators().items():
        who = f"{training.owner}: translator '{name}'"
        if any(map(is_frozen, translator.module.modules())):
            raise PluginError(f"{who}: it holds a network of build.frozen or build.features, which no checkpoint holds")
        _check_inputs(who, translator)
        _check_target(who, translator, data)
        _check_classes(translator, data, training.config.data)
        try:
            _check_outputs(who, translator)
        except _AtOwnSizeError as error:
            if not _first_step_tells(training, translator, error):
                raise PluginError(str(error)) from error


def _check_inputs(who: str, translator: Translator) -> None:
    for name, example in translator.example.items():
        of = translator.type_of(name)
        if name not in (*UNTYPED, *translator.inputs):
            raise PluginError(
                f"{who}: its input '{name}' needs a type, such as inputs={{'{name}': i2i.ImageInput(key='{name}')}}; "
                f"only {', '.join(UNTYPED)} have none"
            )
        if problem := _problem(name, of, tuple(example.shape), example):
            raise PluginError(f"{who}: its example of '{name}' {problem}, not {tuple(example.shape)} {example.dtype}")
    for name, of in translator.inputs.items():
        if name not in translator.example:
            raise PluginError(f"{who}: its input '{name}' has a type and no example")
        if not name.isidentifier() or name in RESERVED:
            raise PluginError(f"{who}: an input with a type cannot be called '{name}': choose another name")
        if isinstance(of, ImageInput) and of.previous and not isinstance(translator.outputs.get(of.previous), Image):
            raise PluginError(
                f"{who}: its input '{name}' is '{of.previous}' of the frame before, which is no image output"
            )


def _problem(name: str, of: Input | None, shape: tuple[int, ...], example: Tensor) -> str:
    """What the example of an input should be, if it is something else; else empty."""
    floats = example.is_floating_point()
    if name == "image" and not isinstance(of, ImageInput | LabelMapInput):
        return "must be an image or a label map: give it an i2i.ImageInput or an i2i.LabelMapInput"
    if isinstance(of, ImageInput):
        fits = floats and len(shape) == 4 and of.channels in (0, shape[1])
        return "" if fits else f"must be (N, {of.channels or 'C'}, H, W) of floats"
    if isinstance(of, MaskInput):
        return "" if floats and len(shape) == 4 and shape[1] == 1 else "must be (N, 1, H, W) of floats"
    if isinstance(of, LabelMapInput):
        return "" if not floats and len(shape) == 3 else "must be (N, H, W) of integers"
    if isinstance(of, NumberInput) or name == "label":
        wanted = "integers" if name == "label" else "floats"
        return "" if len(shape) == 1 and floats == (name != "label") else f"must be (N,) of {wanted}"
    if isinstance(of, TextInput):
        return "" if not floats and shape[1:] == (of.length,) else f"must be (N, {of.length}) of integers"
    if of is not None:
        return "" if floats and shape[1:] == (of.size,) else f"must be (N, {of.size}) of floats"
    return "" if floats and len(shape) > 1 else "must be floats with two axes or more"


def _check_target(who: str, translator: Translator, data: Data) -> None:
    """Refuses metrics that mean nothing, and would still choose the best checkpoint."""
    if not len(data.val) or data.val.dataset.paired or "image" not in translator.example:
        return
    if translator.target not in (None, translator.source) and translator.image_output:
        raise PluginError(
            f"{who} would be validated against '{translator.target}', which in unpaired data "
            f"(data.layout={data.layout}) has nothing to do with its '{translator.source}': give the i2i.Translator "
            "target=None, or set paired = True in the recipe, which then asks for pairs"
        )


def _check_classes(translator: Translator, data: Data, config: DataConfig) -> None:
    """Refuses classes that a translator does not take, of files and of the table of colours."""
    for name, of in translator.inputs.items():
        key = translator.batch_key(name)
        if not isinstance(of, LabelMapInput) or data.kinds.get(key) != "labels":
            continue
        value, file = data.classes.get(key, (0, ""))
        found = {value: file} | dict.fromkeys(config.colors.numbers if config.colors else (), "data.label_colors")
        for number in [number for number in sorted(found) if number >= of.count and number != of.ignore]:
            where = "data.label_ignore" if number == config.label_ignore else found[number]
            raise DataError(f"{where}: has the class {number}, and the recipe knows those from 0 to {of.count - 1}")


def _first_step_tells(training: Training, translator: Translator, error: _AtOwnSizeError) -> bool:
    """Whether the first step finds the same and says more of it: the component, or layer, phase and memory."""
    components = {type(built.module) for built in training.components}
    networks = {type(module) for module in training.modules.values()}
    if error.raised:
        return type(translator.module) in components | networks
    return type(translator.module) in components and translator.outputs == {IMAGE_OUT: Image()}


class _AtOwnSizeError(PluginError):
    """A translator is wrong at the size of the training already.

    Attributes:
        raised: whether its module raised an error, rather than give something wrong.
    """

    def __init__(self, problem: str, *, raised: bool) -> None:
        super().__init__(problem)
        self.raised = raised


@torch.inference_mode()
def _check_outputs(who: str, translator: Translator) -> None:
    """Runs the translator at several sizes and looks at the shapes of its outputs.

    Raises:
        _AtOwnSizeError: something of that is so at the size of the training already.
        PluginError: it fails, or an output has another rank, size or number of channels than it should.
    """
    image = translator.example.get("image")
    visible = [name for name, of in translator.outputs.items() if isinstance(of, Image | LabelMap)]
    if image is None and (len(visible) != 1 or len(translator.outputs) > 1):
        raise PluginError(f"{who}: without an input 'image' it must give one image or label map and nothing else")
    fixed = getattr(translator.module, "size", None)
    if fixed is not None and (image is None or tuple(image.shape[-2:]) != tuple(fixed)):
        raise PluginError(f"{who}: its module is for {fixed}, height and width, and the example has another size")
    sizes: dict[tuple[int, int] | None, str] = {None: ""}
    if image is not None and fixed is None:
        height, width = image.shape[-2:]
        sizes[height + 7, width - width // 4] = "module.size = (height, width) declares a network for one size"
        sizes[SMALL] = "module.minimum says the least height and width that a network takes"
    for wanted, hint in sizes.items():
        count = 1 if image is not None and wanted != SMALL and fixed is None else 2  # two large images may need memory
        values = _example(translator, wanted, count)
        size = tuple(values["image"].shape[-2:]) if image is not None else ()
        images = f"{count} image{'s' * (count > 1)}"
        where = f"for {images} of {size[0]} x {size[1]} pixels" if size else f"for {images}"
        try:
            with attributed_to("it fails"):
                outputs = run_translator(translator, values)
            for name, value in outputs.items():
                of, shape = translator.outputs[name], tuple(value.shape)
                _check_shape(f"its output '{name}'", of, shape, (count, *size))
        except PluginError as error:
            problem = f"{who}, {where}: {error}{hint and '; '}{hint}"
            if wanted is None:
                raise _AtOwnSizeError(problem, raised=error.__cause__ is not None) from error
            raise PluginError(problem) from error


def _check_shape(what: str, of: Output, shape: tuple[int, ...], images: tuple[int, ...]) -> None:
    """Raises PluginError unless an output's shape fits the images: how many there are, their height and width."""
    count, *size = images
    if shape[0] != count:
        raise PluginError(f"{what} must have a row for each image, and has the shape {shape}")
    if isinstance(of, Image) and of.channels not in (0, shape[1]):
        raise PluginError(f"{what} must have {of.channels} channels, and has the shape {shape}")
    if isinstance(of, Image | LabelMap) and size:
        scale = max(1, round(shape[-1] / size[1]))
        if shape[-2:] != (size[0] * scale, size[1] * scale):
            raise PluginError(
                f"{what} has {shape[-2]} x {shape[-1]} pixels, no whole multiple of that: the module's attribute "
                "`multiple` says what height and width must be divisible by"
            )


def _example(translator: Translator, size: tuple[int, int] | None, count: int) -> Mapping[str, Tensor]:
    """The example as a batch of so many; with a size, its images repeated or cut to that height and width."""
    values = {}
    for name, tensor in translator.example.items():
        value = tensor[:1].expand(count, *tensor.shape[1:])
        if size is not None and isinstance(translator.type_of(name), Spatial):
            rows, columns = (torch.arange(n) % value.shape[axis] for n, axis in zip(size, (-2, -1), strict=True))
            value = value[..., rows, :][..., columns]
        values[name] = value
    return values
