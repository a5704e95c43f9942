"""Checks of losses and penalties."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from i2i.engine.context import StepContext
from i2i.plugins.builder import Builder
from i2i.testing.subject import Check, Skipped, Subject, fail, failing_as


def scalar(subject: Subject) -> None:
    """Gives a finite float32 scalar that can be differentiated."""
    module = _built(subject)
    for place in range(len(_calls(module, _batch(4)))):
        what, call = _calls(module, _batch(4))[place]
        with failing_as(what):
            value = call()
        if not isinstance(value, Tensor) or value.ndim != 0:
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            fail(f"{what}: must give a scalar tensor, not {got}")
        if value.dtype != torch.float32 or not torch.isfinite(value):
            fail(f"{what}: must give a finite float32, not {value.item()} as {value.dtype}")
        if not value.requires_grad:
            fail(f"{what}: nothing can be learned from it, for it does not depend on what it was given")
        value.backward()


def mean(subject: Subject) -> None:
    """Is the mean over the batch: the same images twice cost the same."""
    module = _built(subject)
    once = _batch(4)
    twice = {name: torch.cat([x, x]).detach().requires_grad_() for name, x in once.items()}
    for (what, single), (_, double) in zip(_calls(module, once), _calls(module, twice), strict=True):
        values = single().item(), double().item()
        if abs(values[0] - values[1]) > 1e-4 * max(1.0, abs(values[0])):
            fail(
                f"{what}: {values[0]:.5g} for a batch, {values[1]:.5g} for the batch twice: "
                "average over images, or several processes will not agree with one"
            )


LOSS: Sequence[Check] = (scalar, mean)


class _FixedContext(StepContext):
    """A step's context whose random numbers are always the same."""

    def rand(self, *shape: int) -> Tensor:
        """One half everywhere."""
        return torch.full(shape, 0.5)

    def randn(self, *shape: int) -> Tensor:
        """Zeros."""
        return torch.zeros(shape)


def _built(subject: Subject) -> nn.Module:
    """The loss or penalty."""
    return Builder(subject.plugins, (64, 64)).loss(subject.name, **subject.options)


def _batch(size: int) -> dict[str, Tensor]:
    """Real and generated images ``(size, 3, 64, 64)`` in [-1, 1], which require gradients."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: (torch.rand(size, 3, 64, 64, generator=generator) * 2 - 1).requires_grad_() for name in ("real", "fake")
    }


def _calls(module: nn.Module, batch: dict[str, Tensor]) -> list[tuple[str, Callable[[], Any]]]:
    """Each way in which recipes call a loss of this sort: how messages name the call, and the call itself."""
    real, fake = batch["real"], batch["fake"]
    if getattr(module, "penalty", False):
        torch.manual_seed(0)
        score = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 1, 3))
        context = _FixedContext(0, 100, torch.device("cpu"), torch.float32)
        context.begin(0)
        return [("penalty(score, real, fake, ctx)", lambda: module(score, real=real, fake=fake, ctx=context))]
    parameters = inspect.signature(module.forward).parameters
    if "fake" not in parameters:
        needed = [p for p in parameters.values() if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD]
        if len(needed) != 2:
            raise Skipped("its recipe knows how to call it; the kit tries loss(output, target)")
        return [("loss(output, target)", lambda: module(fake, real.detach()))]
    logits = {name: images.mean((1, 2, 3)) * 50 for name, images in batch.items()}
    compares = getattr(module, "compares", False)
    generator = logits if compares else {"fake": logits["fake"]}
    return [
        ("loss('discriminator', real, fake)", lambda: module("discriminator", **logits)),
        (
            f"loss('generator', {', '.join(generator)}), without real unless it has compares = True",
            lambda: module("generator", **generator),
        ),
    ]
