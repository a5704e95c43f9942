"""The deployed form of a translator: everything from pixels to pixels, as one module traceable for any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from i2i.components.inference import mirror_padded
from i2i.runtime.metadata import ValueType


class Deployed(nn.Module):
    """Pixels in, pixels out: scaling, mirror padding to what the network needs, cropping back, rounding.

    Args:
        module: the translator's module, ready for inference.
        inputs: names of its inputs, in its order.
        value_type: ``uint8`` images, or ``float32`` in [0, 1].

    Attributes:
        scale: how many times larger the output is than the input.
    """

    def __init__(self, module: nn.Module, inputs: Sequence[str], value_type: ValueType, scale: int = 1) -> None:
        super().__init__()
        self.module, self.inputs, self.value_type, self.scale = module, tuple(inputs), value_type, scale
        self.multiple = int(getattr(module, "multiple", 1))
        self.minimum = int(getattr(module, "minimum", 1))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Images ``(N, H, W, C)`` of the value type -> ``(N, scale * H, scale * W, C')`` of the same type."""
        values = dict(zip(self.inputs, inputs, strict=True))
        height = width = None
        if "image" in values:
            image = values["image"].permute(0, 3, 1, 2).float()
            image = image / 127.5 - 1 if self.value_type == "uint8" else image * 2 - 1
            height, width = image.shape[2], image.shape[3]
            values["image"] = mirror_padded(image, self.multiple, self.minimum)
        output = self.module(*(values[name].long() if name == "label" else values[name] for name in self.inputs))
        if height is not None and width is not None:
            output = output[:, :, : height * self.scale, : width * self.scale]
        output = ((output.float().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1)
        return (output * 255).round().to(torch.uint8) if self.value_type == "uint8" else output


def measure_scale(module: nn.Module, example: Sequence[Tensor], inputs: Sequence[str]) -> int:
    """How many times larger the module's output is than its input image; 1 when it has no input image."""
    if "image" not in inputs:
        return 1
    with torch.inference_mode():
        output = module(*example)
    return int(output.shape[-1] // example[list(inputs).index("image")].shape[-1])
