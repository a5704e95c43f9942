"""Checks of backends: they compute a small graph as onnxruntime does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from i2i.errors import UserError
from i2i.plugins.backends import build_backend
from i2i.runtime.computing.backend import Backend, OpenedGraph, Opening, Precision, RunControl
from i2i.runtime.computing.onnx_runtime import OnnxRuntime
from i2i.runtime.computing.parity import difference
from i2i.testing.checks.backends.graph import OUTPUTS, small_graph
from i2i.testing.checks.backends.imports import packages_of_backend
from i2i.testing.subject import Check, Skipped, Subject, fail, failing_as

MAX_SECONDS = 10
"""Seconds after which a run on a small image counts as one that hangs."""
SHAPES = ((1, 32, 48), (3, 40, 36), (1, 40, 36), (3, 32, 48))
"""Number, height and width of the images that a graph computes one after the other."""
RUNS = 8
"""Runs of each of two threads."""
NAMES = tuple(OUTPUTS)


def making(subject: Subject) -> None:
    """Is made with its defaults, says what is in its way, and imports no package for either."""
    backend = _backend(subject)
    with failing_as("problem(i2i.Opening())"):
        reason = backend.problem(Opening())
    if not isinstance(reason, str) or "\n" in reason:
        fail(f"problem must return one line, or an empty text where nothing is in its way, not {reason!r}")
    if foreign := packages_of_backend(subject.plugins, subject.name):
        fail(
            f"making it and asking for its problem imports {', '.join(foreign)}: import that in version and open, and "
            "look for it with importlib.util.find_spec"
        )


def version(subject: Subject) -> None:
    """Has a version that stays the same, or an empty one."""
    backend = _usable(subject)
    with failing_as("version()"):
        found = [backend.version() for _ in range(2)]
    if not isinstance(found[0], str):
        fail(f"version must return a text, not {found[0]!r}: results are compared anew when it changes")
    if found[0] != found[1]:
        fail(f"version gives {found[0]!r}, then {found[1]!r}: what was compared would never be remembered")


def opening(subject: Subject) -> None:
    """Opens a file and the bytes of one, or says why not."""
    graph = _opened(subject)
    for name, kind in (("provider", str), ("on_cpu", bool), ("notes", list)):
        if not isinstance(value := getattr(graph, name, None), kind) or value == "":
            fail(f"the opened graph's {name} must be a {kind.__name__}, not {value!r}: see i2i.OpenedGraph")
    feeds = _feeds(SHAPES[0])
    of_file = _run(graph, NAMES, feeds)
    try:
        of_bytes = _run(_usable(subject).open(small_graph(), Opening()), NAMES, feeds)
    except UserError:  # it has said why not
        return
    if not difference(OUTPUTS, of_file, of_bytes).fits("exact"):
        fail("a graph opened from bytes gives something else than the same graph opened from a file")


def exact(subject: Subject) -> None:
    """Gives what onnxruntime gives, whatever the size and number of the images."""
    graph = _opened(subject)
    for shape in SHAPES:
        _compare(graph, _feeds(shape), "exact")


def fast(subject: Subject) -> None:
    """Stays close to onnxruntime with the precision fast."""
    graph = _opened(subject, "fast")
    for shape in SHAPES:
        _compare(graph, _feeds(shape), "fast")


def order(subject: Subject) -> None:
    """Gives the outputs that are asked for, in that order."""
    graph, feeds = _opened(subject), _feeds(SHAPES[0])
    for names in (NAMES, NAMES[::-1], NAMES[:1], NAMES[1:]):
        found = [array.shape for array in _run(graph, names, feeds)]
        expected = [array.shape for array in _expected(names, feeds)]
        if found != expected:
            fail(f"asked for {' and '.join(names)} it must give arrays of {expected}, in that order, not {found}")


def arrays(subject: Subject) -> None:
    """Leaves its inputs as they are, and results that it has given."""
    graph, first, second = _opened(subject), _feeds(SHAPES[0]), _feeds(SHAPES[0], seed=1)
    given = {name: array.copy() for name, array in first.items()}
    kept = _run_on(graph, NAMES, given)
    if any((given[name] != array).any() for name, array in first.items()):
        fail("it writes into its inputs: copy them first")
    for array in given.values():
        array.setflags(write=False)  # as pixels are that other code holds, too
    with failing_as("with read-only arrays"):
        _run_on(graph, NAMES, given)
    before = [array.copy() for array in kept]
    _run(graph, NAMES, second)
    if any((one != other).any() for one, other in zip(before, kept, strict=True)):
        fail("a result changes when the graph runs again: return copies of arrays that the runtime writes into")


def threads(subject: Subject) -> None:
    """Is right when two threads run it at once."""
    graph = _opened(subject)
    feeds = [_feeds(shape, seed) for seed, shape in enumerate(SHAPES[:2])]
    expected = [_expected(NAMES, given) for given in feeds]
    wrong: list[str] = []

    def work(number: int) -> None:
        for _ in range(RUNS):
            try:
                apart = difference(OUTPUTS, expected[number], _run(graph, NAMES, feeds[number]))
                problem = "" if apart.fits("exact") else str(apart)
            except Exception as error:  # also in a thread
                problem = str(error)
            if problem:
                wrong.append(problem)

    _finish([threading.Thread(target=work, args=(number,), daemon=True) for number in range(2)], "with two threads")
    if wrong:
        fail(f"with two threads at once: {wrong[0]}: give each run what it writes into, or hold a lock")


def stop(subject: Subject) -> None:
    """Ends when it is stopped, and computes again afterwards."""
    graph, feeds = _opened(subject), _feeds(SHAPES[0])
    early, late = RunControl(), RunControl()
    early.stop()

    def work(control: RunControl) -> None:
        for _ in range(RUNS):
            try:
                graph.run(list(NAMES), feeds, control)
            except Exception:  # a stopped run may fail
                return

    runs = [threading.Thread(target=work, args=(control,), daemon=True) for control in (early, late)]
    for run in runs:
        run.start()
    late.stop()
    _finish(runs, "after stop() of the i2i.RunControl")
    with failing_as("after a stopped run"):
        _compare(graph, feeds, "exact")


BACKEND: Sequence[Check] = (making, version, opening, order, exact, arrays, threads, stop, fast)


def _backend(subject: Subject) -> Backend:
    backend: Backend = subject.once("backend", lambda: build_backend(subject.plugins, subject.name))
    return backend


def _usable(subject: Subject, precision: Precision = "exact") -> Backend:
    """The backend; the check is skipped where it says that it cannot be used."""
    backend = _backend(subject)
    if reason := backend.problem(Opening(precision=precision)):
        raise Skipped(reason)
    return backend


def _opened(subject: Subject, precision: Precision = "exact") -> OpenedGraph:
    """The small graph as a file, opened; the check is skipped where the backend says why it cannot open it."""
    backend = _usable(subject, precision)
    file: Path = subject.folder / "small.onnx"
    if not file.exists():
        file.write_bytes(small_graph())
    try:
        with failing_as("opening a small graph"):
            graph: OpenedGraph = subject.once(
                f"opened {precision}", lambda: backend.open(file, Opening(precision=precision))
            )
    except UserError as error:
        raise Skipped(str(error)) from error
    return graph


def _feeds(shape: tuple[int, int, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Images of that number, height and width, each a gradient with noise."""
    count, height, width = shape
    drawn = np.random.default_rng([seed, *shape])
    ramp = np.linspace(0, 200, height)[:, None, None] * np.linspace(0.2, 1, width)[:, None]
    images = ramp * drawn.uniform(0.3, 1, (count, 1, 1, 3)) + drawn.uniform(0, 55, (count, height, width, 3))
    return {"image": images.astype(np.uint8)}


def _expected(names: Sequence[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What onnxruntime gives on the CPU."""
    graph = OnnxRuntime().open(small_graph(), Opening(device="cpu"))
    return graph.run(names, feeds, RunControl())


def _run(graph: OpenedGraph, names: Sequence[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Runs a graph on copies of the arrays; see `_run_on`."""
    return _run_on(graph, names, {name: array.copy() for name, array in feeds.items()})


def _run_on(graph: OpenedGraph, names: Sequence[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Runs a graph, and makes sure that it gives one array for each name."""
    with failing_as(f"running a small graph on images of {feeds['image'].shape}"):
        found: Any = graph.run(list(names), dict(feeds), RunControl())
    if not isinstance(found, list | tuple) or not all(isinstance(one, np.ndarray) for one in found):
        fail(f"run must return a list of numpy arrays, not {type(found).__name__}")
    if len(found) != len(names):
        fail(f"run gives {len(found)} arrays where {len(names)} outputs are asked for: {', '.join(names)}")
    return list(found)


def _compare(graph: OpenedGraph, feeds: dict[str, np.ndarray], precision: Precision) -> None:
    """Fails unless the graph gives what onnxruntime gives, as far apart as the precision allows."""
    expected, found = _expected(NAMES, feeds), _run(graph, NAMES, feeds)
    for name, one, other in zip(NAMES, expected, found, strict=True):
        apart = difference({name: OUTPUTS[name]}, [one], [other])
        if not apart.fits(precision):
            what = f"{name} for images of {feeds['image'].shape}"
            kinds = f", {other.dtype} of {other.shape} for {one.dtype} of {one.shape}" if apart.broken else ""
            fail(f"{what} is too far from onnxruntime's for the precision {precision}: {apart}{kinds}")


def _finish(runs: Sequence[threading.Thread], when: str) -> None:
    """Waits for threads, started here if they are not yet; fails when one does not end."""
    for run in runs:
        if run.ident is None:
            run.start()
    for run in runs:
        run.join(MAX_SECONDS)
        if run.is_alive():
            fail(f"{when} a run does not end within {MAX_SECONDS} s: it must give a result or raise")
