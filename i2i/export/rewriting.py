"""Rewrites transposed convolutions of an ONNX graph as operators that runtimes compute faster.

A transposed convolution of stride s adds up, for the s x s output pixels that belong to one input pixel, the products
of the same few input pixels with different parts of the kernel. So one convolution with s * s times the channels and a
kernel shorter by the factor s, whose channels are then laid out as pixels, computes the same (Shi et al. 2016,
arXiv:1609.07009). The new weights are the old ones in another order; results differ by the order of the sums alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

_TO_THE_END = np.iinfo(np.int64).max
"""The end of a slice that crops nothing."""


@dataclass(frozen=True)
class _Axis:
    """How one axis of a transposed convolution is computed by a convolution.

    Attributes:
        pads: pixels to pad before the convolution, at the start and at the end.
        crop: pixels to take off its result laid out as pixels, at the start and at the end.
    """

    pads: tuple[int, int]
    crop: tuple[int, int]


def is_rewritable(kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], groups: int) -> bool:
    """Whether `rewrite_transposed` rewrites a transposed convolution of two axes, however it pads.

    The kernel must be a multiple of the stride. Another one would have to be filled up with zeros: 1.8 times the
    multiplications for 3x3 with stride 2, which took onnxruntime and OpenVINO more time than what was saved.

    Args:
        kernel: its height and width.
        strides: by axis.
        dilations: by axis.
        groups: number of groups of channels.
    """
    one_stride = len(kernel) == 2 and strides[0] == strides[1] > 1
    return one_stride and groups == 1 and set(dilations) == {1} and not any(side % strides[0] for side in kernel)


def rewrite_transposed(graph: GraphProto) -> int:
    """Rewrites the transposed convolutions of a graph that `is_rewritable` names and whose weights are initializers.

    Those in graphs within its nodes, such as the branches of ``If``, are left alone.

    Args:
        graph: changed in place; its inputs and outputs stay as they are.

    Returns:
        How many were rewritten.
    """
    given = {value.name for value in graph.input}
    held = {tensor.name: tensor for tensor in graph.initializer if tensor.name not in given}
    nodes: list[NodeProto] = []
    count = 0
    for node in graph.node:
        new = _rewritten(node, held) if node.op_type == "ConvTranspose" and not node.domain else None
        if new is None:
            nodes.append(node)
            continue
        graph.initializer.extend(new[0])
        nodes += new[1]
        count += 1
    if count:
        del graph.node[:]
        graph.node.extend(nodes)
        _drop_unused(graph)
    return count


def _rewritten(node: NodeProto, held: dict[str, TensorProto]) -> tuple[list[TensorProto], list[NodeProto]] | None:
    """Initializers and nodes that compute what a transposed convolution does; None if it is to be left alone."""
    if any(name not in held for name in node.input[1:] if name):
        return None
    weight, options = held[node.input[1]], _options(node, held[node.input[1]].dims[2:])
    kernel, stride = options["kernel_shape"], options["strides"][0]
    if not is_rewritable(kernel, options["strides"], options["dilations"], options["group"]):
        return None
    axes = [_axis(kernel[i], stride, options["pads"][i::2], options["output_padding"][i]) for i in range(2)]
    if options["auto_pad"] != b"NOTSET" or "output_shape" in options or min(min(axis.pads) for axis in axes) < 0:
        return None
    output = node.output[0]
    tensors = [numpy_helper.from_array(_kernels(numpy_helper.to_array(weight), stride), f"{output}.weight")]
    if len(node.input) > 2 and node.input[2]:
        bias = numpy_helper.to_array(held[node.input[2]]).repeat(stride * stride)
        tensors.append(numpy_helper.from_array(bias, f"{output}.bias"))
    pads = [axis.pads[end] for end in range(2) for axis in axes]
    convolved, pixels = f"{output}.channels", f"{output}.pixels"
    cropped = any(any(axis.crop) for axis in axes)
    inputs = [node.input[0], *(tensor.name for tensor in tensors)]
    nodes = [
        helper.make_node("Conv", inputs, [convolved], kernel_shape=[side // stride for side in kernel], pads=pads),
        helper.make_node("DepthToSpace", [convolved], [pixels if cropped else output], blocksize=stride, mode="CRD"),
    ]
    if cropped:
        starts, ends = [axis.crop[0] for axis in axes], [-axis.crop[1] or _TO_THE_END for axis in axes]
        slices = {f"{output}.starts": starts, f"{output}.ends": ends, f"{output}.axes": [2, 3]}
        tensors += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in slices.items()]
        nodes.append(helper.make_node("Slice", [pixels, *slices], [output]))
    return tensors, nodes


def _options(node: NodeProto, kernel: Sequence[int]) -> dict[str, Any]:
    """The attributes of a transposed convolution, with ONNX's defaults where it has none."""
    count = len(kernel)
    defaults = {"auto_pad": b"NOTSET", "group": 1, "dilations": [1] * count, "strides": [1] * count}
    defaults |= {"kernel_shape": list(kernel), "pads": [0] * 2 * count, "output_padding": [0] * count}
    return defaults | {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _axis(kernel: int, stride: int, pads: Sequence[int], output_padding: int) -> _Axis:
    """How to compute an axis of a transposed convolution whose kernel is a multiple of its stride.

    Without padding its output is ``out[s i + a] = sum over j of x[i - j] w[s j + a]``, with a = 0 ... s - 1 and
    j = 0 ... k / s - 1. Padding takes pixels off at both ends: whole strides of it are pixels that the convolution
    need not compute, the rest is cropped.
    """
    taps, (whole, first) = kernel // stride, divmod(pads[0], stride)
    longer = kernel - sum(pads) + output_padding - stride  # than the input times the stride
    rows = -(-(longer + first) // stride)  # of the convolution's result, more than the input has
    before = taps - 1 - whole
    return _Axis((before, rows + taps - 1 - before), (first, rows * stride - longer - first))


def _kernels(weight: np.ndarray, stride: int) -> np.ndarray:
    """Kernels ``(C_out * s * s, C_in, k_h / s, k_w / s)`` of the convolution, from ``(C_in, C_out, k_h, k_w)``.

    Its output channels are ordered as ``DepthToSpace`` takes them: channel, row and column of the pixel.
    """
    channels_in, channels_out, height, width = weight.shape
    parts = weight.reshape(channels_in, channels_out, height // stride, stride, width // stride, stride)
    parts = parts[:, :, ::-1, :, ::-1].transpose(1, 3, 5, 0, 2, 4)  # a convolution runs over its kernel backwards
    return np.ascontiguousarray(parts.reshape(-1, channels_in, height // stride, width // stride))


def _drop_unused(graph: GraphProto) -> None:
    """Drops the initializers that no node takes any more."""
    used = {value.name for value in graph.output} | set(_taken(graph))
    for index in reversed(range(len(graph.initializer))):  # a new list would copy all weights
        if graph.initializer[index].name not in used:
            del graph.initializer[index]


def _taken(graph: GraphProto) -> Iterator[str]:
    """Names of all that the nodes of a graph, and of the graphs within them, take."""
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from (value.name for value in inner.output)
                yield from _taken(inner)
