"""Graphs rewritten to run faster compute what they computed before; what cannot be rewritten is left alone."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

import i2i
from i2i.components import unet
from i2i.components.inference import for_inference
from i2i.export.onnx_file import write_onnx
from i2i.export.rewriting import rewrite_transposed

DOUBLE, FLOAT = TensorProto.DOUBLE, TensorProto.FLOAT


def graph_of(layer, *, computed=False):
    """A model of one transposed convolution, of any height, width and batch; or one whose weights are computed."""
    kind = FLOAT if layer.weight.dtype == torch.float32 else DOUBLE
    tensors = {"weight": layer.weight, "bias": layer.bias}
    held = [numpy_helper.from_array(t.detach().numpy(), name) for name, t in tensors.items() if t is not None]
    before = [helper.make_node("Identity", ["weight"], ["same"])] if computed else []
    node = helper.make_node(
        "ConvTranspose",
        ["x", "same" if computed else "weight", *(["bias"] if layer.bias is not None else [])],
        ["y"],
        strides=layer.stride,
        pads=[*layer.padding, *layer.padding],
        output_padding=layer.output_padding,
        dilations=layer.dilation,
        group=layer.groups,
    )
    given = helper.make_tensor_value_info("x", kind, ["batch", layer.in_channels, "height", "width"])
    made = helper.make_tensor_value_info("y", kind, ["batch", layer.out_channels, "height_out", "width_out"])
    return model_of([*before, node], [given], [made], held)


def model_of(nodes, inputs, outputs, held):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def kinds(model):
    return [node.op_type for node in model.graph.node]


def run(model, **feeds):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 8), (3, 2, 7)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding"),
    [
        (4, 2, 1, 0),
        (4, 2, 1, 1),
        (2, 2, 0, 0),
        (4, 2, 0, 0),
        (6, 2, 2, 1),
        (8, 2, 3, 0),
        (6, 3, 1, 2),
        (3, 3, 0, 1),
        (8, 4, 2, 0),
        ((4, 2), 2, (1, 0), (0, 1)),
        ((2, 6), 2, (0, 2), 0),
    ],
)
def test_a_transposed_convolution_gives_what_torch_gives(kernel, stride, padding, output_padding, bias, shape):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(3, 5, kernel, stride, padding, output_padding, bias=bias).double()
    x = torch.randn(shape[0], 3, *shape[1:], dtype=torch.float64)
    model = graph_of(layer)
    assert rewrite_transposed(model.graph) == 1
    onnx.checker.check_model(model, full_check=True)
    assert "ConvTranspose" not in kinds(model)
    want = layer(x).detach().numpy()
    [got] = ReferenceEvaluator(model).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)

    single = graph_of(layer.float())
    rewrite_transposed(single.graph)
    [got] = run(single, x=x.float().numpy())
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * max(1, np.abs(want).max()))


@pytest.mark.parametrize("channels", [1, 2, 70])
def test_any_number_of_channels(channels):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(channels, 71 - channels, 4, 2, 1)
    x = torch.randn(2, channels, 6, 5)
    model = graph_of(layer)
    assert rewrite_transposed(model.graph) == 1
    np.testing.assert_allclose(run(model, x=x.numpy())[0], layer(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel_size": 4, "stride": 1},
        {"kernel_size": 4, "stride": (2, 4), "padding": 1},
        {"kernel_size": 4, "stride": 2, "padding": 1, "groups": 2},
        {"kernel_size": 4, "stride": 2, "padding": 1, "dilation": 3},
        {"kernel_size": 2, "stride": 2, "padding": 2},
    ],
    ids=lambda options: "-".join(f"{key}{value}" for key, value in options.items()),
)
def test_what_would_not_gain_or_not_fit_is_left_alone(options):
    model = graph_of(nn.ConvTranspose2d(4, 6, **options))
    before = model.SerializeToString()
    assert rewrite_transposed(model.graph) == 0
    assert model.SerializeToString() == before


def test_weights_that_are_computed_or_given_are_left_alone():
    layer = nn.ConvTranspose2d(2, 2, 4, 2, 1)
    assert rewrite_transposed(graph_of(layer, computed=True).graph) == 0
    given = graph_of(layer)
    given.graph.input.append(helper.make_tensor_value_info("weight", FLOAT, [2, 2, 4, 4]))
    assert rewrite_transposed(given.graph) == 0


def test_other_users_of_weights_and_results_go_on_with_them():
    """Two transposed convolutions share their weights, which are an output, too, and a branch takes the result."""
    layer = nn.ConvTranspose2d(2, 2, 2, 2)
    model = graph_of(layer)
    first = model.graph.node[0]
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(kind, ["y", "bias_of_branch"], [f"{name}.out"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}.out", FLOAT, [None] * 4)],
        )
        for name, kind in (("then", "Add"), ("else", "Mul"))
    }
    second = onnx.NodeProto()
    second.CopyFrom(first)
    second.input[0], second.output[0] = "y", "twice"
    more = [
        second,
        helper.make_node("Identity", ["weight"], ["kept"]),
        helper.make_node("If", ["way"], ["z"], **branches),
    ]
    model.graph.node.extend(more)
    model.graph.input.append(helper.make_tensor_value_info("way", TensorProto.BOOL, []))
    model.graph.output.extend(helper.make_tensor_value_info(name, FLOAT, [None] * 4) for name in ("twice", "kept", "z"))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(3), "bias_of_branch"))
    feeds = {"x": np.random.default_rng(0).random((1, 2, 3, 4), np.float32), "way": np.array(True)}
    want = run(model, **feeds)
    assert rewrite_transposed(model.graph) == 2
    onnx.checker.check_model(model, full_check=True)
    for one, other in zip(run(model, **feeds), want, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


class Norms(nn.Module):
    """Batch norms after convolutions, transposed and padded ones, and two that cannot be folded."""

    multiple = 2

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.padded = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.up = nn.ConvTranspose2d(8, 6, 4, 2, 1)
        self.grouped, self.shared = (nn.ConvTranspose2d(6, 6, 3, 1, 1, groups=2) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in (8, 8, 6, 6, 6, 6))

    def forward(self, x):
        x = self.norms[0](self.first(x)).relu()
        x = self.norms[1](self.padded(x)).relu()
        x = self.norms[2](self.up(x))
        x = self.norms[3](self.grouped(x))
        shared = self.shared(x.relu())
        x = self.norms[4](shared) + shared  # its input is used elsewhere
        return self.norms[5](x.relu())[:, :3].tanh()  # after no convolution


def with_statistics(module):
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.2, 3)
            nn.init.uniform_(layer.weight, -1, 1.5)
            nn.init.uniform_(layer.bias, -1, 1)
    return module.eval()


def test_batch_norms_are_folded_where_nothing_else_takes_their_input(tmp_path):
    path = tmp_path / "m.onnx"
    example = {"image": torch.zeros(1, 3, 16, 16)}
    written = write_onnx(path, i2i.Translator(with_statistics(Norms()), example), "float32", {})
    assert written.difference <= 255e-5
    assert (written.rewritten, written.folded) == (1, 4)
    assert kinds(onnx.load(path)).count("BatchNormalization") == 2


@pytest.mark.parametrize("image_statistics", [True, False])
def test_a_unet_is_rewritten_and_keeps_its_instance_norms(tmp_path, image_statistics):
    path = tmp_path / "m.onnx"
    network = unet.build(unet.UNetConfig(filters=4, depth=3), in_channels=3, out_channels=3, size=(32, 32))
    network = for_inference(with_statistics(network), image_statistics=image_statistics)
    norms = sum(
        isinstance(layer, nn.BatchNorm2d) or "InstanceNorm2d" in str(type(layer)) for layer in network.modules()
    )
    written = write_onnx(path, i2i.Translator(network, {"image": torch.zeros(1, 3, 32, 32)}), "float32", {})
    found = kinds(onnx.load(path))
    assert written.difference <= 255e-5
    assert (written.rewritten, found.count("ConvTranspose"), found.count("BatchNormalization")) == (3, 0, 0)
    assert found.count("InstanceNormalization") == (norms if image_statistics else 0)
    assert written.folded == (0 if image_statistics else norms)


def test_a_network_of_one_size_is_rewritten(tmp_path):
    path = tmp_path / "m.onnx"
    network = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh())
    network.size = (24, 40)
    written = write_onnx(path, i2i.Translator(network.eval(), {"image": torch.zeros(1, 3, 24, 40)}), "uint8", {})
    assert written.rewritten == 1
    [output] = onnx.load(path).graph.output
    assert [d.dim_value for d in output.type.tensor_type.shape.dim][1:] == [24, 40, 3]
