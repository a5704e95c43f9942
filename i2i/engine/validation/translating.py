"""Translators at work on batches: what grids show and metrics measure."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from i2i.api import Translator
from i2i.components.inference import run_translator
from i2i.interface import Image, LabelMap, Output, VectorInput
from i2i.metrics.measuring import Batch, Measurable


def translated_images(translator: Translator, batch: Batch, label: int | None = None) -> Tensor:
    """What the translator makes of a batch: its images, or where it gives none its label maps.

    Args:
        translator: on copies of the networks for inference, with an image or a label map among its outputs.
        batch: the inputs; what it lacks is taken from the translator's example.
        label: the label to translate to, instead of the batch's.

    Returns:
        Images ``(N, C, H, W)`` in [-1, 1], or label maps ``(N, H, W)`` int64.
    """
    count = next((len(v) for n in translator.example if (v := batch.get(translator.batch_key(n))) is not None), 1)
    values = {}
    for name, example in translator.example.items():
        given = batch.get(translator.batch_key(name))
        values[name] = example[:1].expand(count, *example.shape[1:]) if given is None else given.to(example.device)
    if label is not None:
        values["label"] = torch.full_like(values["label"], label)
    outputs = run_translator(translator, values)
    return outputs[translator.image_output or next(n for n, of in translator.outputs.items() if is_visible(of))]


def measurable(translator: Translator) -> Measurable:
    """A translator as metrics look at it; one without an image or a label map among its outputs cannot be measured."""
    takes_image, takes_label = "image" in translator.example, "label" in translator.example
    return Measurable(
        make=partial(translated_images, translator),
        real=translator.real_key,
        target=translator.target,
        image=translator.batch_key("image") if takes_image else None,
        label=translator.batch_key("label") if takes_label else None,
        classes=len(translator.labels) if takes_label else 0,
        drawn=_drawn_shapes(translator),
        gives_label_map=translator.image_output is None,
    )


def drawn_inputs(translator: Translator, count: int, generator: torch.Generator) -> Batch:
    """Values from N(0, 1) for the inputs that are noise or vectors, by key of the batch, `count` of each."""
    shapes = _drawn_shapes(translator)
    return {key: torch.randn(count, *shape, generator=generator) for key, shape in shapes.items()}


def _drawn_shapes(translator: Translator) -> dict[str, tuple[int, ...]]:
    return {
        translator.batch_key(name): tuple(example.shape[1:])
        for name, example in translator.example.items()
        if name == "noise" or isinstance(translator.inputs.get(name), VectorInput)
    }


def is_visible(output: Output) -> bool:
    """Whether an output can be shown as a picture."""
    return isinstance(output, Image | LabelMap)
