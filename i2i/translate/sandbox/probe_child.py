"""The process that `i2i.translate.sandbox.probe` starts: examines, opens and runs one model file within limits.

Its answer on stdout is one JSON object: ``{}``, or ``refused`` with the reason, or ``memory`` where that ran out.
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

from i2i.errors import ModelError, short_repr
from i2i.translate.metadata import Metadata, read_metadata
from i2i.translate.noise import draw_noise, same_noise
from i2i.translate.session import last_words, open_session

_SIZES = ((12, 20), (21, 9))  # of the images it is run on: two, since a graph may be fixed to one
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_STANDARD = ("", "ai.onnx")
_BEGIN = b"\x08"  # the field ir_version, which every file has and which comes first
_LARGEST = 1 << 31  # bytes of a message of Protocol Buffers
_MOST = {"scale": 64, "multiple": 8192, "channels_in": 1024, "channels_out": 1024}  # beyond any network of images
_LONGEST = 500_000  # characters of one entry of the metadata: ten thousand labels
_OUT_OF_MEMORY = ("bad_alloc", "bad allocation", "allocate memory", "not enough memory")


def examine(file: Path) -> dict[str, Any]:
    """Examines, opens and runs the model.

    Args:
        file: an ONNX file.

    Returns:
        The answer, as described above.
    """
    try:
        _examine_graph(_parsed(file))
        session = _opened(file)
        metadata = read_metadata(session)
        _examine_metadata(metadata)
        for number, size in enumerate(_SIZES):
            _try(session, metadata, size, last_label=number > 0)
    except ModelError as error:
        return {"refused": str(error)[:500]}
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # onnxruntime raises types of its own, and RuntimeError
        if any(words in str(error) for words in _OUT_OF_MEMORY):
            return {"memory": True}
        return {"refused": f"not an ONNX file that onnxruntime can load and run ({last_words(error)})"}
    return {}


def limit(seconds: int, memory: int) -> None:
    """Bounds this process, where the system can.

    Args:
        seconds: of computing from now on, by all threads.
        memory: bytes.
    """
    try:
        import resource
    except ImportError:  # Windows: the parent's patience is the only bound
        return
    bounds = {
        "RLIMIT_CPU": math.ceil(time.process_time()) + seconds,
        "RLIMIT_DATA": memory,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
    }
    for name, bound in bounds.items():
        which = getattr(resource, name)
        soft, hard = resource.getrlimit(which)
        with suppress(ValueError, OSError):  # some systems know a limit and take none
            resource.setrlimit(which, (bound if soft == resource.RLIM_INFINITY else min(soft, bound), hard))


def _parsed(file: Path) -> ModelProto:
    if file.stat().st_size > _LARGEST:
        raise ModelError("not an ONNX file: larger than 2 GiB")
    with file.open("rb") as stream:
        begin = stream.read(1)
        try:
            if begin == _BEGIN:  # so that any other large file is not even read
                return ModelProto.FromString(begin + stream.read())
        except DecodeError:
            pass
    raise ModelError("not an ONNX file: it cannot be parsed; damaged, cut off, or another format")


def _examine_graph(model: ModelProto) -> None:
    """Refuses what no exported model holds, wherever in the file it stands."""
    if not model.graph.node:
        raise ModelError("not an ONNX file: it holds no graph")
    if "i2i.version" not in {entry.key for entry in model.metadata_props}:
        raise ModelError("an ONNX file, but not one that i2i exported: it has no i2i metadata")
    outputs = [output.name for output in model.graph.output]
    if outputs != ["image_out"]:
        raise ModelError(f"its outputs are {short_repr(outputs)}, not image_out alone")
    known = {*_STANDARD, *(function.domain for function in model.functions)}
    for message in _messages(model):
        if isinstance(message, NodeProto) and message.domain not in known:
            operator = f"{message.domain}.{message.op_type}"[:80]
            raise ModelError(f"uses the operator {operator!r}, which is not of standard ONNX")
        if isinstance(message, TensorProto):
            _examine_tensor(message)
        if isinstance(message, AttributeProto) and np.isnan([message.f, *message.floats]).any():
            raise ModelError(f"has NaN (not a number) in the attribute {message.name[:40]!r}")


def _examine_metadata(metadata: Metadata) -> None:
    for key, most in _MOST.items():
        if (value := getattr(metadata, key)) > most:
            raise ModelError(f"its metadata are damaged: i2i.{key} is {value}, more than {most}")
    for key, text in metadata.raw.items():
        if len(text) > _LONGEST:
            raise ModelError(f"its metadata are damaged: i2i.{key[:40]} has {len(text)} characters")


def _opened(file: Path) -> onnxruntime.InferenceSession:
    try:
        return open_session(file, "cpu", threads=1)[0]
    except ModelError as error:
        raise (error.__cause__ or error) from None  # so that memory that ran out is told as such


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


def _try(session: onnxruntime.InferenceSession, metadata: Metadata, size: tuple[int, int], last_label: bool) -> None:
    """Runs the model on an image of that size, and compares what it gives with what its metadata promise."""
    feeds = _feeds({node.name: node for node in session.get_inputs()}, metadata, size)
    if "label" in feeds and last_label:
        feeds["label"][:] = max(len(metadata.labels) - 1, 0)
    (result,) = session.run(["image_out"], feeds)
    height, width = (None, None) if metadata.generates else (size[0] * metadata.scale, size[1] * metadata.scale)
    promised = (1, height, width, metadata.channels_out)
    shape = tuple(getattr(result, "shape", ()))
    if len(shape) != 4 or any(want not in (None, got) for want, got in zip(promised, shape, strict=True)):
        raise ModelError(f"gave shape {shape} where its metadata promise {promised}")
    if result.dtype != metadata.value_type or not result.size:
        raise ModelError(f"gave {result.dtype} of shape {shape} where its metadata promise {metadata.value_type}")


def _feeds(inputs: dict[str, Any], metadata: Metadata, size: tuple[int, int]) -> dict[str, np.ndarray]:
    feeds: dict[str, np.ndarray] = {}
    if "image" in inputs:
        values = np.random.default_rng(0).random((1, *size, metadata.channels_in), np.float32)
        feeds["image"] = values if metadata.value_type == "float32" else (values * 255).astype(np.uint8)
    if "noise" in inputs and "image" in inputs:
        feeds["noise"] = same_noise(inputs["noise"].shape, inputs["image"].shape, feeds["image"].shape)
    elif "noise" in inputs:
        feeds["noise"] = draw_noise(inputs["noise"].shape[1:], [0], label=0, seed=0, truncation=None)
    if "label" in inputs:
        feeds["label"] = np.zeros(1, np.int32)
    return feeds


def _end_with_the_parent() -> None:
    """Ends this process when the pipe from the one that started it breaks, however that one ended."""

    def watch() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Examines the file named on the command line within the limits named there, and prints the answer."""
    file, seconds, memory = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    answers = os.dup(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # whatever libraries print
    _end_with_the_parent()
    limit(seconds, memory)
    os.write(answers, json.dumps(examine(file)).encode())
    os._exit(0)  # nothing is left to do; what a damaged file has done to this process must not come out at its end


if __name__ == "__main__":
    main()
