"""Lets a backend compute a model in onnxruntime's place, once both gave the same for the first input.

The first image, or the first noise, goes through onnxruntime in float32 and through each backend that may be used. The
quickest one whose result is close enough computes all that follows; if there is none, onnxruntime goes on. What was
chosen is remembered in the user's cache folder, so that the next process begins with it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from i2i import memory
from i2i.errors import ModelError, UserError, one_line
from i2i.interface import LabelMapInput
from i2i.runtime.computing.backend import Backend, OpenedGraph, Opening, RunControl
from i2i.runtime.computing.onnx_runtime import OnnxRuntime, OnnxRuntimeGraph
from i2i.runtime.computing.parity import difference
from i2i.runtime.metadata import Metadata
from i2i.runtime.remembered import forget, keep, recall
from i2i.runtime.sandbox.verdicts import verdict_name

Feeds = Mapping[str, np.ndarray]
_KIND = "chosen-backends"
_MAX_NOTE = 400
"""Characters of a note of a backend."""
_TIMED_RUNS = 3
"""The machine may be busy with other work: the quickest run tells how fast it can be."""
_MIN_SIDE, _MIN_DEVIATION = 32, 4.0
"""Of an image that tells how close a backend is for others as well: its sides, and the deviation of its levels."""


@dataclass(frozen=True)
class Candidates:
    """The backends that may compute a model.

    Attributes:
        backends: by name; none of them has a `Backend.problem` here.
        opening: device, precision and threads.
        timed: whether one has to be quicker than onnxruntime; if not, it has only to be close enough.
        notes: lines for the user about backends that are left out.
    """

    backends: Mapping[str, Backend]
    opening: Opening
    timed: bool
    notes: tuple[str, ...] = ()


def exactly(device: str = "auto") -> Candidates:
    """No candidate: onnxruntime computes in float32 on that device."""
    return Candidates({}, Opening(device), timed=False)


@dataclass(frozen=True)
class _Choice:
    """What computes.

    Attributes:
        name: the backend; "" for onnxruntime in float32.
        note: the line for the user.
    """

    name: str
    note: str


class VerifiedGraph:
    """A graph that the best of several backends computes; the first run chooses it.

    Args:
        file: an ONNX file.
        candidates: the backends.
        info: what the file says about itself.
        known_as: the file's verdict, as `i2i.runtime.sandbox.verdicts.verdict_name` gives it; "": to be computed.
    """

    def __init__(self, file: Path, candidates: Candidates, info: Metadata, known_as: str = "") -> None:
        self._file, self._candidates, self._info = file, candidates, info
        self.notes = list(candidates.notes)
        self._known_as = known_as or verdict_name(file)
        self._opening = replace(candidates.opening, known_as=self._known_as)
        self._name = _remembered_name(self._known_as, candidates)
        self._lock = threading.Lock()
        self._chosen: OpenedGraph | None = None
        self._remembered = self._open_remembered()

    @property
    def provider(self) -> str:
        """What computes; until the first run has chosen it, the names of the candidates."""
        return self._chosen.provider if self._chosen else " or ".join(self._candidates.backends)

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU computes."""
        return self._chosen.on_cpu if self._chosen else self._candidates.opening.device == "cpu"

    def run(self, outputs: Sequence[str], feeds: Feeds, control: RunControl) -> list[np.ndarray]:
        """Computes outputs; see `OpenedGraph.run`. A backend that fails is given up for onnxruntime."""
        with self._lock:
            if self._chosen is None:
                return self._run_remembered(outputs, feeds, control) or self._choose(outputs, feeds, control)
        graph = self._chosen
        try:
            result = self._checked_run(graph, outputs, feeds, control)
            self._pass_on(graph.notes)
            return result
        except Exception as error:
            if control.stopped or memory.ran_out(error) or isinstance(graph, OnnxRuntimeGraph):
                raise
            return self._given_up(graph, error).run(outputs, feeds, control)

    @staticmethod
    def _checked_run(graph: OpenedGraph, outputs: Sequence[str], feeds: Feeds, control: RunControl) -> list[np.ndarray]:
        found = graph.run(outputs, feeds, control)
        if len(found) != len(outputs) or not all(isinstance(array, np.ndarray) for array in found):
            raise ModelError("an output is missing, has another shape or type")
        return found

    def _given_up(self, graph: OpenedGraph, error: Exception) -> OpenedGraph:
        """Onnxruntime in the place of a backend that fails, whose choice is forgotten."""
        with self._lock:
            if self._chosen is graph:
                self._chosen = self._opened("")
                forget(_KIND, self._name)
                self._pass_on(
                    [f"from now on computed exactly, by onnxruntime: {graph.provider} failed: {_reason(error)}"]
                )
            assert self._chosen is not None
            return self._chosen

    def _pass_on(self, notes: Sequence[str]) -> None:
        lines = [" ".join(str(note).split())[:_MAX_NOTE] for note in ([notes] if isinstance(notes, str) else notes)]
        self.notes += [line for line in lines if line not in self.notes]

    def _open_remembered(self) -> tuple[OpenedGraph, str] | None:
        """Opens what was chosen before, with its note; None if nothing was, or if it cannot be opened today."""
        try:
            found = json.loads(recall(_KIND, self._name) or b"")
            return self._opened(str(found["name"])), str(found["note"])
        except Exception:  # also if the entry is damaged
            return None

    def _run_remembered(self, outputs: Sequence[str], feeds: Feeds, control: RunControl) -> list[np.ndarray] | None:
        """Runs what was chosen before; None if nothing was, or if it fails today."""
        if self._remembered is None:
            return None
        graph, note = self._remembered
        try:
            result = self._checked_run(graph, outputs, feeds, control)
        except Exception:
            if control.stopped:
                raise
            return None
        self._chosen = graph
        self._pass_on([f"{note} (as found before)", *graph.notes])
        return result

    def _opened(self, name: str) -> OpenedGraph:
        """A candidate's graph; onnxruntime's in float32 for no name."""
        if not name:
            return OnnxRuntime().open(self._file, replace(self._opening, precision="exact"))
        return self._candidates.backends[name].open(self._file, self._opening)

    def _choose(self, outputs: Sequence[str], feeds: Feeds, control: RunControl) -> list[np.ndarray]:
        """Tries all candidates on these feeds, keeps the best, and returns its result.

        No two graphs are open at once but the best one so far and the one that is tried.
        """
        if verdict_name(self._file) != self._known_as:
            raise ModelError("the file has changed since it was loaded: load it again")
        self._remembered = None
        exact, least = self._tried(self._opened(""), outputs, feeds, control)
        exact_seconds, best, chosen, result = least, _Choice("", ""), None, exact
        refusals, settled = [], True
        for name in self._candidates.backends:
            try:
                graph = self._opened(name)
                found, seconds = self._tried(graph, outputs, feeds, control)
                apart = difference({key: self._info.outputs[key] for key in outputs}, exact, found)
                who = f"{name} ({_one_line(graph.provider)}): {apart}"
            except Exception as error:
                if control.stopped:
                    raise
                refusals.append(f"{name}: {_reason(error)}")
                settled = False  # it may work another time, or in another place
                continue
            if not apart.fits(self._candidates.opening.precision):
                refusals.append(f"{name}: {apart}")
            elif not self._candidates.timed or seconds < least:
                faster = f", {exact_seconds / seconds:.1f} times as fast" if self._candidates.timed else ""
                best, least = _Choice(name, f"computed by {who}{faster}"), seconds
                chosen, result = graph, found
            else:
                refusals.append(f"{name}: not faster than the exact computation")
                settled = False  # the machine may have been busy with other work
        if chosen is None:
            best = _Choice("", f"computed exactly, by onnxruntime; {'; '.join(refusals)}")
            chosen = self._opened("")
        self._chosen = chosen
        self._pass_on([best.note, *chosen.notes])
        if (settled or best.name) and _is_telling(feeds, self._info):
            keep(_KIND, self._name, json.dumps({"name": best.name, "note": best.note}).encode())
        return result

    def _tried(
        self, graph: OpenedGraph, outputs: Sequence[str], feeds: Feeds, control: RunControl
    ) -> tuple[list[np.ndarray], float]:
        """The outputs, and the least seconds of a few more runs: in the first one, code is generated."""
        found = self._checked_run(graph, outputs, feeds, control)
        seconds = 0.0
        for number in range(_TIMED_RUNS if self._candidates.timed else 0):
            begin = time.perf_counter()
            graph.run(outputs, feeds, control)
            taken = time.perf_counter() - begin
            seconds = min(seconds, taken) if number else taken
        return found, seconds


def _remembered_name(model: str, candidates: Candidates) -> str:
    """A digest of all that a choice depends on: the model, the backends, how they are opened, and the machine.

    Empty where a backend cannot say its version, or says none: nothing is remembered then.
    """
    try:
        versions = {name: str(backend.version()) for name, backend in candidates.backends.items()}
        sources = [Path(inspect.getfile(type(backend))).read_bytes() for backend in candidates.backends.values()]
    except Exception:  # opening it will fail, too, and says why
        return ""
    if not model or not all(versions.values()):
        return ""
    machine = [platform.machine(), platform.processor(), os.cpu_count()]
    facts = [model, versions, repr(candidates.opening), candidates.timed, machine]
    return hashlib.sha256(b"\0".join([json.dumps(facts).encode(), *sources])).hexdigest()


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:80]


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, UserError) else one_line(error)[:160]


def _is_telling(feeds: Feeds, info: Metadata) -> bool:
    """Whether a result for these feeds says something about others: a tiny or blank image does not."""
    image = feeds.get("image")
    if image is None:
        return True
    if min(image.shape[1:3]) < _MIN_SIDE:
        return False
    if info.source_kind == "labels" or isinstance(info.inputs.get("image"), LabelMapInput):
        return bool(image.min() < image.max())
    return float(image.std()) * (255 if image.dtype == np.float32 else 1) >= _MIN_DEVIATION
