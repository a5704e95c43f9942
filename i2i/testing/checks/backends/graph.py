"""A small graph in the form of exported models: what backends are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from i2i.interface import Image, Output, Vector

OUTPUTS: Mapping[str, Output] = MappingProxyType({"image_out": Image(), "score": Vector()})
"""The types of the outputs of `small_graph` by name."""

_FILTERS = 8


def small_graph() -> bytes:
    """An ONNX file with two convolutions, instance norm and a dynamic number and size of images.

    Input: ``image`` (N, H, W, 3) uint8. Outputs: ``image_out`` (N, H, W, 3) uint8, and ``score`` (N, 8) float32, the
    mean of each channel in between.
    """
    drawn = np.random.default_rng(0)
    values: dict[str, np.ndarray] = {
        "half": np.array(127.5, np.float32),
        "one": np.array(1, np.float32),
        "first": drawn.normal(0, 0.4, (_FILTERS, 3, 3, 3)).astype(np.float32),
        "gain": drawn.uniform(0.5, 1.5, _FILTERS).astype(np.float32),
        "offset": drawn.normal(0, 0.3, _FILTERS).astype(np.float32),
        "second": drawn.normal(0, 0.15, (3, _FILTERS, 3, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "half"], ["doubled"]),
        helper.make_node("Sub", ["doubled", "one"], ["inside"]),
        helper.make_node("Conv", ["inside", "first"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("InstanceNormalization", ["wide", "gain", "offset"], ["normal"], epsilon=1e-5),
        helper.make_node("Relu", ["normal"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["means"]),
        helper.make_node("Flatten", ["means"], ["score"]),
        helper.make_node("Conv", ["features", "second"], ["narrow"], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["narrow"], ["signed"]),
        helper.make_node("Add", ["signed", "one"], ["positive"]),
        helper.make_node("Mul", ["positive", "half"], ["levels"]),
        helper.make_node("Round", ["levels"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["image_out"], perm=[0, 2, 3, 1]),
    ]
    size: list[str | int | None] = ["batch", "height", "width", 3]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, size)],
        [
            helper.make_tensor_value_info("image_out", TensorProto.UINT8, size),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", _FILTERS]),
        ],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
