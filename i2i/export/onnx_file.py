"""Writing one self-contained ONNX file, and proving that it computes what torch computes."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from i2i.api import Translator
from i2i.components.inference import run_translator
from i2i.errors import ModelError, RunError, system_reason
from i2i.export.footprint import bytes_per_pixel
from i2i.export.graph import Deployed, dynamic_axes, graph_example, measure_scale
from i2i.export.receptive import has_global_statistics, receptive_field
from i2i.export.rewriting import rewrite_transposed
from i2i.files import clear_leftovers, temporary_path
from i2i.interface import Image, ImageInput, LabelMap
from i2i.runtime.computing.session import open_session, short_reason
from i2i.runtime.metadata import PREFIX, Metadata, ValueType, to_entries
from i2i.runtime.sandbox.child import is_sound
from i2i.runtime.sandbox.verdicts import verdict_name

TOLERANCE = 1.0
"""Largest difference allowed between onnxruntime and torch, in units of 1/255."""
MAX_OTHER_CLASSES = 1e-3
"""Share of a label map's pixels that may differ between both: where two classes score the same, rounding decides."""
_ONE_SIZE = (
    "the exported file is right at the size of the training only. The network computes something from the height or "
    "width in Python, or an operation of it cannot be exported for any size; module.size = (height, width) declares a "
    "network for one size"
)
_BATCH_NORMS = (torch.ops.aten.batch_norm.default, torch.ops.aten._native_batch_norm_legit_no_training.default)


@dataclass(frozen=True)
class Written:
    """What is known of a file once it has been written.

    Attributes:
        difference: the largest difference between onnxruntime and torch that was seen, in units of 1/255.
        rewritten: number of transposed convolutions that became convolutions: see `i2i.export.rewriting`.
        folded: number of batch norms that became part of the convolution before them.
        verdict: the name under which it may be remembered that the file need not be tried again, see
            `i2i.runtime.sandbox.verdicts`; empty for a file that the sandbox would refuse.
    """

    difference: float
    rewritten: int
    folded: int
    verdict: str


def write_onnx(path: Path, translator: Translator, value_type: ValueType, facts: Mapping[str, str]) -> Written:
    """Exports a translator.

    Args:
        path: the file to write; an existing one is replaced once the new one has been checked.
        translator: its module must be ready for inference.
        value_type: ``uint8`` or ``float32`` images.
        facts: more metadata, each key stored as ``i2i.KEY``.

    Returns:
        How far the file is from torch, and how its graph was changed to run faster.

    Raises:
        ModelError: the module cannot be exported, or the file computes something else.
        RunError: the file cannot be written.
    """
    translator = replace(
        translator,
        module=translator.module.cpu(),
        example={name: tensor.cpu() for name, tensor in translator.example.items()},
    )
    deployed = Deployed(translator, value_type).eval()
    model, folded = _traced(deployed, translator)
    rewritten = rewrite_transposed(model.graph)
    entries = to_entries(_metadata(translator, value_type)) | {f"{PREFIX}{key}": text for key, text in facts.items()}
    for key, text in entries.items():
        model.metadata_props.add(key=key, value=text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(path.parent)
        content = model.SerializeToString()
        onnx.checker.check_model(content, full_check=True)
        with temporary_path(path) as temporary:
            temporary.write_bytes(content)
            del content  # as large as the model
            difference, sound = _checked(temporary, model, deployed, translator)
            if difference > TOLERANCE:
                raise ModelError(f"{path}: onnxruntime and torch differ by {difference:.2f}/255; nothing was exported")
            verdict = verdict_name(temporary) if sound else ""
            temporary.replace(path)
    except OSError as error:
        raise RunError(f"{path}: cannot write the model: {system_reason(error)}") from error
    return Written(difference, rewritten, folded, verdict)


def _traced(deployed: Deployed, translator: Translator) -> tuple[onnx.ModelProto, int]:
    """The graph with dynamic batch, height and width, without the source paths that the tracer notes.

    The tracer folds constants and batch norms; how many of these is returned, too.
    """
    example = graph_example(translator, deployed.value_type, batch=2)
    try:
        with _quiet(), torch.inference_mode():
            program = torch.onnx.export(
                deployed,
                tuple(example.values()),
                dynamo=True,
                dynamic_shapes=(tuple(dynamic_axes(translator)),),
                input_names=list(deployed.inputs),
                output_names=list(deployed.outputs),
                verbose=False,
            )
    except Exception as error:
        raise ModelError(f"the network cannot be exported to ONNX: {_cause(error)}") from error
    assert program is not None
    model = program.model_proto
    traced = program.exported_program.graph.nodes if program.exported_program is not None else ()
    kept = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    folded = sum(node.target in _BATCH_NORMS for node in traced) - kept
    for node in [*model.graph.node, *(node for function in model.functions for node in function.node)]:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:], model.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.initializer]:
        del value.metadata_props[:]
    for output in model.graph.output:
        dimensions = output.type.tensor_type.shape.dim
        names = ("batch", "height_out", "width_out") if len(dimensions) == 4 else ("batch",)
        for dimension, name in zip(dimensions, names, strict=False):
            if name == "batch" or not getattr(translator.module, "size", None):
                dimension.dim_param = name
    return model, folded


def _cause(error: BaseException) -> str:
    """The message of an error's first cause: the tracer's own report is long and says little."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[:300] or type(error).__name__


def _metadata(translator: Translator, value_type: ValueType) -> Metadata:
    """The metadata of the file, measured on the network and its example."""
    image, module = translator.example.get("image"), translator.module
    with torch.inference_mode():
        outputs = run_translator(translator, translator.example)
    channels = {name: v.shape[1] for name, v in outputs.items() if isinstance(translator.outputs[name], Image)}
    has_map = any(isinstance(of, LabelMap) for of in translator.outputs.values())
    inputs = {
        name: replace(of, channels=translator.example[name].shape[1]) if isinstance(of, ImageInput) else of
        for name, of in translator.inputs.items()
    }
    given = {
        name: Image(channels[name]) if len(channels) > 1 and name in channels else of
        for name, of in translator.outputs.items()
    }
    return Metadata(
        version=version("i2i-toolkit"),
        translator="default",
        scale=measure_scale(translator),
        multiple=int(getattr(module, "multiple", 1)),
        channels_in=0 if image is None else image.shape[1] if image.ndim == 4 else 1,
        channels_out=next(iter(channels.values()), int(has_map)),
        value_type=value_type,
        source_type=value_type,
        target_type=value_type,
        labels=tuple(translator.labels),
        receptive_field=receptive_field(translator) if image is not None else None,
        global_statistics=has_global_statistics(module),
        bytes_per_pixel=bytes_per_pixel(translator, image) if image is not None else None,
        inputs=inputs,
        outputs=given,
        size=getattr(module, "size", None),
    )


def _checked(path: Path, model: onnx.ModelProto, deployed: Deployed, translator: Translator) -> tuple[float, bool]:
    """How far the file is from the module, in 1/255, and whether it would pass the check of unknown files.

    Raises:
        ModelError: the file cannot be opened, or is right, or runs, at the training size only.
    """
    session, _ = open_session(path, "cpu", threads=1)
    return _difference(session, deployed, translator), is_sound(model, session, path)


def _difference(session: onnxruntime.InferenceSession, deployed: Deployed, translator: Translator) -> float:
    """Largest difference between the file and the module at the training size and at an odd one, in 1/255.

    Raises:
        ModelError: the file is right, or runs, at the training size only.
    """
    image = translator.example.get("image")
    sizes: list[Any] = [None]
    if image is not None and getattr(translator.module, "size", None) is None:
        sizes.append((max(1, image.shape[-2] * 3 // 4 - 1), image.shape[-1] + 5))
    largest = 0.0
    for batch, size in enumerate(sizes, start=1):
        feeds = graph_example(translator, deployed.value_type, batch=batch, size=size)
        try:
            got = session.run(list(deployed.outputs), {name: t.numpy() for name, t in feeds.items()})
            apart = _apart(got, deployed, feeds)
        except Exception as error:
            if size is None:
                raise
            raise ModelError(f"{_ONE_SIZE}: at {size[0]} x {size[1]} pixels, {short_reason(error)}") from error
        if size is not None and apart > TOLERANCE >= largest:
            raise ModelError(f"{_ONE_SIZE}: at {size[0]} x {size[1]} pixels, the file is off by {apart:.2f}/255")
        largest = max(largest, apart)
    return largest


def _apart(got: Sequence[np.ndarray], deployed: Deployed, feeds: Mapping[str, Tensor]) -> float:
    """Largest difference between results of the file and of the module, in 1/255; a wrong class counts as a whole."""
    with torch.inference_mode():
        want = deployed(*feeds.values())
    largest = 0.0
    for name, one, other in zip(deployed.outputs, got, (want,) if isinstance(want, Tensor) else want, strict=True):
        if one.shape != tuple(other.shape):
            raise ValueError(f"{name} has the shape {one.shape}, and with torch {tuple(other.shape)}")
        off = np.abs(one.astype(np.float64) - other.numpy().astype(np.float64))
        if isinstance(deployed.types[name], LabelMap):
            largest = max(largest, 255.0 * float((off > 0).mean() > MAX_OTHER_CLASSES))
            continue
        largest = max(largest, float(off.max(initial=0)) * (1.0 if one.dtype == np.uint8 else 255.0))
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
