"""The process that `i2i.runtime.sandbox.check` starts: examines, opens and runs one model file within limits.

Its answer on stdout is one JSON object: ``{}`` for a good file, ``refused`` with the reason, or ``memory`` where memory
ran out. It imports no image library, so that it starts fast.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto

from i2i import memory
from i2i.errors import ModelError
from i2i.interface import Image
from i2i.runtime.computing.onnx_runtime import OnnxRuntimeGraph
from i2i.runtime.computing.runner import Runner
from i2i.runtime.computing.session import open_session, short_reason
from i2i.runtime.example_inputs import example_feeds
from i2i.runtime.metadata import PREFIX, Metadata
from i2i.runtime.network import ExportedNetwork
from i2i.runtime.sandbox.verdicts import FIRST_BYTE, MAX_BYTES
from i2i.runtime.signature import input_nodes, read_metadata

_SIZES = ((12, 20), (21, 9))
"""Heights and widths of the images it is run on: two, since a graph may be fixed to one."""
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_STANDARD = ("", "ai.onnx")
_MAX_VALUES = {"scale": 64, "multiple": 8192, "channels_in": 1024, "channels_out": 1024}
"""Largest numbers in the metadata that are plausible, by entry; far above those of any image network."""
_MAX_CHARACTERS = 500_000
"""Characters of one entry of the metadata; enough for ten thousand labels."""


def examine(file: Path) -> dict[str, Any]:
    """Examines, opens and runs the model.

    Args:
        file: an ONNX file.

    Returns:
        The answer: empty, or with ``refused`` or ``memory``.
    """
    try:
        _examine_graph(_parsed(file))
        _examine_session(_opened(file), file)
    except ModelError as error:
        return {"refused": error.reason[:500]}
    except Exception as error:  # onnxruntime raises classes of its own, and RuntimeError
        if memory.ran_out(error):
            return {"memory": True}
        return {"refused": f"not an ONNX file that onnxruntime can load and run ({short_reason(error)})"}
    return {}


def is_sound(model: ModelProto, session: onnxruntime.InferenceSession, file: Path) -> bool:
    """Whether `examine` would find nothing wrong with a file that this process wrote and has opened.

    Args:
        model: what the file holds.
        session: opened on the CPU from the file.
        file: the ONNX file.
    """
    try:
        _examine_graph(model)
        _examine_session(session, file)
    except Exception:  # what is wrong is said where the file is used, by the process that then examines it
        return False
    return True


def limit(seconds: int, max_bytes: int) -> None:
    """Limits CPU time and memory of this process, where the system can; it can write no files either.

    Args:
        seconds: CPU seconds from now on, of all threads together.
        max_bytes: bytes of memory.
    """
    try:
        import resource
    except ImportError:  # Windows: only the parent's time limit holds
        return
    bounds = {
        "RLIMIT_CPU": math.ceil(time.process_time()) + seconds,
        "RLIMIT_DATA": max_bytes,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
    }
    for name, bound in bounds.items():
        which = getattr(resource, name)
        soft, hard = resource.getrlimit(which)
        with suppress(ValueError, OSError):  # some systems know a limit and take none
            resource.setrlimit(which, (bound if soft == resource.RLIM_INFINITY else min(soft, bound), hard))


def _parsed(file: Path) -> ModelProto:
    if file.stat().st_size > MAX_BYTES:
        raise ModelError("not an ONNX file: larger than 2 GiB")
    with file.open("rb") as stream:
        first = stream.read(1)
        try:
            if first == FIRST_BYTE:  # so that any other large file is not even read
                return ModelProto.FromString(first + stream.read())
        except DecodeError:
            pass
    raise ModelError("not an ONNX file: it cannot be parsed; damaged, cut off, or another format")


def _examine_graph(model: ModelProto) -> None:
    """Refuses a graph with parts that no exported model has: operators beyond ONNX, broken weights."""
    if not model.graph.node:
        raise ModelError("not an ONNX file: it holds no graph")
    if f"{PREFIX}version" not in {entry.key for entry in model.metadata_props}:
        raise ModelError("an ONNX file, but not one that i2i exported: it has no i2i metadata")
    known = {*_STANDARD, *(function.domain for function in model.functions)}
    for message in _messages(model):
        if isinstance(message, NodeProto) and message.domain not in known:
            operator = f"{message.domain}.{message.op_type}"[:80]
            raise ModelError(f"uses the operator {operator!r}, which is not of standard ONNX")
        if isinstance(message, TensorProto):
            _examine_tensor(message)
        if isinstance(message, AttributeProto) and np.isnan([message.f, *message.floats]).any():
            raise ModelError(f"has NaN (not a number) in the attribute {message.name[:40]!r}")


def _examine_session(session: onnxruntime.InferenceSession, file: Path) -> None:
    """Refuses a model whose metadata are damaged, or that gives something else than they promise."""
    metadata = read_metadata(session)
    _examine_metadata(metadata)
    network = ExportedNetwork(Runner(OnnxRuntimeGraph(session), input_nodes(session), file), metadata)
    for number, size in enumerate(_SIZES):
        _try(session, network, size, last_label=number > 0)


def _examine_metadata(metadata: Metadata) -> None:
    for key, most in _MAX_VALUES.items():
        if (value := getattr(metadata, key)) > most:
            raise ModelError(f"its metadata are damaged: i2i.{key} is {value}, more than {most}")
    for key, text in metadata.raw.items():
        if len(text) > _MAX_CHARACTERS:
            raise ModelError(f"its metadata are damaged: i2i.{key[:40]} has {len(text)} characters")


def _opened(file: Path) -> onnxruntime.InferenceSession:
    try:
        return open_session(file, "cpu", threads=1)[0]
    except ModelError as error:
        raise (error.__cause__ or error) from None  # onnxruntime's own error shows whether memory ran out


def _messages(root: Message) -> Iterator[Message]:
    """All messages within a message, at any depth."""
    waiting = [root]
    while waiting:
        message = waiting.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if isinstance(value, Message) else value)


def _examine_tensor(tensor: TensorProto) -> None:
    name = tensor.name[:40] or "constant"
    if tensor.external_data or tensor.data_location != TensorProto.DEFAULT:
        raise ModelError(f"needs another file for {name!r}; a model of i2i is one file")
    if tensor.data_type not in _FLOATS:
        return
    try:
        values = onnx.numpy_helper.to_array(tensor)
    except MemoryError:
        raise
    except Exception as error:
        raise ModelError(f"is damaged: the data of {name!r} do not fit its shape") from error
    # A single infinite value is a limit or a mask; among weights it is damage.
    if np.isnan(values).any() or (values.size > 1 and np.isinf(values).any()):
        raise ModelError(f"has values in {name!r} that are no numbers (NaN or infinite); was its training stable?")


def _try(
    session: onnxruntime.InferenceSession, network: ExportedNetwork, size: tuple[int, int], last_label: bool
) -> None:
    """Runs the network on an image of that size, and compares shapes and types of the results with its metadata."""
    info = network.info
    size = info.size or size
    names = list(info.outputs)
    feeds = dict(example_feeds(network, size, last_label=last_label))
    outputs = dict(zip(names, session.run(names, feeds), strict=True))
    network.check_outputs(outputs, 1, None if info.generates else size)
    for name, result in outputs.items():
        expected = info.value_type if isinstance(info.outputs[name], Image) else result.dtype
        if result.dtype != expected or not result.size:
            raise ModelError(f"gave {result.dtype} of shape {result.shape} where its metadata promise {expected}")


def _end_with_the_parent() -> None:
    """Ends this process when the pipe from the one that started it breaks, however that one ended."""

    def watch() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Examines the file named on the command line within the limits named there, and prints the answer."""
    file, seconds, max_bytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    answers = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # whatever libraries print
    _end_with_the_parent()
    limit(seconds, max_bytes)
    os.write(answers, json.dumps(examine(file)).encode())
    os._exit(0)  # without cleaning up, at which a process that a bad file has damaged could still crash


if __name__ == "__main__":
    main()
