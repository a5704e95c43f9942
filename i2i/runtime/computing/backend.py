"""What computes the graph of an exported model: the interface of backends, which plugins may give."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np

Precision = Literal["exact", "fast"]
"""``exact``: float32, at most one level of 255 from what onnxruntime gives. ``fast``: bfloat16 or float16 as well."""


@dataclass(frozen=True)
class Opening:
    """How a graph is to be opened.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``, as `i2i.load` takes it.
        precision: the least that is asked for; a backend may compute more precisely.
        threads: number of threads that compute; None: one for each core.
        known_as: a digest of the graph and of the versions of what opens it, for what a backend keeps of it in a cache;
            empty: it is not known.
    """

    device: str = "auto"
    precision: Precision = "exact"
    threads: int | None = None
    known_as: str = ""


class RunControl:
    """Stops runs from another thread, and says what becomes of the memory that they took.

    Attributes:
        stopped: whether `stop` was called.
        keep_memory: whether a graph may keep a run's memory for the next one.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.keep_memory = True
        self._lock = threading.Lock()
        self._calls: dict[int, Callable[[], None]] = {}

    def stop(self) -> None:
        """Breaks off all runs in progress; later ones are to fail at once."""
        with self._lock:
            self.stopped = True
            for call in self._calls.values():  # while the lock is held: a run that ends now may not be used by another
                call()

    @contextmanager
    def stopping_by(self, call: Callable[[], None]) -> Iterator[None]:
        """While a run is in progress, `stop` calls this function, from another thread.

        Args:
            call: breaks the run off; called at once if `stop` was called before.
        """
        with self._lock:
            self._calls[id(call)] = call
            late = self.stopped
        if late:
            call()
        try:
            yield
        finally:
            with self._lock:
                del self._calls[id(call)]


class OpenedGraph(Protocol):
    """A graph that a backend has opened; several threads may run it at once."""

    @property
    def provider(self) -> str:
        """What computes, in a few words, such as ``CPUExecutionProvider`` or ``OpenVINO bf16``."""

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU computes."""

    @property
    def notes(self) -> list[str]:
        """Lines for the user, such as that another device than the one asked for is used; more may come with a run."""

    def run(self, outputs: Sequence[str], feeds: Mapping[str, np.ndarray], control: RunControl) -> list[np.ndarray]:
        """Computes outputs.

        Args:
            outputs: their names in the graph.
            feeds: arrays by name of the input; all axes may have another length than in the run before.
            control: to be asked whether the run is to stop; see `RunControl.stopping_by`.

        Returns:
            Arrays in the order of `outputs`.

        Raises:
            Exception: of whatever class; i2i makes a `ModelError` of it.
        """


class Backend(ABC):
    """Opens graphs: the base class of what the hook `i2i_backends` gives.

    Making one must not need a package of its own: it is imported when `version` or `open` is called.

    Args:
        config: the component's options; None: there are none.

    Attributes:
        automatic: whether ``auto`` may choose it. One that takes long to open is for those who ask for it by name.
    """

    automatic: bool = True

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def problem(self, opening: Opening) -> str:
        """Why it cannot be used here, such as that a package is missing, and how to mend it; "" if it can.

        Args:
            opening: what is asked for.
        """
        return ""

    @abstractmethod
    def version(self) -> str:
        """Its version and what it depends on, such as the instructions of the CPU; another one is tested anew.

        Empty: what it computes depends on more than that and the graph, so that it is tested in every process.
        """

    @abstractmethod
    def open(self, graph: Path | bytes, opening: Opening) -> OpenedGraph:
        """Opens a graph.

        Args:
            graph: an ONNX file, or the bytes of one.
            opening: device, precision and threads.

        Raises:
            Exception: of whatever class; i2i makes a `ModelError` of it.
        """
