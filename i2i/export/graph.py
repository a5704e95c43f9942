"""The deployed form of a translator: everything from pixels to pixels, as one module traceable for any size."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from i2i.api import Translator
from i2i.components.inference import run_translator
from i2i.interface import Image, ImageInput, Input, LabelMap, LabelMapInput, MaskInput, TextInput
from i2i.runtime.metadata import ValueType


class Deployed(nn.Module):
    """Pixels in, pixels out: scaling, mirror padding to what the network needs, cropping back, rounding.

    Args:
        translator: its module is ready for inference.
        value_type: ``uint8`` images, or ``float32`` in [0, 1].

    Attributes:
        inputs: names of the inputs, in the module's order.
        outputs: names of the outputs, in the module's order.
        types: types of the outputs by name.
    """

    def __init__(self, translator: Translator, value_type: ValueType) -> None:
        super().__init__()
        self.module, self.value_type = translator.module, value_type
        self.inputs, self.outputs = tuple(translator.example), tuple(translator.outputs)
        self.types = dict(translator.outputs)
        self._translator = replace(translator, example=dict(translator.example))

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Arrays as a model file takes them -> the outputs as it gives them: see `i2i.interface`."""
        given = dict(zip(self.inputs, inputs, strict=True))
        values = {name: self._decoded(self._translator.type_of(name), name, value) for name, value in given.items()}
        results = run_translator(self._translator, values)
        encoded = tuple(self._encoded(name, value) for name, value in results.items())
        return encoded[0] if len(encoded) == 1 else encoded

    def _decoded(self, of: Input | None, name: str, value: Tensor) -> Tensor:
        if isinstance(of, ImageInput):
            image = value.permute(0, 3, 1, 2).float()
            return image / 127.5 - 1 if self.value_type == "uint8" else image * 2 - 1
        if isinstance(of, MaskInput):
            return (value.permute(0, 3, 1, 2) > (127 if self.value_type == "uint8" else 0.5)).float()
        if isinstance(of, LabelMapInput):
            return value[..., 0].long()
        return value.long() if name == "label" or isinstance(of, TextInput) else value

    def _encoded(self, name: str, value: Tensor) -> Tensor:
        of = self._translator.outputs[name]
        if isinstance(of, LabelMap):
            return value[..., None].to(torch.uint8)
        if not isinstance(of, Image):
            return value
        image = ((value.float().clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1)
        return (image * 255).round().to(torch.uint8) if self.value_type == "uint8" else image


def graph_example(
    translator: Translator, value_type: ValueType, *, batch: int, size: tuple[int, int] | None = None
) -> dict[str, Tensor]:
    """Random inputs of the deployed form: images of a size, by default that of the example, and labels in turn."""
    generator, found = torch.Generator().manual_seed(batch), {}
    image = translator.example.get("image")
    for name, tensor in translator.example.items():
        of = translator.type_of(name)
        if isinstance(of, ImageInput | MaskInput | LabelMapInput):
            height, width = tensor.shape[-2:]
            if size is not None and image is not None:
                height = max(1, height + size[0] - image.shape[-2])
                width = max(1, width + size[1] - image.shape[-1])
            found[name] = _pixels(of, tensor, (batch, height, width), value_type, generator)
        elif name == "label":
            found[name] = (torch.arange(1, batch + 1) % max(1, len(translator.labels))).to(torch.int32)
        elif isinstance(of, TextInput):
            found[name] = torch.randint(0, 256, (batch, of.length), generator=generator).to(torch.int32)
        else:
            found[name] = torch.randn(batch, *tensor.shape[1:], generator=generator)
    return found


def _pixels(
    of: Input, example: Tensor, shape: tuple[int, int, int], value_type: ValueType, generator: torch.Generator
) -> Tensor:
    if isinstance(of, LabelMapInput):
        return torch.randint(0, of.count, (*shape, 1), generator=generator).to(torch.uint8)
    image = torch.rand(*shape, example.shape[1], generator=generator)
    return (image * 255).round().to(torch.uint8) if value_type == "uint8" else image


def dynamic_axes(translator: Translator) -> list[dict[int, str]]:
    """For each input, the axes whose length may differ from the example's, by name: equal names, equal lengths."""
    fixed, found = getattr(translator.module, "size", None) is not None, []
    for name in translator.example:
        of, axes = translator.type_of(name), {0: "batch"}
        if isinstance(of, ImageInput | MaskInput | LabelMapInput) and not fixed:
            end = f"_{name}" if getattr(of, "own_size", False) else ""
            axes |= {1: f"height{end}", 2: f"width{end}"}
        found.append(axes)
    return found


def measure_scale(translator: Translator) -> int:
    """How many times larger the first picture of the outputs is than the input image; 1 without one of both."""
    image = translator.example.get("image")
    if image is None:
        return 1
    with torch.inference_mode():
        outputs = run_translator(translator, translator.example)
    pictures = [v for name, v in outputs.items() if isinstance(translator.outputs[name], Image | LabelMap)]
    return int(pictures[0].shape[-1] // image.shape[-1]) if pictures else 1
