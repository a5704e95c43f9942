"""Running an opened graph, whichever backend has opened it: arrays in, arrays out."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from i2i import memory
from i2i.errors import ErrorKind, ModelError
from i2i.files import printable
from i2i.runtime.computing.backend import OpenedGraph, Opening, RunControl
from i2i.runtime.computing.onnx_runtime import OnnxRuntime, OnnxRuntimeGraph
from i2i.runtime.computing.session import short_reason
from i2i.runtime.signature import Node

Feeds = Mapping[str, np.ndarray]
"""Arrays by the name of the graph's input that takes them."""


class Runner:
    """An opened graph; safe to use from several threads.

    Args:
        opened: computes the graph.
        inputs: the graph's inputs by name.
        path: the file that errors name.
        graph: the opened graph where it is not that of the file, but a changed copy.
        threads: number of threads that compute changed copies; None: one for each core.

    Attributes:
        inputs: the graph's inputs by name.
        graph: the graph: the file, or the bytes of a changed copy.
        notes: lines for the user; more may come while the graph runs.
    """

    def __init__(
        self,
        opened: OpenedGraph,
        inputs: Mapping[str, Node],
        path: Path,
        graph: bytes | None = None,
        threads: int | None = None,
    ) -> None:
        self.inputs = dict(inputs)
        self.path, self.graph = path, path if graph is None else graph
        self.notes = opened.notes
        self._opened, self._threads = opened, threads
        self._control = RunControl()

    @property
    def provider(self) -> str:
        """What computes, such as ``CPUExecutionProvider`` of onnxruntime, or ``OpenVINO bf16``."""
        return self._opened.provider

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU computes."""
        return self._opened.on_cpu

    def run(self, outputs: Sequence[str], feeds: Feeds) -> list[np.ndarray]:
        """Computes the outputs of these names.

        Raises:
            ModelError: it failed; `kind` tells whether memory ran out or `interrupt` was called.
        """
        try:
            if self._control.stopped:
                raise InterruptedError("it was interrupted")
            return self._opened.run(outputs, feeds, self._control)
        except Exception as error:  # each runtime raises classes of its own, and RuntimeError
            kind = ErrorKind.INTERRUPTED if self._control.stopped else ErrorKind.OTHER
            if memory.ran_out(error):
                kind = ErrorKind.OUT_OF_MEMORY
            reason = f"the model failed: {short_reason(error)}"
            raise ModelError(reason, kind=kind, path=printable(self.path)) from error

    def interruptible(self) -> Runner:
        """The same graph with an `interrupt` of its own."""
        own = copy.copy(self)
        own._control = RunControl()
        own._control.keep_memory = self._control.keep_memory
        return own

    def interrupt(self) -> None:
        """Stops the runs in progress, in any thread; later runs fail."""
        self._control.stop()

    def open_variant(self, graph: bytes) -> Runner:
        """Opens a changed copy of the graph, on the same device and stopped by the same `interrupt`.

        Onnxruntime computes it, in float32, whatever computes this graph: changed copies are for images of more than 8
        bits and for statistics of large images, which need that precision.

        Raises:
            ModelError: onnxruntime cannot load it.
        """
        device = "cpu" if self.on_cpu else "auto"
        opened = OnnxRuntime().open(graph, Opening(device, threads=self._threads))
        variant = Runner(opened, opened.inputs, self.path, graph, self._threads).stopped_with(self)
        if not isinstance(self._opened, OnnxRuntimeGraph):
            self._say(
                "deep images, and large ones in tiles with shared statistics, are computed by onnxruntime in float32"
            )
        return variant

    def stopped_with(self, other: Runner) -> Runner:
        """The same graph, stopped by the `interrupt` of another one."""
        own = copy.copy(self)
        own._control = other._control
        return own

    def free_memory_after_runs(self) -> None:
        """From now on, returns memory to the system after each run of this graph and of its variants.

        Otherwise each opened graph keeps the most memory that it ever needed.
        """
        self._control.keep_memory = False

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
