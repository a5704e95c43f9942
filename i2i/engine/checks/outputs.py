"""Checks of what recipes and components return, made when they first run.

A plugin that returns something else than its hook asks for is stopped by one line that names it, its component and what
was expected, instead of by an error of torch far behind its cause.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from i2i.errors import PluginError
from i2i.plugins.builder import Built


def check_losses(who: str, losses: Any, *, first: bool) -> None:
    """Checks what `Recipe.losses` returned.

    Args:
        who: recipe and phase, for the message.
        losses: what should be scalars by name.
        first: nothing has been learned before: they must be finite, too, which costs a wait for the device.

    Raises:
        PluginError: they are none, no scalars, not finite, or nothing that the phase trains has a part in them.
    """
    if not isinstance(losses, Mapping) or not losses:
        raise PluginError(f"{who}: losses must return scalars by name, not {_described(losses)}")
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            raise PluginError(f"{who}: loss '{name}' must be a scalar tensor, not {_described(loss)}")
        if first and not torch.isfinite(loss):
            raise PluginError(f"{who}: loss '{name}' must be finite, and is {loss.item()} in its first step")
    if not any(loss.requires_grad for loss in losses.values()):
        raise PluginError(f"{who}: no loss depends on the networks that the phase trains: something is detached")


def checked_figures(who: str, figures: Any) -> dict[str, float]:
    """What `Recipe.evaluate` returned, as numbers by name.

    Args:
        who: the recipe, for the message.
        figures: what should be numbers by name, or None.

    Raises:
        PluginError: they are none.
    """
    if not isinstance(figures, Mapping | None):
        raise PluginError(f"{who}: evaluate must return numbers by name, not {_described(figures)}")
    checked = {}
    for name, value in (figures or {}).items():
        single = isinstance(value, int | float | np.number) or (isinstance(value, Tensor) and value.numel() == 1)
        with suppress(TypeError, ValueError, OverflowError, RuntimeError):
            if single and isinstance(name, str) and re.fullmatch(r"[\w-]+", name):
                checked[name] = float(value)
                continue
        raise PluginError(f"{who}: evaluate must return numbers by plain names, not {name!r}: {_described(value)}")
    return checked


def checked_columns(who: str, columns: Any) -> dict[str, Tensor]:
    """What `Recipe.grid` returned for a sample: images by the name of their column.

    Args:
        who: the recipe, for the message.
        columns: what should be one image or label map for each column, by name.

    Raises:
        PluginError: they are none.
    """
    if not isinstance(columns, Mapping) or not columns:
        raise PluginError(f"{who}: grid must return images by the name of their column, not {_described(columns)}")
    for name, image in columns.items():
        plain = isinstance(image, Tensor) and image.layout is torch.strided and image.device.type != "meta"
        ndim = (4 if image.is_floating_point() else 3) if plain and not image.is_complex() else 0
        if not ndim or image.ndim != ndim or len(image) != 1 or not image.numel():
            wanted = "an image (1, C, H, W) of floats, or a label map (1, H, W) of integers"
            raise PluginError(f"{who}: column '{name}' of grid must be {wanted}, not {_described(image)}")
    return {str(name): image for name, image in columns.items()}


@contextmanager
def checked_outputs(components: Iterable[Built], *, first: bool) -> Iterator[None]:
    """Checks every output of the components while the context lasts.

    Args:
        components: what to check.
        first: nothing has been learned before, so that their first outputs must be finite, too.
    """
    unique = {id(built.module): built for built in components}.values()
    checks = [_OutputCheck(built, called=not first) for built in unique]
    hooks = [check.built.module.register_forward_hook(check, with_kwargs=True) for check in checks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _OutputCheck:
    """A forward hook that checks a component's output."""

    def __init__(self, built: Built, *, called: bool) -> None:
        self.built, self.called = built, called

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        problem = _OUTPUT_PROBLEM[self.built.kind](self.built, given, output)
        # only at first: after an optimiser's step the rate may be to blame
        if not problem and not self.called and not _finite(output):
            problem = "gives values that are not finite when it is first called"
        if problem:
            raise PluginError(f"{self.built.who}: {problem}")
        self.called = True


def _generator_problem(built: Built, given: list[Tensor], output: Any) -> str:
    """Whether the output is images ``(N, out_channels, scale * H, scale * W)``, of any size if made from noise."""
    inputs = tuple(getattr(built.module, "inputs", ("image",)))
    if len(given) != len(inputs):
        return ""  # a recipe that knows this network calls it in its own way
    images = [tensor for tensor in given if tensor.ndim == 4]
    shape: tuple[int | str, ...] = (len(given[0]), built.out_channels, "H", "W")
    if "image" in inputs and images:
        shape = (*shape[:2], *(getattr(built.module, "scale", 1) * side for side in images[0].shape[2:]))
    got = tuple(output.shape) if isinstance(output, Tensor) else ()
    if len(got) != 4 or any(want not in (side, "H", "W") for want, side in zip(shape, got, strict=True)):
        text = ", ".join(map(str, shape))
        return f"must give images ({text}), as its input, channels and scale ask for, not {_described(output)}"
    return ""


def _discriminator_problem(built: Built, given: list[Tensor], output: Any) -> str:
    """Whether the output is logits, or a tuple of logits and features, or a list of these."""
    scales = output if isinstance(output, list) else [output]
    tensors = [tensor for one in scales for tensor in (one if isinstance(one, tuple) else (one,))]
    floats = [isinstance(tensor, Tensor) and tensor.is_floating_point() for tensor in tensors]
    if len(tensors) < len(scales) or not all(floats) or not tensors:
        return f"must give logits, or a tuple of logits and features, or a list of these, not {_described(output)}"
    return ""


def _loss_problem(built: Built, given: list[Tensor], output: Any) -> str:
    """Whether the output is a scalar."""
    if not isinstance(output, Tensor) or output.ndim != 0:
        return f"must give a scalar tensor, the mean over the batch, not {_described(output)}"
    return ""


def _features_problem(built: Built, given: list[Tensor], output: Any) -> str:
    """Whether the output is a list of feature maps."""
    if not isinstance(output, list | tuple) or not all(isinstance(t, Tensor) for t in output):
        return f"must give a list of feature maps, not {_described(output)}"
    return ""


_OUTPUT_PROBLEM: Mapping[str, Callable[[Built, list[Tensor], Any], str]] = {
    "generator": _generator_problem,
    "discriminator": _discriminator_problem,
    "loss": _loss_problem,
    "features": _features_problem,
}
"""By kind of component: what is wrong with an output of it; an empty text if nothing."""


def _finite(output: Any) -> bool:
    tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    try:
        return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
    except RuntimeError:  # under vmap there is no value to ask for
        return True


def _described(value: Any) -> str:
    """Type and shape of a value, for a message."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, Mapping) and not value:
        return "an empty dictionary"
    return f"a {type(value).__name__}"
