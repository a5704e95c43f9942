"""Files that metrics and feature networks need, small or with random weights, and the options that name them."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torchvision.models import Inception3, alexnet, vgg16


def randomised(module):
    """The module with weights that keep activations at their size, the same ones each time."""
    generator = torch.Generator().manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            scale = (2 / layer.weight[0].numel()) ** 0.5
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator) * scale
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data = torch.rand(layer.weight.shape, generator=generator) * 0.4 + 0.8
            layer.running_mean = torch.randn(layer.bias.shape, generator=generator) * 0.1
    return module.eval()


def inception_file(folder):
    """Inception-v3 with 1008 classes in the form of FID's file."""
    network = Inception3(num_classes=1008, aux_logits=False, transform_input=False, init_weights=False)
    return saved(folder / "inception.pth", randomised(network).state_dict())


def backbone_file(folder, name):
    """The convolutions of torchvision's `vgg16` or `alexnet`, as its file names them."""
    with torch.device("meta"):
        whole = {"vgg16": vgg16, "alexnet": alexnet}[name](weights=None)
    layers = randomised(whole.features.to_empty(device="cpu"))
    return saved(folder / f"{name}.pth", {f"features.{key}": value for key, value in layers.state_dict().items()})


def saved(file, state):
    """A file of torch, made once."""
    if not file.exists():
        torch.save(state, file)
    return file


def onnx_file(file, nodes, *, shape=("N", 3, "H", "W"), output=("N", "C"), **weights):
    """An ONNX file from ``image`` to ``out``, with these weights."""
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, output)]
    arrays = [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "given", inputs, outputs, arrays)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    return Path(file)


def classifier_file(file, weights=((-1, 0, 0), (1, 0, 0)), **more):
    """Logits of the mean colour: by default class 1 for images redder than the mean."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights"], ["out"], transB=1),
    ]
    return onnx_file(file, nodes, weights=weights, **more)


def segmenter_file(file, weights=((-1, 0, 0), (1, 0, 0)), **more):
    """Logits of each pixel's colour: by default class 1 for those redder than the mean."""
    nodes = [helper.make_node("Conv", ["image", "weights"], ["out"])]
    kernel = np.asarray(weights, np.float32)[:, :, None, None]
    return onnx_file(file, nodes, output=("N", "C", "H", "W"), weights=kernel, **more)


def needed_options(folder, kind, name):
    """``KEY=VALUE`` texts by which a component finds what it needs in a folder, where that is made; none else."""
    files = {
        ("features", "inception-v3"): lambda: f"weights={inception_file(folder)}",
        ("features", "vgg16"): lambda: f"weights={backbone_file(folder, name)}",
        ("features", "alexnet"): lambda: f"weights={backbone_file(folder, name)}",
        ("features", "onnx"): lambda: f"path={classifier_file(folder / 'features.onnx', np.eye(3))}",
        ("metric", "miou"): lambda: f"path={segmenter_file(folder / 'segmenter.onnx')}",
        ("metric", "pixel-accuracy"): lambda: f"path={segmenter_file(folder / 'segmenter.onnx')}",
        ("tracker", "mlflow"): lambda: f"uri=sqlite:///{folder}/mlflow.db",
        ("tracker", "wandb"): lambda: "mode=offline",
        ("metric", "class-accuracy"): lambda: f"path={classifier_file(folder / 'classifier.onnx')}",
    }
    others = {"inception-score": ["features=efficientnet-lite0"], "lpips": ["features=random", "linear=none"]}
    others |= {key: ["features=random"] for key in ("fid", "kid", "precision", "recall", "density", "coverage")}
    return [files[kind, name]()] if (kind, name) in files else others.get(name, [])
