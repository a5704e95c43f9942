"""Networks as they are used for translation, in validation and in export alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from i2i.api import Recipe, Translator
from i2i.components.layers import InstanceNorm2d
from i2i.config import RunConfig
from i2i.errors import PluginError, attributed_to
from i2i.interface import Image, LabelMap, Number, Spatial
from i2i.plugins.builder import is_frozen


@dataclass(frozen=True)
class Inference:
    """A recipe with copies of its networks for inference, as they were at one step.

    Attributes:
        recipe: the training method.
        translators: its translators by name.
        networks: its networks by name; empty unless the recipe has an `evaluate` or a `grid` of its own.
    """

    recipe: Recipe
    translators: Mapping[str, Translator]
    networks: Mapping[str, nn.Module]


def has_own(recipe: Recipe, method: str) -> bool:
    """Whether a recipe has another method of that name than the default."""
    return getattr(type(recipe), method) is not getattr(Recipe, method)


def copy_for_inference(
    recipe: Recipe, networks: Mapping[str, nn.Module], sample: dict[str, Tensor], config: RunConfig, who: str
) -> Inference:
    """Copies of a recipe's networks for validation and sample grids; arguments as of `inference_translators`."""
    own = has_own(recipe, "evaluate") or has_own(recipe, "grid")
    statistics = config.train.batch_size == 1
    copies = {
        name: m if is_frozen(m) else for_inference(m, image_statistics=statistics)
        for name, m in networks.items()
        if own
    }
    return Inference(recipe, inference_translators(recipe, networks, sample, config, who), copies)


def inference_translators(
    recipe: Recipe, networks: Mapping[str, nn.Module], sample: dict[str, Tensor], config: RunConfig, who: str
) -> dict[str, Translator]:
    """The recipe's translators with copies of their networks, made ready for translation by `for_inference`.

    Batch norm that trained on one image at a time goes on using that image's statistics.

    Args:
        recipe: the training method.
        networks: its networks by name.
        sample: a batch, for shapes.
        config: the run's configuration.
        who: the recipe as messages name it.

    Raises:
        PluginError: the recipe gives no translators, or one that is not usable.
    """
    image_statistics = config.train.batch_size == 1
    with attributed_to(f"{who}, translators"):
        translators = recipe.translators(networks, sample)
    if not isinstance(translators, Mapping) or not translators:
        raise PluginError(f"{who}: translators must return at least one i2i.Translator by name")
    for name, translator in translators.items():
        usable = isinstance(translator, Translator) and isinstance(translator.module, nn.Module) and translator.example
        if not usable or not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
            raise PluginError(f"{who}: translator '{name}' needs a plain name, a module and an example")
    with attributed_to(f"{who}, translators"):
        return {
            name: replace(
                translator,
                module=for_inference(translator.module, image_statistics=image_statistics),
                example={key: t.float() if t.is_floating_point() else t for key, t in translator.example.items()},
            )
            for name, translator in translators.items()
        }


def for_inference(module: nn.Module, *, image_statistics: bool) -> nn.Module:
    """A copy as it is used for translation: in evaluation mode, in float32, without gradients.

    Args:
        module: a trained network; left as it is.
        image_statistics: replace batch norm by instance norm with the same scale and shift. That is what batch norm
            computes when it trains on one image, and pix2pix uses at test time (arXiv:1611.07004, section 3.4).
    """
    copy = deepcopy(module, _computed(module)).eval()
    for layer in [layer for layer in copy.modules() if is_parametrized(layer)]:
        _keep_computed_weights(layer)
    if image_statistics:
        if isinstance(copy, nn.BatchNorm2d):
            copy = _as_instance_norm(copy)
        for parent in list(copy.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(parent, name, _as_instance_norm(child))
    return copy.float().eval().requires_grad_(False)


def _keep_computed_weights(layer: nn.Module) -> None:
    """Makes a layer an ordinary one whose weights are what its parametrizations, such as spectral norm, give now.

    `torch.nn.utils.parametrize.remove_parametrizations` would change the class of the layer that this is a copy of.
    """
    names: Any = layer.parametrizations
    weights = {name: getattr(layer, name).detach().clone() for name in names}
    del layer.parametrizations
    layer.__class__ = type(layer).__bases__[0]
    for name, weight in weights.items():
        setattr(layer, name, nn.Parameter(weight))


def mirror_padded(image: Tensor, multiple: int, minimum: int) -> Tensor:
    """Mirrors the right and lower sides until both lengths are multiples; also when that is longer than the image.

    Gathering computed indices serves every length down to one pixel, where torch's reflection padding refuses, and
    lengths that are known only when an exported graph runs.

    Args:
        image: ``(N, C, H, W)``, or a label map ``(N, H, W)``.
        multiple: what height and width must be divisible by.
        minimum: the least of both.
    """
    if multiple == 1 and minimum == 1:
        return image
    short = max(0, -(-minimum // multiple) - 1)  # pieces that the smallest allowed image has before its last
    for axis in (-2, -1):
        length = image.shape[axis]
        pieces = torch.sym_max(length - 1 - short * multiple, 0) // multiple + 1 + short
        index = torch.arange(pieces * multiple, device=image.device)
        around = index - torch.div(index, 2 * length, rounding_mode="floor") * (2 * length)
        image = image.index_select(axis, torch.minimum(around, 2 * length - 1 - around))
    return image


def run_translator(translator: Translator, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The translator's outputs by name, of inputs of any size: these are padded, and the outputs cropped back.

    Args:
        translator: on copies of the networks for inference.
        values: its inputs by name, in the form in which its module takes them.

    Returns:
        Images ``(N, C, H, W)``, label maps ``(N, H, W)`` int64, numbers ``(N,)``, vectors ``(N, size)``.

    Raises:
        PluginError: the module returns another number of outputs than the translator names, or one of another form.
    """
    module, inputs = translator.module, {name: values[name] for name in translator.example}
    if getattr(module, "size", None) is None:
        multiple, minimum = int(getattr(module, "multiple", 1)), int(getattr(module, "minimum", 1))
        for name in [name for name in inputs if isinstance(translator.type_of(name), Spatial)]:
            inputs[name] = mirror_padded(inputs[name], multiple, minimum)
    result = module(*inputs.values())
    results = result if isinstance(result, tuple | list) else (result,)
    if len(results) != len(translator.outputs):
        names = ", ".join(translator.outputs)
        raise PluginError(f"the module must return {len(translator.outputs)} outputs ({names}), not {len(results)}")
    given = dict(zip(translator.outputs, results, strict=True))
    before = (values["image"], inputs["image"]) if "image" in inputs else None
    return {name: _output(translator, name, value, before) for name, value in given.items()}


def _output(translator: Translator, name: str, value: Any, before: tuple[Tensor, Tensor] | None) -> Tensor:
    """An output in its own form, cropped by what the image, here before and after that, was padded with."""
    of = translator.outputs[name]
    shape = tuple(value.shape) if isinstance(value, Tensor) else ()
    if isinstance(of, Image | LabelMap):
        scores = len(shape) == 4
        if not scores and not (isinstance(of, LabelMap) and len(shape) == 3):
            raise PluginError(f"output '{name}' must be {'(N, C, H, W)'}, not {shape or type(value).__name__}")
        if before is not None:
            scale = max(1, value.shape[-1] // before[1].shape[-1])
            value = value[..., : before[0].shape[-2] * scale, : before[0].shape[-1] * scale]
        if isinstance(of, LabelMap):
            return value.argmax(1) if scores else value.long()
        return value
    ndim, text = (1, "(N,)") if isinstance(of, Number) else (2, "(N, size)")
    if ndim == 1 and len(shape) == 2 and shape[1] == 1:
        value, shape = value[:, 0], shape[:1]
    if len(shape) != ndim:
        raise PluginError(f"output '{name}' must be {text}, not {shape or type(value).__name__}")
    return value.float()


def _computed(module: nn.Module) -> dict[int, Tensor]:
    """Memo for deepcopy: detached copies of a module's computed tensors, such as those of spectral norm, by id."""
    values = [value for layer in module.modules() for value in vars(layer).values() if isinstance(value, Tensor)]
    return {id(value): value.detach().clone() for value in values if not value.is_leaf}


def _as_instance_norm(norm: nn.BatchNorm2d) -> InstanceNorm2d:
    replacement = InstanceNorm2d(norm.num_features, affine=norm.affine, eps=norm.eps)
    replacement.weight, replacement.bias = norm.weight, norm.bias
    return replacement
