#!/usr/bin/env bash
# Noise drawn inside an ONNX graph (RandomNormalLike without a seed).
#
# One would guess: two sessions, for instance one a thread or one a model, draw different noise.
# What happens: in onnxruntime 1.31.1 every session of a process begins the same stream, so that two sessions give the same
# "random" images in the same order.
# What to do: make noise an input of the graph and draw it outside.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 onnx==1.23.2 onnxruntime==1.31.1
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

graph = helper.make_graph(
    [helper.make_node("RandomNormalLike", ["x"], ["y"])],
    "noise",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
)
opset = [helper.make_opsetid("", 18)]
model = helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
first, second = (onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]) for _ in range(2))
zeros = np.zeros(3, np.float32)
draws = [[session.run(None, {"x": zeros})[0].tolist() for _ in range(2)] for session in (first, second)]
print("onnxruntime", onnxruntime.__version__)
print("first session ", draws[0])
print("second session", draws[1])
assert draws[0][0] != draws[0][1], "within a session the draws differ"
assert draws[0] == draws[1], "the sessions draw the same"
PYTHON
