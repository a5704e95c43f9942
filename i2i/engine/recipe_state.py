"""What a recipe keeps in its attribute `state`: checked before it is saved, and put back."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from i2i.api import Recipe
from i2i.api.recipes import StateValue
from i2i.errors import PluginError, short_repr


def checked_state(recipe: Recipe, owner: str) -> dict[str, StateValue]:
    """A recipe's state as a checkpoint holds it; tensors are referred to, not copied.

    Args:
        recipe: the training method.
        owner: its name in messages.

    Raises:
        PluginError: a name is no text, or a value can be neither saved nor read without running code.
    """
    state = getattr(recipe, "state", {})  # a recipe with an __init__ of its own may not have it
    if not isinstance(state, dict):
        raise PluginError(f"{owner}: state must be a dictionary, not a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor | float | int | str):
            raise PluginError(
                f"{owner}: state holds {name!r}: {short_repr(value)}; its names are texts, and its values tensors, "
                "numbers, True or False, or texts"
            )
        if isinstance(value, Tensor) and value.requires_grad:
            raise PluginError(f"{owner}: state holds {name!r} with its gradient: detach it")
    return state


def set_state(recipe: Recipe, state: Mapping[str, StateValue], device: torch.device) -> None:
    """Gives a recipe its state of a checkpoint, tensors on the device of its networks."""
    recipe.state = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in state.items()}
