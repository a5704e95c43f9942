"""Running an opened graph: arrays in, arrays out. Another runtime than onnxruntime would be another class like this."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from i2i import memory
from i2i.errors import ErrorKind, ModelError
from i2i.files import printable
from i2i.runtime.session import open_session, short_reason

Feeds = Mapping[str, np.ndarray]
"""Arrays by the name of the graph's input that takes them."""


class Runner:
    """A graph that onnxruntime has opened; safe to use from several threads.

    Args:
        session: the opened graph.
        path: the file that errors name.
        graph: the opened graph where it is not that of the file, but a changed copy.

    Attributes:
        inputs: the graph's inputs by name, each with `name`, `type` and `shape`.
        graph: the graph: the file, or the bytes of a changed copy.
        provider: onnxruntime's execution provider in use, such as ``CPUExecutionProvider``.
    """

    def __init__(self, session: onnxruntime.InferenceSession, path: Path, graph: bytes | None = None) -> None:
        self.inputs: dict[str, Any] = {node.name: node for node in session.get_inputs()}
        self.provider: str = session.get_providers()[0]
        self.path, self.graph = path, path if graph is None else graph
        self._session = session
        self._options = onnxruntime.RunOptions()

    def run(self, outputs: Sequence[str], feeds: Feeds) -> list[np.ndarray]:
        """Computes the outputs of these names.

        Raises:
            ModelError: it failed; `kind` tells whether memory ran out or `interrupt` was called.
        """
        try:
            return list(self._session.run(outputs, dict(feeds), self._options))
        except Exception as error:  # onnxruntime raises classes of its own, and RuntimeError
            kind = ErrorKind.INTERRUPTED if self._options.terminate else ErrorKind.OTHER
            if memory.ran_out(error):
                kind = ErrorKind.OUT_OF_MEMORY
            reason = f"the model failed: {short_reason(error)}"
            raise ModelError(reason, kind=kind, path=printable(self.path)) from error

    def interruptible(self) -> Runner:
        """The same graph with an `interrupt` of its own."""
        own = copy.copy(self)
        own._options = onnxruntime.RunOptions()
        return own

    def interrupt(self) -> None:
        """Stops the runs in progress, in any thread; later runs fail."""
        self._options.terminate = True

    def open_variant(self, graph: bytes) -> Runner:
        """Opens a changed copy of the graph, on the same device and stopped by the same `interrupt`.

        Raises:
            ModelError: onnxruntime cannot load it.
        """
        device = "cpu" if self.provider == "CPUExecutionProvider" else "auto"
        return Runner(open_session(graph, device)[0], self.path, graph).stopped_with(self)

    def stopped_with(self, other: Runner) -> Runner:
        """The same graph, stopped by the `interrupt` of another one."""
        own = copy.copy(self)
        own._options = other._options
        return own

    def free_memory_after_runs(self) -> None:
        """From now on, returns memory to the system after each run of this graph and of its variants.

        Otherwise each opened graph keeps the most memory that it ever needed.
        """
        self._options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
