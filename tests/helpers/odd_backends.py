"""A plugin of backends that compute wrongly, slowly or not at all."""

import os
import threading

import numpy as np

import i2i
from i2i.runtime.computing.onnx_runtime import OnnxRuntime


class Odd(i2i.Backend):
    """onnxruntime, and then `change` on each of its arrays; `opened` counts."""

    opened = 0
    automatic = False
    failing = ""

    def version(self):
        return os.environ.get("ODD_VERSION", "1")

    def open(self, graph, opening):
        type(self).opened += 1
        if self.failing:
            raise ValueError(self.failing)
        return Graph(OnnxRuntime().open(graph, i2i.Opening("cpu")), self)

    def change(self, array):
        return array


class Graph:
    provider, on_cpu = "odd", True

    def __init__(self, graph, backend):
        self.graph, self.backend, self.notes = graph, backend, ["odd: a note of its own"]

    def run(self, outputs, feeds, control):
        if os.environ.get("ODD_FAILS"):
            raise FloatingPointError("no such kernel")
        return [self.backend.change(array) for array in self.graph.run(outputs, feeds, control)]


class Waits(Odd):
    """Computes nothing until it is stopped."""

    def open(self, graph, opening):
        return Waiting()


class Waiting:
    provider, on_cpu, notes = "waits", True, ()

    def run(self, outputs, feeds, control):
        stopped = threading.Event()
        with control.stopping_by(stopped.set):
            stopped.wait(300)
        raise RuntimeError("stopped")


def odd(name, **changes):
    return i2i.Component(name, type(name, (Odd,), {"__doc__": "Odd.", **changes}), summary="Odd")


def failing(self, array):
    raise FloatingPointError("no such kernel\nat all")


def no_answer(self):
    raise OSError("no device answers")


class Sound(Odd):
    """Right."""


@i2i.hookimpl
def i2i_backends():
    return [
        i2i.Component("same", Sound, summary="Right"),
        i2i.Component("waits", Waits, summary="Waits"),
        odd("wrong", change=lambda s, array: array ^ 255 if array.dtype == np.uint8 else 1 - array),
        odd("nan", change=lambda s, array: array * np.float32("nan") if array.dtype == np.float32 else array),
        odd("shape", change=lambda s, array: array[:, 1:]),
        odd("floats", change=lambda s, array: array.astype(np.float64)),
        odd("lists", change=lambda s, array: array.tolist()),
        odd("fails", change=failing),
        odd("unopened", failing="cannot read\nopset 18"),
        odd("unversioned", version=no_answer),
        odd("unsure", automatic=True, problem=lambda s, opening: no_answer(s)),
    ]
