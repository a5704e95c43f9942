"""What recipes and components promise, checked when they first run.

A plugin that breaks its promise is stopped by one line that names it, its component and what was expected, instead of
by an error of torch far behind its cause.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from i2i.api import Recipe
from i2i.builder import Built
from i2i.config import RunConfig
from i2i.errors import PluginError, blaming
from i2i.plugins import Plugins


def build_recipe(config: RunConfig, plugins: Plugins) -> Recipe:
    """The configured recipe.

    Raises:
        PluginError: it cannot be built, or is no recipe.
    """
    who = plugins.owner("recipe", config.recipe)
    with blaming(who):
        recipe = plugins.get("recipe", config.recipe).build(config.options)
    if not isinstance(recipe, Recipe):
        raise PluginError(f"{who}: must build an i2i.Recipe, not a {type(recipe).__name__}")
    if isinstance(recipe.needs, str) or not all(isinstance(key, str) for key in recipe.needs):
        raise PluginError(f"{who}: needs must be a set of names, such as {{'source', 'target'}}, not {recipe.needs!r}")
    return recipe


def check_losses(who: str, losses: Any, *, first: bool) -> None:
    """Checks what `Recipe.losses` returned.

    Args:
        who: recipe and phase, for the message.
        losses: what should be scalars by name.
        first: the phase runs for the first time: they must be finite, too, which costs a wait for the device.

    Raises:
        PluginError: they are none, no scalars, not finite, or nothing that the phase trains has a part in them.
    """
    if not isinstance(losses, Mapping) or not losses:
        raise PluginError(f"{who}: losses must return scalars by name, not {_named(losses)}")
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            raise PluginError(f"{who}: loss '{name}' must be a scalar tensor, not {_named(loss)}")
        if first and not torch.isfinite(loss):
            raise PluginError(f"{who}: loss '{name}' must be finite, and is {float(loss)} in its first step")
    if not any(loss.requires_grad for loss in losses.values()):
        raise PluginError(f"{who}: no loss depends on the networks that the phase trains: something is detached")


def culprit(components: Iterable[Built], error: BaseException) -> str:
    """The innermost component that an error passed through, as messages name it; empty if it was none."""
    names = {id(built.module): built.who for built in components}
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    passed = [names[key] for frame in frames if (key := id(frame.f_locals.get("self"))) in names]
    return passed[-1] if passed else ""


@contextmanager
def watched(components: Iterable[Built]) -> Iterator[None]:
    """Meanwhile every output of the components is checked."""
    components = list(components)
    for built in components:
        built.module.forward = _guarded(built)
    try:
        yield
    finally:
        for built in components:
            del built.module.forward


def _guarded(built: Built) -> Callable[..., Any]:
    forward = built.module.forward
    called = False

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        output = forward(*args, **kwargs)
        problem = _PROMISES[built.kind](built, args, output)
        if not problem and not called and not _finite(output):  # after an optimiser's step the rate may be to blame
            problem = "gives values that are not finite when it is first called"
        if problem:
            raise PluginError(f"{built.who}: {problem}")
        called = True
        return output

    return call


def _generator(built: Built, args: tuple[Any, ...], output: Any) -> str:
    """Images ``(N, out_channels, scale * H, scale * W)``, finite."""
    inputs = tuple(getattr(built.module, "inputs", ("image",)))
    image = args[inputs.index("image")] if "image" in inputs and len(args) >= len(inputs) else None
    scale = getattr(built.module, "scale", 1)
    height, width = (scale * side for side in image.shape[2:]) if image is not None else built.size
    shape = (args[0].shape[0] if args else 1, built.out_channels, height, width)
    if not isinstance(output, Tensor) or output.shape != shape:
        return f"must give images {shape}, as its input, channels and scale ask for, not {_named(output)}"
    return ""


def _discriminator(built: Built, args: tuple[Any, ...], output: Any) -> str:
    """Logits, or a tuple that begins with them."""
    tensors = output if isinstance(output, tuple) else (output,)
    if not tensors or not all(isinstance(t, Tensor) and t.is_floating_point() for t in tensors):
        return f"must give logits, or a tuple of logits and features, not {_named(output)}"
    return ""


def _loss(built: Built, args: tuple[Any, ...], output: Any) -> str:
    """A finite scalar."""
    if not isinstance(output, Tensor) or output.ndim != 0:
        return f"must give a scalar tensor, the mean over the batch, not {_named(output)}"
    return ""


def _features(built: Built, args: tuple[Any, ...], output: Any) -> str:
    """A list of feature maps."""
    if not isinstance(output, list | tuple) or not all(isinstance(t, Tensor) for t in output):
        return f"must give a list of feature maps, not {_named(output)}"
    return ""


_PROMISES: Mapping[str, Callable[[Built, tuple[Any, ...], Any], str]] = {
    "generator": _generator,
    "discriminator": _discriminator,
    "loss": _loss,
    "features": _features,
}
"""Kind of component -> what is wrong with an output of it, or nothing."""


def _finite(output: Tensor | list[Tensor] | tuple[Tensor, ...]) -> bool:
    tensors = [output] if isinstance(output, Tensor) else output
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def _named(value: Any) -> str:
    """What a value is, for a message."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, Mapping) and not value:
        return "an empty dictionary"
    return f"a {type(value).__name__}"
