"""The backend that every model can be opened with: onnxruntime, which computes in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from i2i.runtime.computing.backend import Backend, Opening, RunControl
from i2i.runtime.computing.session import open_session
from i2i.runtime.signature import Node, input_nodes

CPU = "CPUExecutionProvider"


class OnnxRuntime(Backend):
    """onnxruntime: on the CPU, with CUDA, or with TensorRT, which alone computes in float16 if that is fast enough."""

    def problem(self, opening: Opening) -> str:
        """Why it cannot compute as it is asked to; see `Backend.problem`."""
        if opening.precision == "fast" and opening.device != "tensorrt":
            return "onnxruntime computes in float32 on every device but tensorrt"
        return ""

    def version(self) -> str:
        """The version of onnxruntime."""
        return str(onnxruntime.__version__)

    def open(self, graph: Path | bytes, opening: Opening) -> OnnxRuntimeGraph:
        """Opens a graph on the device, or on the next best one that works.

        Raises:
            ModelError: no ONNX file that onnxruntime can load.
            UserError: the device is unknown.
        """
        half = opening.precision == "fast"
        return OnnxRuntimeGraph(*open_session(graph, opening.device, threads=opening.threads, half=half))


class OnnxRuntimeGraph:
    """A graph that onnxruntime has opened.

    Args:
        session: the opened graph.
        note: a line for the user about the device; else "".

    Attributes:
        inputs: the graph's inputs by name.
    """

    def __init__(self, session: onnxruntime.InferenceSession, note: str = "") -> None:
        self.provider: str = session.get_providers()[0]
        self.on_cpu = self.provider == CPU
        self.notes = [note] if note else []
        self.inputs: dict[str, Node] = input_nodes(session)
        self._session = session

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray], control: RunControl) -> list[np.ndarray]:
        """Computes outputs; see `OpenedGraph.run`."""
        options = onnxruntime.RunOptions()
        if not control.keep_memory:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with control.stopping_by(lambda: setattr(options, "terminate", True)):
            return list(self._session.run(list(outputs), dict(feeds), options))
