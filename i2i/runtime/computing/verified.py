"""Lets a backend compute a model in onnxruntime's place, once both gave the same for the first input.

The first image, or the first noise, goes through onnxruntime in float32 and through each backend that may be used. The
quickest one whose result is close enough computes all that follows; if there is none, onnxruntime goes on. What was
chosen is remembered in the user's cache folder, so that the next process begins with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from i2i.errors import UserError, one_line
from i2i.interface import Output
from i2i.runtime.computing.backend import Backend, OpenedGraph, Opening, RunControl
from i2i.runtime.computing.onnx_runtime import OnnxRuntime
from i2i.runtime.computing.parity import difference
from i2i.runtime.remembered import keep, recall
from i2i.runtime.sandbox.verdicts import verdict_name

Feeds = Mapping[str, np.ndarray]
_KIND = "chosen-backends"
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
        outputs: types of the graph's outputs by name.
        known_as: the file's verdict, as `i2i.runtime.sandbox.verdicts.verdict_name` gives it; "": to be computed.
    """

    def __init__(self, file: Path, candidates: Candidates, outputs: Mapping[str, Output], known_as: str = "") -> None:
        self._file, self._candidates, self._outputs = file, candidates, outputs
        self.notes = list(candidates.notes)
        known_as = known_as or verdict_name(file)
        self._opening = replace(candidates.opening, known_as=known_as)
        self._name = _remembered_name(known_as, candidates)
        self._lock = threading.Lock()
        self._chosen: OpenedGraph | None = None

    @property
    def provider(self) -> str:
        """What computes; until the first run has chosen it, the names of the candidates."""
        return self._chosen.provider if self._chosen else " or ".join(self._candidates.backends)

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU computes."""
        return self._chosen.on_cpu if self._chosen else self._candidates.opening.device == "cpu"

    def run(self, outputs: Sequence[str], feeds: Feeds, control: RunControl) -> list[np.ndarray]:
        """Computes outputs; see `OpenedGraph.run`."""
        with self._lock:
            if self._chosen is None:
                return self._run_remembered(outputs, feeds, control) or self._choose(outputs, feeds, control)
        result = self._chosen.run(outputs, feeds, control)
        self._pass_on(self._chosen.notes)
        return result

    def _pass_on(self, notes: Sequence[str]) -> None:
        self.notes += [note for note in notes if note not in self.notes]

    def _run_remembered(self, outputs: Sequence[str], feeds: Feeds, control: RunControl) -> list[np.ndarray] | None:
        """Opens what was chosen before and runs it; None if nothing was, or if it fails today."""
        try:
            found = json.loads(recall(_KIND, self._name) or b"")
            choice = _Choice(str(found["name"]), str(found["note"]))
            graph = self._opened(choice.name)
            result = graph.run(outputs, feeds, control)
        except Exception:  # also if the entry is damaged
            if control.stopped:
                raise
            return None
        self._chosen = graph
        self.notes.append(f"{choice.note} (as found before)")
        self._pass_on(graph.notes)
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
        exact, exact_seconds = self._tried(self._opened(""), outputs, feeds, control)
        best, least, chosen, result = _Choice("", ""), exact_seconds, None, exact
        refusals, settled = [], True
        for name in self._candidates.backends:
            try:
                graph = self._opened(name)
                found, seconds = self._tried(graph, outputs, feeds, control)
                apart = difference({key: self._outputs[key] for key in outputs}, exact, found)
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
                best, least = _Choice(name, f"computed by {name} ({graph.provider}): {apart}{faster}"), seconds
                chosen, result = graph, found
            else:
                refusals.append(f"{name}: not faster than the exact computation")
                settled = False  # the machine may have been busy with other work
        if chosen is None:
            best = _Choice("", f"computed exactly, by onnxruntime; {'; '.join(refusals)}")
            chosen = self._opened("")
        self._chosen = chosen
        self.notes.append(best.note)
        self._pass_on(chosen.notes)
        if _is_telling(feeds) and (settled or best.name):
            keep(_KIND, self._name, json.dumps({"name": best.name, "note": best.note}).encode())
        return result

    def _tried(
        self, graph: OpenedGraph, outputs: Sequence[str], feeds: Feeds, control: RunControl
    ) -> tuple[list[np.ndarray], float]:
        """The outputs, and the least seconds of a few more runs: in the first one, code is generated."""
        found = graph.run(outputs, feeds, control)
        seconds = 0.0
        for number in range(_TIMED_RUNS if self._candidates.timed else 0):
            begin = time.perf_counter()
            graph.run(outputs, feeds, control)
            taken = time.perf_counter() - begin
            seconds = min(seconds, taken) if number else taken
        return found, seconds


def _remembered_name(model: str, candidates: Candidates) -> str:
    """A digest of all that a choice depends on: the model, the backends, how they are opened, and the machine.

    Empty where a backend cannot say its version: nothing is remembered then.
    """
    try:
        versions = {name: str(backend.version()) for name, backend in candidates.backends.items()}
    except Exception:  # opening it will fail, too, and says why
        return ""
    machine = [platform.machine(), platform.processor(), os.cpu_count()]
    facts = [model, versions, repr(candidates.opening), candidates.timed, machine]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest() if model else ""


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, UserError) else one_line(error)[:160]


def _is_telling(feeds: Feeds) -> bool:
    """Whether a result for these feeds says something about others: a tiny or blank image does not."""
    image = feeds.get("image")
    if image is None:
        return True
    deviation = float(image.std()) * (255 if image.dtype == np.float32 else 1)
    return min(image.shape[1:3]) >= _MIN_SIDE and deviation >= _MIN_DEVIATION
