"""`i2i bench MODEL`: how fast each backend computes a model here, and how close its results are to the exact ones."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from i2i.errors import UserError, one_line
from i2i.images import find_images, to_dtype
from i2i.images.errors import errors_about
from i2i.interface import LabelMapInput
from i2i.plugins import Plugins
from i2i.plugins.backends import build_backend, problem_of
from i2i.runs.folder import RunFolder
from i2i.runtime.computing.backend import Backend, Opening, Precision, RunControl
from i2i.runtime.computing.parity import Difference, difference
from i2i.runtime.computing.runner import Feeds
from i2i.runtime.computing.session import DEVICES
from i2i.runtime.example_inputs import example_feeds
from i2i.runtime.network import ExportedNetwork
from i2i.translate.model import load
from i2i.translate.pictures import network_input, open_picture

DEFAULT_SIZE = (256, 256)


@dataclass(frozen=True)
class BenchSettings:
    """What is to be measured: every combination of these.

    Attributes:
        backends: their names; empty: all.
        precisions: ``exact``, ``fast``, or both.
        sizes: heights and widths; empty: that of the image, or 256 x 256.
        batches: numbers of images in one run.
        threads: numbers of threads that compute; None: one for each core.
        device: as for `i2i.load`.
        runs: timed runs of each, after one that is not timed.
        image: an image to try with; None: one of the run's examples, or noise.
    """

    backends: Sequence[str] = ()
    precisions: Sequence[Precision] = ("exact", "fast")
    sizes: Sequence[tuple[int, int]] = ()
    batches: Sequence[int] = (1,)
    threads: Sequence[int | None] = (None,)
    device: str = "auto"
    runs: int = 10
    image: Path | None = None


@dataclass(frozen=True)
class Measurement:
    """One combination, measured.

    Attributes:
        backend: its name.
        precision: that was asked for.
        size: height and width.
        batch: images in one run.
        threads: number of threads; None: one for each core.
        provider: what computed, such as ``OpenVINO bf16``; "" where nothing did.
        seconds: median of the runs by the clock.
        apart: how far the result is from onnxruntime's in float32; None where nothing was computed.
        problem: why nothing was computed; "" if it was.
    """

    backend: str
    precision: Precision
    size: tuple[int, int]
    batch: int
    threads: int | None
    provider: str = ""
    seconds: float = 0.0
    apart: Difference | None = None
    problem: str = ""


def bench_model(
    path: str | Path, settings: BenchSettings, *, translator: str | None = None, plugins: Plugins | None = None
) -> Iterator[Measurement]:
    """Measures a model with every backend; all is checked before this returns.

    Args:
        path: an ``.onnx`` file, or a run folder.
        settings: what is to be measured.
        translator: which of several to take.
        plugins: where backends are looked up; by default the installed plugins.

    Returns:
        The measurements, each made as it is taken.

    Raises:
        ModelError: the model cannot be found or opened.
        PluginError: no plugin gives a backend.
        UserError: the image cannot be read, or a number is out of range.
    """
    if settings.device not in DEVICES:
        raise UserError(f"unknown device {settings.device!r}; known are {', '.join(DEVICES)}")
    if settings.runs < 1 or min(settings.batches, default=1) < 1:
        raise UserError("runs and batches are whole numbers from 1")
    plugins = plugins or Plugins()
    for name in settings.backends:
        plugins.get("backend", name)  # an unknown one ends it before anything is measured
    backends = _Backends(plugins, list(settings.backends) or list(plugins.table("backend")))
    network = load(path, translator=translator, device="cpu", check=True).network
    image = _image(network, settings.image)
    sizes = [network.info.size] if network.info.size else settings.sizes or [_size_of(image)]
    return _measurements(network, backends, replace(settings, sizes=sizes), image)


@dataclass(frozen=True)
class _Backends:
    """Backends by name; one that is broken does not keep the others from being measured."""

    plugins: Plugins
    names: Sequence[str]

    def usable(self, name: str, opening: Opening) -> Backend:
        """The backend of that name.

        Raises:
            UserError: it cannot be built, or cannot be used here; says why.
        """
        backend = build_backend(self.plugins, name)
        if problem := problem_of(backend, opening, self.plugins.full_name("backend", name)):
            raise UserError(problem)
        return backend


def _measurements(
    network: ExportedNetwork, backends: _Backends, settings: BenchSettings, image: np.ndarray | None
) -> Iterator[Measurement]:
    for size, batch in itertools.product(settings.sizes, settings.batches):
        nearest = isinstance(network.info.inputs.get("image"), LabelMapInput)
        images = None if image is None else np.stack([_resized(image, size, nearest=nearest)] * batch)
        feeds = example_feeds(network, size, images=images, count=batch)
        exact = network.runner.run(list(network.info.outputs), feeds)
        for threads, name, precision in itertools.product(settings.threads, backends.names, settings.precisions):
            asked = Measurement(name, precision, size, batch, threads)
            opening = Opening(settings.device, precision, threads)
            yield _measured(asked, backends, opening, _Trial(network, feeds, exact, settings.runs))


@dataclass(frozen=True)
class _Trial:
    """What every backend computes.

    Attributes:
        network: the model, opened by onnxruntime on the CPU.
        feeds: its inputs.
        exact: its outputs for them, in float32.
        runs: timed runs.
    """

    network: ExportedNetwork
    feeds: Feeds
    exact: Sequence[np.ndarray]
    runs: int


def _measured(asked: Measurement, backends: _Backends, opening: Opening, trial: _Trial) -> Measurement:
    """One combination, with what was measured or with the reason why nothing was."""
    outputs, control, seconds = trial.network.info.outputs, RunControl(), []
    try:
        graph = backends.usable(asked.backend, opening).open(trial.network.path, opening)
        found = graph.run(list(outputs), trial.feeds, control)  # not timed: it generates code and takes memory
        for _ in range(trial.runs):
            begin = time.perf_counter()
            graph.run(list(outputs), trial.feeds, control)
            seconds.append(time.perf_counter() - begin)
        apart = difference(outputs, trial.exact, found)
        return replace(asked, provider=str(graph.provider), seconds=statistics.median(seconds), apart=apart)
    except Exception as error:  # each backend raises classes of its own
        return replace(asked, problem=error.reason if isinstance(error, UserError) else one_line(error))


def _image(network: ExportedNetwork, given: Path | None) -> np.ndarray | None:
    """The image to try the model with: the given one, or the first of the examples in the run's folder.

    Returns:
        ``(H, W, C)`` as the network takes it; None for noise, and for models that take no image.

    Raises:
        DataError: the image cannot be read.
    """
    if network.info.generates:
        return None
    examples = RunFolder(network.path.parent).examples
    found = given or next(iter(find_images(examples) if examples.is_dir() else []), None)
    if found is None:
        return None
    with errors_about(found):
        picture = open_picture(found, any_range=network.info.source_range is not None, pages=network.info.pages)
        pixels = network_input(picture, "keep", network).pixels
    return pixels if pixels.dtype == network.image_dtype else to_dtype(pixels, network.image_dtype)


def _size_of(image: np.ndarray | None) -> tuple[int, int]:
    return DEFAULT_SIZE if image is None else (image.shape[0], image.shape[1])


def _resized(image: np.ndarray, size: tuple[int, int], *, nearest: bool) -> np.ndarray:
    """The image, stretched to a height and width; `nearest` keeps the values of a label map."""
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    resized = cv2.resize(image, (size[1], size[0]), interpolation=method)
    return resized.reshape(*size, image.shape[2])
