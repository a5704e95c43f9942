"""Changes a model's graph so that the statistics of its normalisations are inputs.

Instance and group normalisation subtract each channel's mean over the whole image and divide by its deviation. A tile
has neither, so in the changed graph every such layer takes them as inputs, the same for every tile of an image, and
outputs those of the tile's own part of the image. `i2i.translate.tiles.shared_statistics` estimates them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from i2i.errors import ModelError

Purpose = Literal["estimate", "measure", "translate"]
"""What a changed graph is for: see `changed_graph`."""
PURPOSES: tuple[Purpose, ...] = ("estimate", "measure", "translate")

CORE = "core"
"""Name of the graph's input for the part of a tile that is measured: see `changed_graph`."""
MIN_VARIANCE = 1e-8
"""Lower bound of an estimated variance, so that a correction by a factor has an effect."""


@dataclass(frozen=True)
class Moments:
    """Mean and variance of one layer's channels over some pixels.

    Attributes:
        weight: number of pixels.
        mean: ``(C,)`` float64.
        variance: ``(C,)`` float64, with the divisor `weight`.
    """

    weight: float
    mean: np.ndarray
    variance: np.ndarray

    def joined(self, other: Moments) -> Moments:
        """Moments of both sets of pixels (Chan et al. 1983, doi:10.1080/00031305.1983.10483115, equation 2.1b)."""
        weight = self.weight + other.weight
        share, apart = other.weight / weight, other.mean - self.mean
        variance = (1 - share) * self.variance + share * other.variance + share * (1 - share) * apart**2
        return Moments(weight, self.mean + share * apart, variance)

    def grouped(self, groups: int) -> Moments:
        """Moments of `groups` groups of adjacent channels, arrays ``(groups,)``."""
        mean = self.mean.reshape(groups, -1)
        variance = self.variance.reshape(groups, -1).mean(1) + mean.var(1)
        return Moments(self.weight, mean.mean(1), variance)


@dataclass(frozen=True)
class Norm:
    """A normalisation of the changed graph.

    Attributes:
        number: its number in the names of inputs and outputs.
        groups: number of groups of channels, each of which it normalises by a mean and variance of its own.
    """

    number: int
    groups: int

    @property
    def names(self) -> tuple[str, str]:
        """Names of the mean and variance ``(groups,)`` that it normalises by."""
        return f"mean.{self.number}", f"variance.{self.number}"

    @property
    def seen(self) -> tuple[str, str]:
        """Names of the outputs with mean and variance ``(C,)`` of its input, measured over the core."""
        mean, variance = self.names
        return f"seen.{mean}", f"seen.{variance}"

    @property
    def corrections(self) -> tuple[str, str]:
        """Names of the inputs ``(groups,)`` that are added to an estimated mean and multiplied with a variance."""
        return f"shift.{self.number}", f"ratio.{self.number}"


def changed_graph(graph: Path | bytes, purpose: Purpose) -> tuple[bytes, list[Norm]]:
    """A model's graph with inputs and outputs for the statistics of its normalisations.

    Graphs to measure or estimate have an input ``core``, int64 ``(3, 2)``: first row and column of the part to measure,
    those behind its end, and height and width of the tile, all in padded pixels of the input.

    Args:
        graph: an ONNX file, or its bytes.
        purpose: ``translate``: inputs `Norm.names`, output the image. ``measure``: inputs `Norm.names`, outputs
            `Norm.seen`. ``estimate``: normalises by the statistics of its batch, corrected by its inputs
            `Norm.corrections`; outputs `Norm.seen` and, as `Norm.names`, the corrected statistics.

    Returns:
        The changed graph as the bytes of an ONNX file, and its normalisations.

    Raises:
        ModelError: it has no normalisations, or some that are no plain instance or group normalisation.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(graph) if isinstance(graph, bytes) else onnx.load(graph)
    graph, shapes = model.graph, _shapes(model)
    made_by = {output: node for node in graph.node for output in node.output}
    nodes: list[Any] = []
    norms: list[Norm] = []
    given: list[tuple[str, int]] = []
    for node in graph.node:
        if node.op_type != "InstanceNormalization":
            nodes.append(node)
            continue
        source, groups = _source(node, made_by, shapes)
        norm = Norm(len(norms), groups)
        norms.append(norm)
        nodes += [] if purpose == "translate" else _measuring_nodes(norm, source)
        nodes += _grouping_nodes(norm) if purpose == "estimate" else []
        given += [(name, groups) for name in (norm.corrections if purpose == "estimate" else norm.names)]
        # Normalising by a mean and variance that are given is what batch normalisation does.
        options = {attribute.name: attribute.f for attribute in node.attribute}
        inputs = [*node.input, *norm.names]
        nodes.append(helper.make_node("BatchNormalization", inputs, node.output, **options))
    if not norms:
        raise ModelError("it takes statistics of the whole image in a way that cannot be tiled")
    outputs = {"translate": [], "measure": seen_names(norms), "estimate": seen_names(norms) + used_names(norms)}[
        purpose
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.input.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name, size in given)
    if outputs:
        _add_core(graph)
        del graph.output[:]
        graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs)
    return model.SerializeToString(), norms


def seen_names(norms: Iterable[Norm]) -> list[str]:
    """Names of the outputs `Norm.seen` of all normalisations."""
    return [name for norm in norms for name in norm.seen]


def used_names(norms: Iterable[Norm]) -> list[str]:
    """Names of the statistics `Norm.names` of all normalisations."""
    return [name for norm in norms for name in norm.names]


def _shapes(model: Any) -> dict[str, list[int | None]]:
    """Shapes of the graph's tensors by name, as far as they are known; None for a dimension that is not."""
    return {
        value.name: [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)
    }


def _source(node: Any, made_by: dict[str, Any], shapes: dict[str, list[int | None]]) -> tuple[str, int]:
    """The tensor ``(N, C, H, W)`` that a node normalises, and its number of groups of channels.

    Torch writes group normalisation as instance normalisation of a reshaped ``(N, groups, rest)``.
    """
    name = node.input[0]
    groups = (shapes.get(name) or [None, None])[1]
    before = made_by.get(name)
    if before is not None and before.op_type == "Reshape" and len(shapes.get(name, [])) != 4:
        name = before.input[0]
    shape = shapes.get(name, [])
    if len(shape) != 4 or groups is None or not shape[1] or shape[1] % groups:
        raise ModelError("it normalises over the whole image in a way that cannot be tiled")
    return name, groups


def _add_core(graph: Any) -> None:
    """Adds the input ``core``, the nodes that split it, and constants that the other new nodes need."""
    import onnx
    from onnx import helper

    constants = {"core.axes": [2, 3], "core.all": [0, 2, 3], "core.last": [1], "core.flat": [-1], "core.parts": [1] * 3}
    held = [(name, np.array(value, np.int64)) for name, value in constants.items()]
    held.append(("core.least", np.array(MIN_VARIANCE, np.float32)))
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in held)
    rows = ["core.start", "core.stop", "core.of"]
    nodes = [
        helper.make_node("Split", [CORE, "core.parts"], [f"{row}.1" for row in rows], axis=0),
        *(helper.make_node("Reshape", [f"{row}.1", "core.flat"], [row]) for row in rows),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info(CORE, onnx.TensorProto.INT64, [3, 2]))


def _measuring_nodes(norm: Norm, source: str) -> list[Any]:
    """Nodes for mean and variance of the source's channels over the core; two passes, for numerical precision."""
    from onnx import helper

    prefix = f"seen.{norm.number}"
    mean, variance = norm.seen
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Shape", [source], f"{prefix}.size", {"start": 2, "end": 4}),
        ("Mul", ["core.start", f"{prefix}.size"], f"{prefix}.start.of", {}),
        ("Div", [f"{prefix}.start.of", "core.of"], f"{prefix}.start", {}),
        ("Mul", ["core.stop", f"{prefix}.size"], f"{prefix}.stop.of", {}),
        ("Div", [f"{prefix}.stop.of", "core.of"], f"{prefix}.stop", {}),
        ("Slice", [source, f"{prefix}.start", f"{prefix}.stop", "core.axes"], f"{prefix}.core", {}),
        ("ReduceMean", [f"{prefix}.core", "core.all"], f"{prefix}.mean", {"keepdims": 1}),
        ("Sub", [f"{prefix}.core", f"{prefix}.mean"], f"{prefix}.apart", {}),
        ("Mul", [f"{prefix}.apart", f"{prefix}.apart"], f"{prefix}.square", {}),
        ("ReduceMean", [f"{prefix}.square", "core.all"], variance, {"keepdims": 0}),
        ("Reshape", [f"{prefix}.mean", "core.flat"], mean, {}),
    ]
    return [helper.make_node(kind, inputs, [output], **more) for kind, inputs, output, more in steps]


def _grouping_nodes(norm: Norm) -> list[Any]:
    """Nodes that compute statistics of groups from those of channels, as `Moments.grouped` does, and correct them."""
    from onnx import helper

    prefix = f"joint.{norm.number}"
    (mean, variance), (seen_mean, seen_variance), (shift, ratio) = norm.names, norm.seen, norm.corrections
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Reshape", [seen_mean, f"{prefix}.shape"], f"{prefix}.means", {}),
        ("Reshape", [seen_variance, f"{prefix}.shape"], f"{prefix}.variances", {}),
        ("ReduceMean", [f"{prefix}.means", "core.last"], f"{prefix}.mean", {"keepdims": 1}),
        ("Sub", [f"{prefix}.means", f"{prefix}.mean"], f"{prefix}.apart", {}),
        ("Mul", [f"{prefix}.apart", f"{prefix}.apart"], f"{prefix}.square", {}),
        ("Add", [f"{prefix}.variances", f"{prefix}.square"], f"{prefix}.sum", {}),
        ("ReduceMean", [f"{prefix}.sum", "core.last"], f"{prefix}.variance", {"keepdims": 0}),
        ("Max", [f"{prefix}.variance", "core.least"], f"{prefix}.positive", {}),
        ("Mul", [f"{prefix}.positive", ratio], variance, {}),
        ("Reshape", [f"{prefix}.mean", "core.flat"], f"{prefix}.flat", {}),
        ("Add", [f"{prefix}.flat", shift], mean, {}),
    ]
    shape = helper.make_node("Constant", [], [f"{prefix}.shape"], value_ints=[norm.groups, -1])
    return [shape, *(helper.make_node(kind, inputs, [output], **more) for kind, inputs, output, more in steps)]
