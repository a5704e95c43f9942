"""OpenVINO: computes on CPUs, in bfloat16 or float16 where the CPU multiplies matrices in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

import numpy as np

from i2i.extras import install_command
from i2i.runtime.computing.backend import Backend, Opening, RunControl
from i2i.runtime.remembered import own_folder

MAX_CACHED = 8
"""Models of which the generated code, as large as the model, is kept."""


class OpenVino(Backend):
    """OpenVINO on the CPU."""

    def problem(self, opening: Opening) -> str:
        """Why it cannot be used here; see `Backend.problem`."""
        if find_spec("openvino") is None:
            return f"the package openvino is not installed: {install_command('openvino')}"
        if opening.device not in ("auto", "cpu"):
            return f"OpenVINO computes on the CPU here, not on {opening.device}"
        return ""

    def version(self) -> str:
        """The version of OpenVINO, and the CPU."""
        openvino = _package()
        return f"{openvino.__version__} {openvino.Core().get_property('CPU', 'FULL_DEVICE_NAME')}"

    def open(self, graph: Path | bytes, opening: Opening) -> OpenVinoGraph:
        """Opens a graph; of a file, what was generated for this CPU is kept in the user's cache folder.

        Each file has a folder there named after its content, for OpenVINO itself takes two files of one path, size and
        second for the same. Those that were not used for longest are removed.
        """
        openvino = _package()
        core = openvino.Core()
        kind = _fast_type(core) if opening.precision == "fast" else "f32"
        provider = f"OpenVINO {kind}"
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": kind, "PERFORMANCE_HINT": "LATENCY"}
        if opening.threads is not None:
            options["INFERENCE_NUM_THREADS"] = opening.threads
        model = str(graph) if isinstance(graph, Path) else core.read_model(graph)
        if opening.known_as and (cache := own_folder("openvino", opening.known_as[:32], most=MAX_CACHED)):
            with suppress(RuntimeError):  # such as another process that writes there
                return OpenVinoGraph(core.compile_model(model, "CPU", options | {"CACHE_DIR": str(cache)}), provider)
        return OpenVinoGraph(core.compile_model(model, "CPU", options), provider)


class OpenVinoGraph:
    """A graph that OpenVINO has compiled.

    Args:
        compiled: the model.
        provider: see `OpenedGraph`.
    """

    on_cpu = True

    def __init__(self, compiled: Any, provider: str) -> None:
        self.provider = provider
        self.notes: list[str] = []
        self._compiled = compiled
        self._requests: LifoQueue[Any] = LifoQueue()  # each serves one run at a time

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray], control: RunControl) -> list[np.ndarray]:
        """Computes outputs; see `OpenedGraph.run`."""
        try:
            request = self._requests.get_nowait()
        except Empty:
            request = self._compiled.create_infer_request()
        try:
            request.start_async(dict(feeds), share_inputs=True)
            with control.stopping_by(request.cancel):  # which ends only runs that were started in this way
                request.wait()
            return [request.get_tensor(name).data.copy() for name in outputs]
        finally:
            self._requests.put(request)


def _package() -> Any:
    """The package ``openvino``, imported so that it does not report that to its maker.

    Left to itself it makes a number for the user in the home folder and sends an event over the network at each import.
    """
    reporting = "openvino_telemetry"
    hidden = reporting not in sys.modules
    if hidden:
        sys.modules[reporting] = None  # type: ignore[assignment]  # its import fails, and openvino does without
    try:
        import openvino
    finally:
        if hidden:
            del sys.modules[reporting]
    return openvino


def _fast_type(core: Any) -> str:
    """The type in which this CPU multiplies matrices fastest: ``f16``, ``bf16``, or ``f32`` where it has neither.

    Many CPUs compute in float16 with vector instructions only, slower than in bfloat16 with those for matrices.
    """
    with suppress(OSError):
        if "amx_fp16" in Path("/proc/cpuinfo").read_text().split():
            return "f16"
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
