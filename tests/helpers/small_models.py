"""Models made by hand, small enough to see through, and images for them."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from i2i.images import write_image
from i2i.translate import load

TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], **attributes)


GRAPHS = {  # nodes from `image` to `image_out`, constants, channels in and out, scale
    "identity": ([node("Identity", ["image"], "image_out")], {}, 3, 3, 1),
    "identity-1": ([node("Identity", ["image"], "image_out")], {}, 1, 1, 1),
    "identity-4": ([node("Identity", ["image"], "image_out")], {}, 4, 4, 1),
    "identity-5": ([node("Identity", ["image"], "image_out")], {}, 5, 5, 1),
    "exported": (  # uint8: an identity in the form that `i2i export` gives it
        [
            node("Transpose", ["image"], "planes", perm=[0, 3, 1, 2]),
            node("Cast", ["planes"], "floats", to=TensorProto.FLOAT),
            node("Div", ["floats", "half"], "doubled"),
            node("Sub", ["doubled", "one"], "inside"),
            node("Clip", ["inside", "least", "one"], "clipped"),
            node("Add", ["clipped", "one"], "positive"),
            node("Div", ["positive", "two"], "unit"),
            node("Transpose", ["unit"], "pixels", perm=[0, 2, 3, 1]),
            node("Mul", ["pixels", "full"], "levels"),
            node("Round", ["levels"], "rounded"),
            node("Cast", ["rounded"], "image_out", to=TensorProto.UINT8),
        ],
        {
            name: np.float32(value)
            for name, value in {"half": 127.5, "one": 1, "least": -1, "two": 2, "full": 255}.items()
        },
        1,
        1,
        1,
    ),
    "invert": ([node("BitwiseNot", ["image"], "image_out")], {}, 3, 3, 1),
    "triple": ([node("Concat", ["image"] * 3, "image_out", axis=3)], {}, 1, 3, 1),
    "pair": ([node("Concat", ["image"] * 2, "image_out", axis=3)], {}, 1, 2, 1),
    "red": (
        [node("Slice", ["image", "zero", "one", "axis"], "image_out")],
        {"zero": [0], "one": [1], "axis": [3]},
        3,
        1,
        1,
    ),
    "red-of-4": (
        [node("Slice", ["image", "zero", "one", "axis"], "image_out")],
        {"zero": [0], "one": [1], "axis": [3]},
        4,
        1,
        1,
    ),
    "double": (
        [
            node(
                "Resize",
                ["image", "", "scales"],
                "image_out",
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )
        ],
        {"scales": np.array([1, 2, 2, 1], np.float32)},
        3,
        3,
        2,
    ),
    "cubic-4": (  # cubic interpolation by 4, of floats between the casts
        [
            node("Cast", ["image"], "floats", to=TensorProto.FLOAT),
            node("Transpose", ["floats"], "planes", perm=[0, 3, 1, 2]),
            node("Resize", ["planes", "", "scales"], "large", mode="cubic"),
            node("Transpose", ["large"], "pixels", perm=[0, 2, 3, 1]),
            node("Clip", ["pixels", "least", "most"], "clipped"),
            node("Cast", ["clipped"], "image_out", to=TensorProto.UINT8),
        ],
        {"scales": np.array([1, 1, 4, 4], np.float32), "least": np.float32(0), "most": np.float32(255)},
        3,
        3,
        4,
    ),
    "labelled": (
        [
            node("Cast", ["label"], "small", to=TensorProto.UINT8),
            node("Unsqueeze", ["small", "axes"], "wide"),
            node("Add", ["image", "wide"], "image_out"),
        ],
        {"axes": [1, 2, 3]},
        3,
        3,
        1,
    ),
    "noisy": ([node("Add", ["image", "noise"], "image_out")], {}, 3, 3, 1),
    "dream": (  # float32: a value z of the noise becomes 0.5 + z / 16
        [
            node("Mul", ["noise", "factor"], "around"),
            node("Add", ["around", "middle"], "values"),
            node("Reshape", ["values", "size"], "image_out"),
        ],
        {"factor": np.float32(1 / 16), "middle": np.float32(0.5), "size": [-1, 8, 8, 3]},
        0,
        3,
        1,
    ),
    "dream-of": (  # uint8: z becomes 128 + 16 z; the last of the 64 pixels is the label's number
        [
            node("Mul", ["noise", "factor"], "around"),
            node("Add", ["around", "middle"], "values"),
            node("Cast", ["label"], "number", to=TensorProto.FLOAT),
            node("Unsqueeze", ["number", "axes"], "last"),
            node("Concat", ["values", "last"], "all", axis=1),
            node("Cast", ["all"], "bytes", to=TensorProto.UINT8),
            node("Reshape", ["bytes", "size"], "image_out"),
        ],
        {"factor": np.float32(16), "middle": np.float32(128), "axes": [1], "size": [-1, 8, 8, 1]},
        0,
        1,
        1,
    ),
    "dream-of-nan": (
        [node("Div", ["noise", "none"], "bad"), node("Reshape", ["bad", "size"], "image_out")],
        {"none": np.zeros(1, np.float32), "size": [-1, 8, 8, 3]},
        0,
        3,
        1,
    ),
    "to-nan": ([node("Div", ["image", "none"], "image_out")], {"none": np.zeros(1, np.float32)}, 3, 3, 1),
}


def metadata_of(graph, value_type, labels):
    _, _, channels_in, channels_out, scale = GRAPHS[graph]
    return {
        "i2i.version": "0.1.0",
        "i2i.recipe": "test",
        "i2i.translator": "default",
        "i2i.scale": str(scale),
        "i2i.multiple": "1",
        "i2i.channels_in": str(channels_in),
        "i2i.channels_out": str(channels_out),
        "i2i.value_type": value_type,
        "i2i.labels": json.dumps(labels),
        "i2i.receptive_field": "1",
        "i2i.config_digest": "0" * 8,
    }


def make_model(path, graph, value_type="uint8", labels=(), metadata=None, dynamic=True):
    nodes, constants, channels_in, channels_out, _ = GRAPHS[graph]
    kind, size = TYPES[value_type], ["N", "H", "W"] if dynamic else [1, 8, 8]
    inputs = [helper.make_tensor_value_info("image", kind, [*size, channels_in])] if channels_in else []
    if "label" in {name for each in nodes for name in each.input}:
        inputs.append(helper.make_tensor_value_info("label", TensorProto.INT32, ["N"]))
    if graph == "noisy":
        inputs.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["N", "H", "W", 1]))
    if not channels_in:
        values = 63 if graph == "dream-of" else 192
        inputs.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["N", values]))
    output = helper.make_tensor_value_info("image_out", kind, ["N", "H2", "W2", channels_out])
    held = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, [output], held),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    helper.set_model_props(model, metadata_of(graph, value_type, list(labels)) if metadata is None else metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


@pytest.fixture
def model(tmp_path):
    """Loads a model with one of the graphs above."""

    def make(graph="invert", value_type="uint8", **options):
        name = f"{graph}-{value_type}.onnx"
        return load(make_model(tmp_path / "models" / name, graph, value_type, **options), device="cpu")

    return make


def noise(*shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


@pytest.fixture
def photos(tmp_path):
    """A folder of images: nested, of two sizes."""
    for n, name in enumerate(["1.png", "2.png", "10.png", "sub/3.png", "sub/deep/4.png"]):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, noise(8 if n < 3 else 6, 9, 3, seed=n))
    return tmp_path / "in"


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# Models
