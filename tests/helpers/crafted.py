"""Model files made to do harm, each by a function that writes it, with what the refusal must say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from helpers.small_models import make_model, node

INT64, FLOAT, BOOL = TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL
HUGE = 1 << 20  # of a side: its square is more than any memory


@dataclass(frozen=True)
class Crafted:
    name: str
    make: Callable[[Path], None]
    says: str


CRAFTED: list[Crafted] = []


def crafted(name, says, graph="identity", **options):
    """Registers a function that changes an innocent model, and returns it when it made another."""

    def register(change):
        def make(path):
            model = onnx.load(make_model(path, graph, **options))
            path.write_bytes((change(model) or model).SerializeToString())

        CRAFTED.append(Crafted(name, make, says))
        return change

    return register


def bytes_of(name, says, change):
    def make(path):
        path.write_bytes(change(make_model(path, "double").read_bytes()))

    CRAFTED.append(Crafted(name, make, says))


def nodes(model, *new, **constants):
    """Other nodes in place of the model's own."""
    del model.graph.node[:]
    model.graph.node.extend(new)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())


def elsewhere(location, name="w"):
    """A tensor whose data lie in another file."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def info(name, kind=FLOAT, shape=()):
    return helper.make_tensor_value_info(name, kind, shape)


def entry(model, **entries):
    kept = {e.key: e.value for e in model.metadata_props}
    del model.metadata_props[:]
    helper.set_model_props(model, kept | {f"i2i.{key}": value for key, value in entries.items()})


# Other files

for place in ("../canary/secret.bin", "/etc/hostname", "link.bin", "/dev/zero", "inside.bin"):

    @crafted(f"weights in {place.rpartition('/')[2]}", "needs another file")
    def _(model, place=place):
        model.graph.initializer.append(elsewhere(place))


@crafted("weights elsewhere in a constant node", "needs another file")
def _(model):
    model.graph.node.append(node("Constant", [], "c", value=elsewhere("../canary/secret.bin")))


@crafted("weights elsewhere in a branch", "needs another file")
def _(model):
    branch = helper.make_graph(
        [node("Identity", ["w"], "b")], "b", [], [info("b")], [elsewhere("../canary/secret.bin")]
    )
    nodes(model, node("If", ["yes"], "image_out", then_branch=branch, else_branch=branch), yes=True)


@crafted("weights elsewhere in a function", "needs another file")
def _(model):
    constant = node("Constant", [], "y", value=elsewhere("../canary/secret.bin"))
    model.functions.append(helper.make_function("local", "F", ["x"], ["y"], [constant], [helper.make_opsetid("", 18)]))


@crafted("weights elsewhere in a sparse tensor", "needs another file")
def _(model):
    sparse = model.graph.sparse_initializer.add(dims=[4])
    sparse.values.CopyFrom(elsewhere("../canary/secret.bin", "s"))


# Operators that are not standard

for domain in ("com.example", "com.microsoft", "ai.onnx.ml"):

    @crafted(f"operator of {domain}", "not of standard ONNX")
    def _(model, domain=domain):
        nodes(model, node("EPContext", ["image"], "image_out", domain=domain))
        model.opset_import.append(helper.make_opsetid(domain, 1))


@crafted("unknown operator", "not an ONNX file that onnxruntime can load")
def _(model):
    nodes(model, node("Exec", ["image"], "image_out"))


# Values that are none

for name, value in {
    "NaN": np.float32([0, np.nan]),
    "infinite": np.float32([0, np.inf]),
    "one NaN": np.float32(np.nan),
    "half NaN": np.float16([np.nan, 0]),
    "double NaN": np.float64([np.nan, 0]),
}.items():

    @crafted(f"{name} weights", "NaN or infinite")
    def _(model, value=value):
        model.graph.initializer.append(numpy_helper.from_array(value, "w"))


@crafted("NaN in a constant node", "NaN or infinite")
def _(model):
    value = numpy_helper.from_array(np.full((3, 3), np.nan, np.float32))
    model.graph.node.append(node("Constant", [], "c", value=value))


@crafted("NaN in an attribute", "NaN")
def _(model):
    model.graph.node.append(node("Constant", [], "c", value_float=float("nan")))


# Outputs


@crafted("two outputs", "are not those of an i2i model")
def _(model):
    model.graph.node.append(node("Identity", ["image"], "more"))
    model.graph.output.append(info("more", TensorProto.UINT8, ["N", "H", "W", 3]))


@crafted("no output", "are not those of an i2i model")
def _(model):
    del model.graph.output[:]


@crafted("output of rank 3", "promise|shape")
def _(model):
    nodes(model, node("ReduceMax", ["image", "axis"], "image_out", keepdims=0), axis=[3])
    model.graph.output[0].CopyFrom(info("image_out", TensorProto.UINT8, ["N", "H", "W"]))


@crafted("output of a rank that only the run tells", "metadata say|promise")
def _(model):
    nodes(model, node("Squeeze", ["image"], "image_out"))
    model.graph.output[0].type.tensor_type.ClearField("shape")


@crafted("output of double precision", "its metadata say float32", value_type="float32")
def _(model):
    nodes(model, node("Cast", ["image"], "image_out", to=TensorProto.DOUBLE))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


@crafted("output that is a sequence", "its metadata say|promise")
def _(model):
    nodes(model, node("SequenceConstruct", ["image"], "image_out"))
    output = helper.make_tensor_sequence_value_info("image_out", TensorProto.UINT8, None)
    model.graph.output[0].CopyFrom(output)


# Time


def loop(count, body_nodes, carried, scanned=()):
    """A loop of that many rounds, as the number's name, that hands `carried` on and collects `scanned`."""
    inputs = [info("i", INT64), info("go", BOOL), *(info(f"{c}_in", INT64, None) for c in carried)]
    again = node("Identity", ["go"], "go_out")
    outputs = [info("go_out", BOOL), *(info(name, INT64, None) for name in [*carried, *scanned])]
    body = helper.make_graph([again, *body_nodes], "body", inputs, outputs)
    names = [f"{name}_end" for name in [*carried, *scanned]]
    return helper.make_node("Loop", [count, "yes", *(f"{c}_0" for c in carried)], names, body=body)


@crafted("loop without end", "does not finish")
def _(model):
    body = [node("Add", ["x_in", "i"], "x")]
    end = [node("Cast", ["x_end"], "x8", to=TensorProto.UINT8), node("Add", ["image", "x8"], "image_out")]
    nodes(model, loop("count", body, ["x"]), *end, count=np.iinfo(np.int64).max, yes=True, x_0=np.int64(0))


@crafted("functions that double thirty times", "does not finish|memory|crashes|cannot|not an ONNX", "identity")
def _(model):
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    inner = node("Identity", ["x"], "y")
    for level in range(30):
        body = [inner] if level == 0 else []
        if level:
            call = f"F{level - 1}"
            body = [node(call, ["x"], "m", domain="local"), node(call, ["m"], "y", domain="local")]
        model.functions.append(helper.make_function("local", f"F{level}", ["x"], ["y"], body, opsets))
    nodes(model, node("F29", ["image"], "image_out", domain="local"))
    model.opset_import.append(helper.make_opsetid("local", 1))


@crafted("function that calls itself", "crashes|can load")
def _(model):
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    body = [node("F", ["x"], "y", domain="local")]
    model.functions.append(helper.make_function("local", "F", ["x"], ["y"], body, opsets))
    nodes(model, node("F", ["image"], "image_out", domain="local"))
    model.opset_import.append(helper.make_opsetid("local", 1))


# Memory


@crafted("loop that collects without end", "does not finish|memory")
def _(model):
    big = node("Expand", ["i", "wide"], "row")
    end = [node("ReduceMax", ["row_end"], "m", keepdims=0), node("Cast", ["m"], "m8", to=TensorProto.UINT8)]
    last = node("Add", ["image", "m8"], "image_out")
    nodes(model, loop("count", [big], [], ["row"]), *end, last, count=np.int64(1 << 40), yes=True, wide=[100_000])


@crafted("constant of a huge shape", "memory")
def _(model):
    ones = node("ConstantOfShape", ["size"], "ones", value=numpy_helper.from_array(np.uint8([1])))
    least = node("ReduceMin", ["ones"], "least", keepdims=0)
    nodes(model, ones, least, node("Add", ["image", "least"], "image_out"), size=[HUGE, HUGE])


@crafted("expanded without measure", "memory")
def _(model):
    wide = node("Expand", ["image", "size"], "wide")
    least = node("ReduceMin", ["wide"], "least", keepdims=0)
    nodes(model, wide, least, node("Add", ["image", "least"], "image_out"), size=[HUGE, HUGE, 1, 1, 1, 1])


@crafted("tiled without measure", "memory|supported maximum")
def _(model):
    nodes(model, node("Tile", ["image", "times"], "image_out"), times=[1, HUGE, HUGE, 1])


@crafted("resized without measure", "memory|promise|load and run")
def _(model):
    nodes(model, node("Resize", ["image", "", "times"], "image_out"), times=np.float32([1, HUGE, HUGE, 1]))


@crafted("memory that grows step by step", "memory")
def _(model):
    steps = [node("Concat", [f"x{n}"] * 2, f"x{n + 1}", axis=1) for n in range(40)]
    least = node("ReduceMin", ["x40"], "least", keepdims=0)
    first = node("Identity", ["image"], "x0")
    nodes(model, first, *steps, least, node("Add", ["image", "least"], "image_out"))


@crafted("noise without measure", "memory", "dream", value_type="float32")
def _(model):
    model.graph.input[0].CopyFrom(info("noise", FLOAT, ["N", 1 << 40]))


# Graphs that contradict themselves


@crafted("data shorter than its shape", "do not fit its shape")
def _(model):
    model.graph.initializer.append(TensorProto(name="w", data_type=FLOAT, dims=[1000, 1000], raw_data=bytes(16)))


@crafted("shape that overflows", "do not fit its shape|memory")
def _(model):
    model.graph.initializer.append(TensorProto(name="w", data_type=FLOAT, dims=[1 << 32, 1 << 32], raw_data=bytes(16)))


@crafted("negative shape of whole numbers", "onnxruntime can load")
def _(model):
    tensor = TensorProto(name="w", data_type=INT64, dims=[-4], raw_data=bytes(16))
    model.graph.initializer.append(tensor)
    model.graph.node.append(node("Identity", ["w"], "unused"))


@crafted("circle of nodes", "onnxruntime can load")
def _(model):
    nodes(model, node("Add", ["image", "b"], "a"), node("Identity", ["a"], "b"), node("Identity", ["a"], "image_out"))


@crafted("division of whole numbers by nothing", "crashes|promise|load and run")
def _(model):
    wide = node("Cast", ["image"], "wide", to=TensorProto.INT32)
    none = node("Sub", ["wide", "wide"], "none")
    nodes(model, wide, none, node("Mod", ["wide", "none"], "m"), node("Cast", ["m"], "image_out", to=TensorProto.UINT8))


@crafted("opset of the future", "onnxruntime can load")
def _(model):
    model.opset_import[0].version = 9999


@crafted("sizes that are fixed", "load and run", dynamic=False)
def _(model):
    pass


# Inputs and metadata


@crafted("label that is text", "load and run|label", "labelled", labels=["a"])
def _(model):
    model.graph.input[1].type.tensor_type.elem_type = INT64


@crafted("label beyond what the graph knows", "load and run", "labelled", labels=["a", "b", "c"])
def _(model):
    nodes(
        model,
        node("Gather", ["table", "label"], "small"),
        node("Unsqueeze", ["small", "axes"], "wide"),
        node("Add", ["image", "wide"], "image_out"),
        table=np.uint8([1]),
    )


@crafted("input nobody knows", "not those of an i2i model")
def _(model):
    model.graph.input.append(info("password", FLOAT, [1]))


for key, value in {
    "scale": "2",
    "channels_out": "1",
    "channels_in": "100000000",
    "value_type": "float32",
    "multiple": "100000000",
    "labels": "[" + "1," * 300_000 + "1]",
}.items():

    @crafted(f"{key} of {value[:9]} in the metadata", "metadata")
    def _(model, key=key, value=value):
        entry(model, **{key: value})


@crafted("a hundred million channels that the graph leaves open", "metadata")
def _(model):
    entry(model, channels_in="100000000", channels_out="100000000")
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[3].dim_param = "C"


@crafted("scale without measure", "metadata")
def _(model):
    entry(model, scale="999999999")


@crafted("no metadata", "no i2i metadata")
def _(model):
    del model.metadata_props[:]


# Not models

bytes_of("empty", "not an ONNX file", lambda data: b"")
bytes_of("text", "not an ONNX file", lambda data: b"not a model\n" * 100)
bytes_of("zip", "not an ONNX file", lambda data: b"PK\x03\x04" + bytes(1000))
bytes_of("cut off", "not an ONNX file", lambda data: data[:-40])
bytes_of("zeros", "not an ONNX file", lambda data: bytes(1_000_000))


def field(number, data):
    """A field that holds a message, as Protocol Buffers write it."""
    length, rest = b"", len(data)
    while rest > 127:
        length, rest = length + bytes([rest & 127 | 128]), rest >> 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + data


def branches(data):
    """The model with a graph in a branch in a graph, a thousand deep; the library would not build it."""
    graph = b""
    for _ in range(1000):
        graph = field(1, field(5, field(6, graph)))  # a graph's node's attribute's graph
    return data + field(7, graph)


bytes_of("branches a thousand deep", "cannot be parsed", branches)
