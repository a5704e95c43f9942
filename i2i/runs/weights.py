"""Whether weights fit networks. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def mismatched_keys(modules: Mapping[str, nn.Module], given: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """One line for each tensor, or whole network, that is on one side only or has another shape.

    Args:
        modules: the networks that are to get weights.
        given: state dicts by network.
    """
    lines = [f"{name}: in the checkpoint only" for name in given if name not in modules]
    for name, module in modules.items():
        own = module.state_dict()
        if own and name not in given:
            lines.append(f"{name}: not in the checkpoint")
            continue
        there = given.get(name, {})
        for key, tensor in own.items():
            if key not in there:
                lines.append(f"{name}.{key}: not in the checkpoint")
            elif there[key].shape != tensor.shape:
                lines.append(f"{name}.{key}: {_shape(there[key])} in the checkpoint, {_shape(tensor)} here")
        lines += [f"{name}.{key}: in the checkpoint only" for key in there if key not in own]
    return lines


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"
