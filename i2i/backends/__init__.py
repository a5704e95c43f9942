"""The built-in backends: what may compute an exported model."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_backends() -> list[Component]:
    """onnxruntime, OpenVINO and torch."""
    return [
        Component("onnxruntime", "i2i.runtime.computing.onnx_runtime:OnnxRuntime", summary="Every device, float32"),
        Component("openvino", "i2i.backends.openvino:OpenVino", summary="CPUs, bfloat16 where they have it"),
        Component("torch", "i2i.backends.torch_backend:Torch", summary="CPU and CUDA, compiled"),
    ]
