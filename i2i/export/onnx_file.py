"""Writing one self-contained ONNX file, and proving that it computes what torch computes."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from i2i.api import Translator
from i2i.errors import ModelError, RunError, system_reason
from i2i.export.footprint import bytes_per_pixel
from i2i.export.graph import Deployed, measure_scale
from i2i.export.receptive import has_global_statistics, receptive_field
from i2i.files import clear_leftovers, temporary_path
from i2i.runtime.metadata import PREFIX, Metadata, ValueType, to_entries

TOLERANCE = 1.0
"""Largest difference allowed between onnxruntime and torch, in units of 1/255."""


def write_onnx(path: Path, translator: Translator, value_type: ValueType, facts: Mapping[str, str]) -> float:
    """Exports a translator.

    Args:
        path: the file to write; an existing one is replaced once the new one has been checked.
        translator: its module must be ready for inference.
        value_type: ``uint8`` or ``float32`` images.
        facts: more metadata, each key stored as ``i2i.KEY``.

    Returns:
        The largest difference between onnxruntime and torch that was seen, in units of 1/255.

    Raises:
        ModelError: the module cannot be exported, or the file computes something else.
        RunError: the file cannot be written.
    """
    inputs = list(translator.example)
    example = [tensor.cpu() for tensor in translator.example.values()]
    module = translator.module.cpu()
    deployed = Deployed(module, inputs, value_type, measure_scale(module, example, inputs)).eval()
    model = _traced(deployed, _deployed_inputs(translator, value_type, batch=2))
    entries = to_entries(_metadata(deployed, translator)) | {f"{PREFIX}{key}": text for key, text in facts.items()}
    for key, text in entries.items():
        model.metadata_props.add(key=key, value=text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        onnx.checker.check_model(model, full_check=True)
        with temporary_path(path) as temporary:
            onnx.save(model, temporary, format="protobuf")
            difference = _difference(temporary, deployed, translator, value_type)
            if difference > TOLERANCE:
                raise ModelError(f"{path}: onnxruntime and torch differ by {difference:.2f}/255; nothing was exported")
            temporary.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot write the model: {system_reason(error)}") from error
    return difference


def _traced(deployed: Deployed, example: list[Tensor]) -> onnx.ModelProto:
    """The graph with dynamic batch, height and width, without the source paths that the tracer notes."""
    image = {0: "batch", 1: "height", 2: "width"}
    shapes = [image if name == "image" else {0: "batch"} for name in deployed.inputs]
    try:
        with _quiet(), torch.inference_mode():
            program = torch.onnx.export(
                deployed,
                tuple(example),
                dynamo=True,
                dynamic_shapes=(tuple(shapes),),
                input_names=list(deployed.inputs),
                output_names=["image_out"],
                verbose=False,
            )
    except Exception as error:
        raise ModelError(f"the network cannot be exported to ONNX: {_cause(error)}") from error
    assert program is not None
    model = program.model_proto
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.initializer]:
        del value.metadata_props[:]
    for dimension, name in zip(
        model.graph.output[0].type.tensor_type.shape.dim, ("batch", "height_out", "width_out"), strict=False
    ):
        dimension.dim_param = name
    return model


def _cause(error: BaseException) -> str:
    """The message of an error's first cause: the tracer's own report is long and says little."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:300] or type(error).__name__


def _metadata(deployed: Deployed, translator: Translator) -> Metadata:
    """The metadata of the file, measured on the network and its example."""
    image, example = translator.example.get("image"), [tensor.cpu() for tensor in translator.example.values()]
    with torch.inference_mode():
        output = deployed.module(*example)
    channels = image.shape[1] if image is not None else 0
    return Metadata(
        version=version("i2i-toolkit"),
        translator="default",
        scale=deployed.scale,
        multiple=deployed.multiple,
        channels_in=channels,
        channels_out=output.shape[1],
        value_type=deployed.value_type,
        source_type=deployed.value_type,
        target_type=deployed.value_type,
        labels=tuple(translator.labels),
        receptive_field=receptive_field(deployed.module, channels) if image is not None else None,
        global_statistics=has_global_statistics(deployed.module),
        bytes_per_pixel=bytes_per_pixel(deployed.module, example, image) if image is not None else None,
    )


def _deployed_inputs(
    translator: Translator, value_type: ValueType, *, batch: int, size: tuple[int, int] | None = None
) -> list[Tensor]:
    """Random images of a size (by default that of the example), noise, and labels in turn."""
    generator = torch.Generator().manual_seed(batch)
    tensors = []
    for name, tensor in translator.example.items():
        if name == "image":
            height, width = size or (tensor.shape[2], tensor.shape[3])
            image = torch.rand(batch, height, width, tensor.shape[1], generator=generator)
            tensors.append((image * 255).round().to(torch.uint8) if value_type == "uint8" else image)
        elif name == "label":
            tensors.append((torch.arange(1, batch + 1) % max(1, len(translator.labels))).to(torch.int32))
        else:
            tensors.append(torch.randn(batch, *tensor.shape[1:], generator=generator))
    return tensors


def _difference(path: Path, deployed: Deployed, translator: Translator, value_type: ValueType) -> float:
    """Largest difference between the file and the module at the training size and at an odd one, in 1/255."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image = translator.example.get("image")
    sizes: list[Any] = [None]
    if image is not None:
        sizes.append((max(1, image.shape[2] * 3 // 4 - 1), image.shape[3] + 5))
    largest = 0.0
    for batch, size in enumerate(sizes, start=1):
        tensors = _deployed_inputs(translator, value_type, batch=batch, size=size)
        got = session.run(None, {name: t.numpy() for name, t in zip(deployed.inputs, tensors, strict=True)})[0]
        with torch.inference_mode():
            want = deployed(*tensors).numpy()
        unit = 1.0 if value_type == "uint8" else 255.0
        largest = max(largest, float(np.abs(got.astype(np.float64) - want.astype(np.float64)).max()) * unit)
    return largest


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the tracer's warnings and log lines off the screen; errors are raised, not logged."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
