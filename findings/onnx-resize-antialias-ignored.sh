#!/usr/bin/env bash
# Resize with antialias=1 (ONNX opset 18), as exporters write it for a resize with antialiasing.
#
# One would guess: a runtime either applies the filter or refuses the attribute.
# What happens: onnxruntime 1.31.1 applies it; OpenVINO 2026.4.1 (CPU) and OpenCV 5.0.0 accept the file and resize without
# the filter. A line pattern that should become grey becomes black, without a word.
# What to do: shrink by a convolution or average pooling in the graph, or compare with a second runtime.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1 opencv-python-headless==5.0.0.93
"$folder/env/bin/python" - <<'PYTHON'
import cv2
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

graph = helper.make_graph(
    [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear", antialias=1)],
    "shrink",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1, 64])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 16])],
    [helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 1, 0.25])],
)
opset = [helper.make_opsetid("", 18)]
model = helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
lines = (np.arange(64) % 4 == 0).astype(np.float32).reshape(1, 1, 1, 64)  # every fourth pixel is white
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
network.setInput(lines)
found = {
    f"onnxruntime {onnxruntime.__version__}": session.run(None, {"x": lines})[0],
    f"openvino {openvino.__version__}": openvino.compile_model(openvino.Core().read_model(model), "CPU")(lines)[0],
    f"opencv {cv2.__version__}": network.forward(),
}
middle = {name: float(value.ravel()[4:12].mean()) for name, value in found.items()}
for name, mean in middle.items():
    print(f"{name}: mean {mean:.3f}, right is 0.25")
filtered, *others = middle.values()
assert abs(filtered - 0.25) < 0.01
assert all(abs(mean) < 0.01 for mean in others)
PYTHON
