"""Changes a model's graph of 8-bit images so that it takes and gives float images, with the same weights.

A graph that `i2i export` wrote makes floats of its image at once and rounds its result at the end. Without that
rounding nothing of it is bound to 8 bits, so that images of 16 bits and floats keep their levels.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from i2i.errors import ModelError

_MOVES = frozenset({"Concat", "Identity", "Reshape", "Resize", "Slice", "Transpose"})
"""Operators that hand values on, of whatever type."""


def float_graph(graph: Path | bytes, outputs: Collection[str]) -> bytes:
    """The graph with images of float32 in [0, 1] in the place of uint8.

    Args:
        graph: an ONNX file, or its bytes, with an input ``image`` of uint8.
        outputs: names of its outputs that are images of uint8.

    Returns:
        The changed graph as the bytes of an ONNX file.

    Raises:
        ModelError: it computes with the 8-bit values themselves, or has no image to begin with.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(graph) if isinstance(graph, bytes) else onnx.load(graph)
    nodes = list(model.graph.node)
    if "image" not in {value.name for value in model.graph.input} or not outputs:
        raise ModelError("has no image as input or as output")
    changed = {"image", *outputs} | _handed_on(nodes)
    for output in outputs:
        changed |= _drop_rounding(nodes, output)
    for node in nodes:
        node.input[:] = ["image.levels" if name == "image" else name for name in node.input]
        node.output[:] = [f"{name}.levels" if name in outputs else name for name in node.output]
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Mul", ["image", "image.full"], ["image.levels"]))
    model.graph.node.extend(nodes)
    for output in outputs:
        model.graph.node.append(helper.make_node("Div", [f"{output}.levels", "image.full"], [output]))
    model.graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), "image.full"))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.name in changed and value.type.tensor_type.elem_type == TensorProto.UINT8:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return model.SerializeToString()


def _handed_on(nodes: list[Any]) -> set[str]:
    """Names of the 8-bit image as it is handed on, unchanged, to operators that make floats of it.

    Raises:
        ModelError: something else is done with its values.
    """
    from onnx import TensorProto

    images = {"image"}
    for node in nodes:
        if not images.intersection(node.input) or node.op_type == "Shape":
            continue
        if node.op_type in _MOVES:
            images.update(node.output)
        elif node.op_type != "Cast" or _target_type(node) != TensorProto.FLOAT:
            raise ModelError(f"its {node.op_type} computes with 8 bits")
    return images


def _drop_rounding(nodes: list[Any], output: str) -> set[str]:
    """Takes away the rounding and the cast to 8 bits before an output of the graph, where there are any.

    Returns:
        Names of the result from the cast on.
    """
    from onnx import TensorProto

    made_by = {name: node for node in nodes for name in node.output}
    last, names = made_by.get(output), {output}
    while last is not None and last.op_type in _MOVES:
        names.add(last.input[0])
        last = made_by.get(last.input[0])
    if last is None or last.op_type != "Cast" or _target_type(last) != TensorProto.UINT8:
        return set()
    next(attribute for attribute in last.attribute if attribute.name == "to").i = TensorProto.FLOAT
    before = made_by.get(last.input[0])
    if before is not None and before.op_type == "Round":
        last.input[0] = before.input[0]
    return names


def _target_type(node: Any) -> int:
    """The type of tensors that a Cast gives."""
    return next(int(attribute.i) for attribute in node.attribute if attribute.name == "to")
