"""Receptive field of a network, measured by gradient."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from i2i.api import Translator
from i2i.components.layers import InstanceNorm2d
from i2i.interface import Image, ImageInput, MaskInput

NEUTRAL = (InstanceNorm2d, nn.InstanceNorm2d, nn.BatchNorm2d, nn.GroupNorm, nn.Tanh, nn.Sigmoid)
"""Layers that do not mix pixels, left out to measure: normalisation, and activations whose gradient may vanish."""

MAX_SIDE = 2048
"""Length of the longest probe image; a field that reaches its border counts as global."""


def receptive_field(translator: Translator) -> int | None:
    """Side in pixels of the centred square outside of which no input pixel changes an output pixel.

    Measured on a copy with positive weights and without normalisation, so that nothing cancels and only the reach of
    the layers counts. An influence that is too small for float32 (under 1e-38) does not: of the 703 pixels that 350
    convolutions in RRDBs with scaled residuals could see, 139 are left. Statistics over the whole image, as instance
    norm takes, are not part of it: see `has_global_statistics`.

    Args:
        translator: its module takes an image, and perhaps others that belong to it pixel by pixel.

    Returns:
        Twice the largest reach plus one; None when it is the whole image, or cannot be measured: of a network that
        takes a label map, a number or a text, or gives something else than one image, or says by an attribute
        ``sees_whole_image`` that it does what the gradient does not show, such as attention.
    """
    module = translator.module
    if getattr(module, "sees_whole_image", False):
        return None
    types = [translator.type_of(name) for name in translator.example]
    pictures = [of for of in types if isinstance(of, ImageInput | MaskInput) and not getattr(of, "own_size", False)]
    one_image = [isinstance(of, Image) for of in translator.outputs.values()] == [True]
    if not one_image or len(pictures) < len(types):
        return None
    channels = [tensor.shape[1] for tensor in translator.example.values()]
    probe = _transparent(module)
    multiple = int(getattr(module, "multiple", 1))
    side = max(64, multiple * 2)
    while side <= MAX_SIDE:
        if side // 2 <= multiple:  # no reach would be known to end within this image
            side *= 2 if side < 512 else 4
            continue
        reach = _reach(probe, channels, side, multiple)
        if reach is None:
            return None
        if reach < side // 2 - multiple:
            return 2 * reach + 1
        side *= 2 if side < 512 else 4  # few networks get here, and what they take grows with it
    return None


def has_global_statistics(module: nn.Module) -> bool:
    """Whether a layer normalises by statistics of the whole image."""
    return any(isinstance(layer, InstanceNorm2d | nn.InstanceNorm2d | nn.GroupNorm) for layer in module.modules())


def _transparent(module: nn.Module) -> nn.Module:
    probe = deepcopy(module, {id(weights): _even(weights) for weights in module.parameters()}).float().eval()
    for parent in list(probe.modules()):
        for name, child in parent.named_children():
            if isinstance(child, NEUTRAL):
                setattr(parent, name, nn.Identity())
    for layer in probe.modules():
        whole = type(layer) in (nn.Conv2d, nn.ConvTranspose2d) and "weight" in layer._parameters  # not parametrized
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and whole and layer.groups == 1:
            _compute_by_one_channel(layer)
    return probe


def _even(weights: Tensor) -> nn.Parameter:
    """Weights of that shape that are all equal and positive, and no biases; they take no memory."""
    value = 1.0 / max(1, weights[0].numel()) if weights.ndim > 1 else 0.0
    return nn.Parameter(torch.tensor(value).expand(weights.shape), requires_grad=False)


def _compute_by_one_channel(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Lets a convolution whose weights are all equal compute what it did by one channel: the sum of its input's."""
    thin, channels = copy(layer), layer.out_channels
    thin._parameters = {"weight": nn.Parameter(layer.weight[:1, :1], requires_grad=False), "bias": None}

    def forward(x: Tensor, *options: Any) -> Tensor:
        return thin(x.sum(1, keepdim=True), *options).repeat(1, channels, 1, 1)

    vars(layer)["forward"] = forward  # the weights stay where they are, for networks that take them


def _reach(probe: nn.Module, channels: Sequence[int], side: int, multiple: int) -> int | None:
    """Largest distance from an output pixel near the centre to an input pixel that changes it; None if none does.

    Measured along the height of a narrow strip, for a square would take a deep network's memory many times over. Where
    the network has strides the reach differs between neighbours, with `multiple` as the period.
    """
    width = -(-max(16, int(getattr(probe, "minimum", 1))) // multiple) * multiple
    images = [torch.ones(1, count, side, width, requires_grad=True) for count in channels]
    try:
        output: Tensor = probe(*images)
    except (RuntimeError, ValueError, TypeError):  # its inputs are more than an image, or it refuses that size
        return None
    if not output.requires_grad:  # the output does not depend on the input
        return None
    scale = output.shape[2] // side
    start, reach = side // 2 // multiple * multiple, 0
    period, steps = max(multiple, 4), 15 if side <= 512 else 3
    for offset in sorted({round(i * (period - 1) / steps) for i in range(steps + 1)}):
        place = start + offset
        pixel = output[0, :, place * scale, width // 2 * scale].sum()
        gradients = torch.autograd.grad(pixel, images, retain_graph=True, allow_unused=True)
        changes = torch.stack([gradient[0].sum((0, 2)) for gradient in gradients if gradient is not None])
        rows = changes.sum(0).nonzero()
        if len(rows) == 0:
            return None
        reach = max(reach, place - int(rows.min()), int(rows.max()) - place)
        if reach >= side // 2 - multiple:  # beyond this image: a larger one is tried
            break
    return reach
