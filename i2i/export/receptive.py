"""How far an output pixel looks, measured by gradient."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from i2i.components.layers import InstanceNorm2d

LARGEST = 512
"""Side of the largest probe image; a field that reaches its border counts as global."""


def receptive_field(module: nn.Module, channels: int) -> int | None:
    """Side in pixels of the square of input pixels that can change one output pixel; None if that is the whole image.

    Measured on a copy with positive weights and without normalisation, so that nothing cancels and only the reach of
    the layers counts. Statistics over the whole image, as instance norm takes, are therefore not part of it: see
    `has_global_statistics`.
    """
    probe = _transparent(module)
    multiple = int(getattr(module, "multiple", 1))
    side = max(64, multiple * 2)
    while side <= LARGEST:
        extent = _extent(probe, channels, side)
        if extent is None:
            return None
        if extent < side - 2:
            return extent
        side *= 2
    return None


def has_global_statistics(module: nn.Module) -> bool:
    """Whether a layer normalises by statistics of the whole image."""
    return any(isinstance(layer, InstanceNorm2d | nn.InstanceNorm2d | nn.GroupNorm) for layer in module.modules())


def _transparent(module: nn.Module) -> nn.Module:
    probe = deepcopy(module).float().eval()
    for parent in list(probe.modules()):
        for name, child in parent.named_children():
            if isinstance(child, InstanceNorm2d | nn.InstanceNorm2d | nn.BatchNorm2d | nn.GroupNorm):
                setattr(parent, name, nn.Identity())
            elif isinstance(child, nn.Tanh | nn.Sigmoid):  # they would flatten the gradient to zero
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        for parameter in probe.parameters():
            parameter.fill_(1.0 / max(1, parameter[0].numel()) if parameter.ndim > 1 else 0.0)
    return probe


def _extent(probe: nn.Module, channels: int, side: int) -> int | None:
    """Largest extent over the output pixels around the centre; None when the module takes no such image."""
    image = torch.ones(1, channels, side, side, requires_grad=True)
    try:
        output: Tensor = probe(image)
    except (RuntimeError, ValueError, TypeError):
        return None
    largest = 0
    middle = output.shape[2] // 2
    # where strides are, the field differs between neighbouring pixels
    for offset in range(0, min(8, output.shape[2] // 4)):
        (gradient,) = torch.autograd.grad(output[0, :, middle + offset, middle + offset].sum(), image, retain_graph=True)
        rows = gradient[0].abs().sum((0, 2)).nonzero()
        if len(rows):
            largest = max(largest, int(rows.max() - rows.min()) + 1)
    return largest or None
