"""Backends that each break one promise. A plugin of its own, which imports no torch: the kit loads it in a process."""

import time

import numpy as np

import i2i
from helpers.kit_lists import MUTANTS, SOUND, Mutant
from i2i.errors import ModelError
from i2i.runtime.computing.onnx_runtime import OnnxRuntime

BACKENDS = []


class Sound(i2i.Backend):
    """onnxruntime, called something else."""

    def version(self):
        return "1"

    def open(self, graph, opening):
        return self.graph(OnnxRuntime().open(graph, i2i.Opening("cpu")), opening)

    def graph(self, opened, opening):
        return SoundGraph(self, opened, opening)

    def feeds(self, feeds):
        return feeds

    def given(self, arrays, opening):
        return arrays

    def run(self, opened, outputs, feeds, control):
        return opened.run(outputs, feeds, control)


class SoundGraph:
    """A graph that asks its backend."""

    provider, on_cpu = "mine", True

    def __init__(self, backend, opened, opening):
        self.backend, self.opened, self.opening, self.notes = backend, opened, opening, []
        self.kept = []

    def run(self, outputs, feeds, control):
        found = self.backend.run(self.opened, outputs, self.backend.feeds(feeds), control)
        return self.backend.given(found, self.opening)


def sound(name, **changes):
    """Adds a backend that keeps its promises."""
    component = i2i.Component(name, type("Sound", (Sound,), changes), summary="Sound")
    BACKENDS.append(component)
    SOUND.append(Mutant("backend", component))


def mutant(name, check, words, missed="", build=None, **changes):
    """Adds a backend that is sound but for these methods."""
    made = build or type(f"broken-{name}", (Sound,), {"__module__": __name__, **changes})
    component = i2i.Component(name, made, summary="Broken")
    BACKENDS.append(component)
    MUTANTS.append(Mutant("backend", component, check, words, missed))


def opened_with(**attributes):
    """Opens graphs with other attributes."""
    kind = type("Graph", (SoundGraph,), attributes)
    return {"graph": lambda s, opened, opening: kind(s, opened, opening)}


def clock(self):
    return str(time.perf_counter_ns())


def import_early(config):
    import sqlite_like  # of nobody

    return sqlite_like


def heavy(self, opening):
    import cv2

    return "" if cv2.__version__ else "too old"


def only_one_size(self, opened, outputs, feeds, control):
    shape = feeds["image"].shape
    if shape != getattr(self, "first", shape):
        raise RuntimeError("Got invalid dimensions for input: image")
    self.first = shape
    return opened.run(outputs, feeds, control)


def first_of_batch(self, opened, outputs, feeds, control):
    found = opened.run(outputs, {"image": feeds["image"][:1]}, control)
    return [np.repeat(array, len(feeds["image"]), axis=0) for array in found]


def wrong_batches(self, opened, outputs, feeds, control):
    found = opened.run(outputs, feeds, control)
    return [array[::-1].copy() for array in found]


def all_outputs(self, opened, outputs, feeds, control):
    return opened.run([*outputs, *{"image_out", "score"} - set(outputs)], feeds, control)


def sorted_outputs(self, opened, outputs, feeds, control):
    return opened.run(sorted(outputs), feeds, control)


def inverting(self, feeds):
    before = feeds["image"].copy()
    np.subtract(255, feeds["image"], out=feeds["image"])
    return {"image": before}


def reused(self, opened, outputs, feeds, control):
    found = opened.run(outputs, feeds, control)
    for name, array in zip(outputs, found, strict=True):
        buffer = self.__dict__.setdefault((name, array.shape).__repr__(), array)
        if buffer is not array:
            np.copyto(buffer, array)
    return [self.__dict__[(name, array.shape).__repr__()] for name, array in zip(outputs, found, strict=True)]


def shared_input(self, opened, outputs, feeds, control):
    self.shared = feeds
    time.sleep(0.002)
    return opened.run(outputs, self.shared, control)


def waiting(self, opened, outputs, feeds, control):
    while control.stopped:
        time.sleep(0.05)
    return opened.run(outputs, feeds, control)


def broken_by_stop(self, opened, outputs, feeds, control):
    self.over = control.stopped or getattr(self, "over", False)
    if self.over:
        raise RuntimeError("the engine has ended")
    return opened.run(outputs, feeds, control)


def from_bytes_inverted(self, graph, opening):
    given = (
        (lambda s, arrays, o: arrays) if not isinstance(graph, bytes) else (lambda s, arrays, o: [-a for a in arrays])
    )
    one = type("Inverted", (Sound,), {"given": given})()
    return SoundGraph(one, OnnxRuntime().open(graph, i2i.Opening("cpu")), opening)


def no_bytes(self, graph, opening):
    if isinstance(graph, bytes):
        raise ModelError("it opens files only")
    return Sound.open(self, graph, opening)


def noisy(levels, precisions=("exact", "fast")):
    """Moves two of three values by so many levels, one up and one down."""

    def given(self, arrays, opening):
        if opening.precision not in precisions:
            return arrays
        found = []
        for array in arrays:
            moved = array + levels * (np.arange(array.size).reshape(array.shape) % 3 - 1)
            found.append(moved.clip(0, 255).astype(np.uint8) if array.dtype == np.uint8 else array)
        return found

    return given


sound("sound-backend")
sound("files-only", open=no_bytes)
sound("a-level-apart", given=noisy(1))
sound("sixteen-bits", given=noisy(1, ["fast"]))
sound("not-here", problem=lambda s, opening: "the package nowhere is not installed: pip install nowhere")

mutant("no-backend", "making", "must build an i2i.Backend, not a dict", build=lambda config: {})
mutant("not-made", "making", "cannot be built: ModuleNotFoundError", build=import_early)
mutant("no-open", "making", "abstract", build=type("NoOpen", (i2i.Backend,), {"__doc__": "X", "version": clock}))
mutant("true-problem", "making", "problem must return one line, .* not True", problem=lambda s, opening: True)
mutant("heavy", "making", "its problem imports cv2: import that in version and open", problem=heavy)
mutant("problem-fails", "making", r"problem\(i2i.Opening\(\)\): ValueError", problem=lambda s, opening: int("x"))
mutant("no-version", "version", "must return a text, not None", version=lambda s: None)
mutant("by-the-clock", "version", "would never be remembered", version=clock)
mutant("no-provider", "opening", "provider must be a str, not ''", **opened_with(provider=""))
mutant("on-any", "opening", "on_cpu must be a bool, not 'cpu'", **opened_with(on_cpu="cpu"))
mutant("a-note", "opening", "run must return a list of numpy arrays, not ndarray", given=lambda s, arrays, o: arrays[0])
mutant("lists", "opening", "list of numpy arrays, not list", given=lambda s, arrays, o: [a.tolist() for a in arrays])
mutant("other-bytes", "opening", "from bytes gives something else", open=from_bytes_inverted)
mutant("all-outputs", "order", "gives 2 arrays where 1 outputs are asked for", run=all_outputs)
mutant("own-order", "order", "in that order, not", run=sorted_outputs)
mutant("one-size", "exact", r"on images of \(3, 40, 36, 3\): RuntimeError: Got invalid dim", run=only_one_size)
mutant("one-of-batch", "exact", r"\(3, 40, 36, 3\) is too far from onnxruntime's .* exact", run=first_of_batch)
mutant("turned-batch", "exact", r"\(3, 40, 36, 3\) is too far", run=wrong_batches)
mutant("two-levels", "exact", "image_out for images of .* is too far .* levels apart", given=noisy(2))
wide = lambda s, arrays, o: [a.astype(np.float32) for a in arrays]
mutant("floats", "exact", "has another shape or type, .* float32 of .* for uint8 of", given=wide)
mutant("into-inputs", "arrays", "it writes into its inputs", feeds=inverting)
mutant("one-buffer", "arrays", "a result changes when the graph runs again", run=reused)
mutant("one-input", "threads", "with two threads at once", run=shared_input)
mutant("hangs", "stop", "a run does not end within", run=waiting)
mutant("ends-for-good", "stop", "after a stopped run|the engine has ended", run=broken_by_stop)
mutant("too-fast", "fast", "too far .* for the precision fast: 3", given=noisy(5, ["fast"]))


@i2i.hookimpl
def i2i_backends():
    return BACKENDS
