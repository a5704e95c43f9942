#!/usr/bin/env bash
# Casting a float to uint8 at the end of an exported image model.
#
# One would guess: what lies outside of 0..255 is clipped, or at least comes out alike in every runtime.
# What happens: onnxruntime 1.31.1 (CPU) keeps the lowest 8 bits, so that 256 becomes 0, 300 becomes 44 and -1 becomes 255:
# white spots in the blackest places. OpenVINO 2026.4.1 clips. The ONNX standard leaves it open.
# What to do: Clip, Round and Cast in this order inside the graph; then both agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

graph = helper.make_graph(
    [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.UINT8)],
    "cast",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
    [helper.make_tensor_value_info("y", TensorProto.UINT8, ["n"])],
)
opset = [helper.make_opsetid("", 18)]
model = helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
values = np.array([-1, 254.6, 256, 300], np.float32)
one = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": values})[0]
other = openvino.compile_model(openvino.Core().read_model(model), "CPU")(values)[0]
print("values", values.tolist())
print("onnxruntime", onnxruntime.__version__, one.tolist())
print("openvino", openvino.__version__, other.tolist())
assert one.tolist() == [255, 254, 0, 44]
assert other.tolist() == [0, 254, 255, 255]
PYTHON
