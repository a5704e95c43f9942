"""Numbers that are not finite are found in the step that makes them, before anything of it is kept.

All losses, the gradient's norm of every phase and a sum over the weights of every trained network are checked together
at the end of a step, with one wait for the device. They are finite if and only if all their numbers are, but for
gradients above 1e19, whose squares float32 cannot hold and no training can use.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, distributed, nn

from i2i.errors import TrainingError


class DivergedError(TrainingError):
    """A step made numbers that are not finite; the training in memory must not be saved or continued.

    Attributes:
        step: the step, counted from 1 as in the logs.
        what: what was not finite, with its value, for a person to read.
        in_batch: whether the batch already had such numbers, which no other learning rate can help against.
    """

    def __init__(self, step: int, what: str, *, in_batch: bool = False) -> None:
        super().__init__(f"{what} at step {step}")
        self.step, self.what, self.in_batch = step, what, in_batch


def gradient_norm(tensors: Iterable[Tensor | None]) -> Tensor:
    """Euclidean norm of all numbers of all tensors, as a scalar; 0 without any."""
    return torch.nn.utils.get_total_norm([tensor for tensor in tensors if tensor is not None])


def weights_probe(module: nn.Module) -> Tensor:
    """A scalar that is finite if and only if all weights and buffers of a network are: their norm or their sum."""
    tensors = [t.detach() for t in itertools.chain(module.parameters(), module.buffers()) if t.is_floating_point()]
    if not tensors or tensors[0].is_cuda:
        return gradient_norm(tensors)
    return torch.stack([tensor.sum() for tensor in tensors]).sum()


def fetch_numbers(
    values: Mapping[str, Tensor], others: Mapping[str, Tensor] | None = None, *, world: int = 1
) -> tuple[dict[str, float], bool]:
    """Scalars as Python numbers, with one wait for the device.

    Args:
        values: scalars by name, of any floating type.
        others: more of them, which are left out where they are not finite.
        world: number of processes, which must all ask at once.

    Returns:
        The numbers of this process, and whether the first ones are finite in every process.
    """
    named = {**(others or {}), **values}
    if not named:
        return {}, True
    stacked = torch.stack([value.detach().double() for value in named.values()])
    found = dict(zip(named, stacked.tolist(), strict=True))
    finite = all(math.isfinite(found[name]) for name in values)
    if world > 1:  # or one process would go back and the others wait for it for ever
        flag = torch.tensor(float(finite), device=stacked.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MIN)
        finite = bool(flag)
    return {name: value for name, value in found.items() if name in values or math.isfinite(value)}, finite


def divergence_error(
    step: int, found: Mapping[str, float], batches: Sequence[Mapping[str, Tensor]], modules: Mapping[str, nn.Module]
) -> DivergedError:
    """The error that names where numbers that are not finite come from: batch, loss, gradient or weight, in this order.

    Args:
        step: the step, counted from 1.
        found: what `fetch_numbers` gave, in the order of computation.
        batches: the batches of the step.
        modules: the networks.
    """
    for batch in batches:
        for key, value in batch.items():
            if value.is_floating_point() and (rows := _rows(value)):
                places = ", ".join(map(str, rows))
                what = f"'{key}' of the batch has numbers that are not finite (sample {places} of {len(value)})"
                return DivergedError(step, what, in_batch=True)
    kinds = ("loss/", "grad/", "weights/")
    bad = next((item for item in found.items() if item[0].startswith(kinds) and not math.isfinite(item[1])), None)
    if bad is None:
        return DivergedError(step, "another process has numbers that are not finite")
    name, number = bad
    if name.startswith("loss/"):
        return DivergedError(step, f"{name} is {number}")
    kind, _, owner = name.partition("/")
    if kind == "grad":
        wrong = next((n for n, m in modules.items() if any(_rows(p.grad) for p in m.parameters())), "")
        return DivergedError(step, f"the gradient of phase '{owner}'{wrong and f', network {wrong!r},'} is not finite")
    return DivergedError(step, f"a weight of network '{owner}' is not finite")


def _rows(value: Tensor | None) -> list[int]:
    """The first 8 indices along the batch dimension at which numbers are not finite."""
    if value is None:
        return []
    bad = ~torch.isfinite(value.detach())
    return sorted({int(place[0]) if len(place) else 0 for place in bad.nonzero().cpu()})[:8] if bad.any() else []
