"""Decoding, the network and encoding at the same time, without memory that grows with the number of files.

Each of a few threads takes a batch of neighbours through all stages, so that while one computes others decode and
encode; the one that asks for the results only waits, and a signal reaches it at once. Handing images from threads of
one stage to those of the next took more time than decoding and encoding themselves, where images are small.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from i2i import memory
from i2i.errors import ErrorKind, FileError, ModelError, UserError
from i2i.files import printable
from i2i.images import to_dtype, write_image
from i2i.images.errors import named
from i2i.images.pixels import AlphaRule
from i2i.translate.folders.decoding import Decoded, Decoder, Input
from i2i.translate.folders.memory_budget import Room
from i2i.translate.folders.plan import Task, inside
from i2i.translate.model import Model, attach_alpha
from i2i.translate.results import Result
from i2i.translate.tiles.tiling import Tiling

_MOST_BYTES = 256 << 20
"""Of images that are decoded and not yet written, with their outputs; and in any case so many of them:"""
_LEAST_IMAGES = 3
_MOST_BYTES_OF_A_BATCH = 64 << 20
_SETTLED_AT_ONCE = 256
"""Inputs that come through together when nothing is to be done for them."""
_PATIENCE = 4.0
"""Seconds that work already begun may take after an interrupt."""


@dataclass(frozen=True)
class Settings:
    """How images are translated; see `i2i.translate.folders.folder.translate_folder`."""

    out: Path
    label: str | int | None
    batch: int
    alpha: AlphaRule
    max_pixels: int
    keep_metadata: bool
    overwrite: bool
    skip_existing: bool
    workers: int


@dataclass(frozen=True)
class _Work:
    """Inputs that one thread has been given, and their results as they come."""

    found: SimpleQueue[Result | None]
    done: Future[None]

    def results(self) -> Iterator[Result]:
        while (result := self.found.get()) is not None:
            yield result
        self.done.result()  # raises what the thread did


class Pipeline:
    """Tasks -> decoded -> batches of equal size -> translated -> written.

    Args:
        model: a copy of its own, which an interrupt may stop.
        tiling: of another one.
        settings: the same for all inputs.
    """

    def __init__(self, model: Model, tiling: Tiling, settings: Settings) -> None:
        self.model, self.tiling, self.settings = model, tiling, settings
        self.room = Room(_MOST_BYTES, _LEAST_IMAGES)
        self._stopped = threading.Event()
        self.decoder = Decoder(
            model,
            self.room,
            self._stopped,
            alpha=settings.alpha,
            max_pixels=settings.max_pixels,
            exif=settings.keep_metadata,
        )
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="i2i-translate")
        self._network = threading.Lock()
        self._opened: dict[Path, tuple[int, int]] = {}

    def results(self, tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """Does the work as results are taken, which come in the order of the tasks. Closing it stops the work."""
        pending: deque[_Work] = deque()
        try:
            for items in self._neighbours(tasks):
                while pending and (pending[0].done.done() or len(pending) > 2 * self.settings.workers):
                    yield from pending[0].results()
                    pending.popleft()
                found: SimpleQueue[Result | None] = SimpleQueue()
                pending.append(_Work(found, self._pool.submit(self._do, items, found)))
            while pending:
                yield from pending[0].results()
                pending.popleft()
        finally:
            self._stop(pending)

    def _stop(self, pending: Iterable[_Work]) -> None:
        """What is being written is finished, the network breaks off, what waits is dropped."""
        self._stopped.set()
        for model in (self.model, self.tiling.model):
            model.interrupt()
        self._pool.shutdown(wait=False, cancel_futures=True)
        begun = [work.done for work in pending if not work.done.cancelled()]  # the others never count as done
        if not wait(begun, timeout=_PATIENCE).not_done:
            self._pool.shutdown(wait=True)

    def _neighbours(self, tasks: Iterable[Task]) -> Iterator[list[Input | Result]]:
        """As many as a batch takes, and between them what is settled."""
        items: list[Input | Result] = []
        inputs = 0
        for (_, is_sequence), group in groupby(tasks, key=lambda task: (task.input, task.frame is not None)):
            for item in self._sequence(list(group)) if is_sequence else map(_input, group):
                items.append(item)
                inputs += isinstance(item, Input)
                if inputs == self.settings.batch or len(items) - inputs == _SETTLED_AT_ONCE:
                    yield items
                    items, inputs = [], 0
        if items:
            yield items

    def _sequence(self, tasks: Sequence[Task]) -> list[Input] | list[Result]:
        """The frames of a file: if one is to be translated, those before it have to be decoded too."""
        settled = [result for task in tasks if (result := Result.settled(task))]
        if len(settled) == len(tasks):
            return settled
        frames = self.decoder.frames(tasks[0])
        return [Input(task, frames, place) for place, task in enumerate(tasks)]

    def _do(self, items: Iterable[Input | Result], found: SimpleQueue[Result | None]) -> None:
        """All stages, one after the other; None after the last result."""
        try:
            batch: list[Decoded] = []
            for item in items:
                one = self._decoded(item, wait=not batch) if isinstance(item, Input) else item
                if batch and (isinstance(one, Result) or not self._fits(one, batch)):
                    self._finish(batch, found)
                    batch = []
                if isinstance(one, Result):
                    found.put(one)
                else:
                    batch.append(one)
            if batch:
                self._finish(batch, found)
        finally:
            found.put(None)

    def _decoded(self, item: Input, *, wait: bool) -> Decoded | Result:
        decoded, settled = self.decoder.read(item, wait=wait), Result.settled(item.task)
        if settled is None or isinstance(decoded, Result):
            return settled or decoded
        self.room.leave(decoded.size)  # a frame that was decoded for the sake of those behind it
        return settled

    def _finish(self, batch: Sequence[Decoded], found: SimpleQueue[Result | None]) -> None:
        try:
            for result in self._translated(batch):
                found.put(result)
        finally:
            for decoded in batch:
                self.room.leave(decoded.size)

    # The network

    def _fits(self, one: Decoded, batch: Sequence[Decoded]) -> bool:
        """Whether an image may go through the network together with those."""
        size = one.size + sum(decoded.size for decoded in batch)
        if one.pixels.shape != batch[0].pixels.shape or size > _MOST_BYTES_OF_A_BATCH:
            return False
        height, width = one.pixels.shape[:2]
        return self.tiling.takes(height, width, len(batch) + 1)

    def _translated(self, batch: Sequence[Decoded]) -> Iterator[Result]:
        """Runs a batch and writes it; one that fails, such as for want of memory, is tried again image by image."""
        try:
            with named(batch[0].task.input):
                images, seconds = self._through_network([decoded.pixels for decoded in batch])
        except UserError as error:
            images, failed = [], batch[0].result.failed(error)
        if images:
            for decoded, image in zip(batch, images, strict=True):
                yield self._written(decoded, image, seconds / len(batch))
        elif len(batch) == 1:
            yield failed
        else:
            for decoded in batch:
                yield from self._translated([decoded])

    def _through_network(self, pixels: Sequence[np.ndarray]) -> tuple[Sequence[np.ndarray], float]:
        """The images, and the seconds that took: small ones in all threads at once, larger ones in one at a time."""
        height, width = pixels[0].shape[:2]
        start = time.perf_counter()
        if self.tiling.is_small(height * len(pixels), width, self.settings.workers):
            try:
                return self._together(pixels), time.perf_counter() - start
            except (ModelError, MemoryError) as error:
                if len(pixels) > 1 or not memory.ran_out(error):
                    raise
        with self._network:
            start = time.perf_counter()
            if len(pixels) > 1:
                return self._together(pixels), time.perf_counter() - start
            image = self.tiling.translate(pixels[0], label=self.settings.label)
            return [image], time.perf_counter() - start

    def _together(self, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(self.model.translate_batch(np.stack(pixels), label=self.settings.label))

    # Encoding

    def _written(self, decoded: Decoded, image: np.ndarray, network: float) -> Result:
        start = time.perf_counter()
        task, result, (height, width) = decoded.task, replace(decoded.result, network=network), image.shape[:2]
        try:
            with named(task.input):
                self.decoder.go_on()
                if image.dtype.kind == "f" and not np.isfinite(image).all():
                    raise FileError(ErrorKind.OUT_OF_RANGE, "the model gave values that are not finite")
                image = attach_alpha(to_dtype(image, decoded.dtype), decoded.alpha)
                output = task.output_for(image.shape[2], image.dtype, decoded.format, (height, width))
                self._open_folder(output.parent)
                write_image(
                    output,
                    image,
                    icc=decoded.icc,
                    exif=decoded.exif,
                    lossless=decoded.lossless,
                    replace=self.settings.overwrite,
                )
        except UserError as error:
            result = replace(result, encode=time.perf_counter() - start)
            if self.settings.skip_existing and error.kind is ErrorKind.EXISTS:
                return result.skipped()  # another job was faster
            return result.failed(error)
        encode = time.perf_counter() - start
        return replace(result, output=output, width=width, height=height, encode=encode)

    def _open_folder(self, folder: Path) -> None:
        """Makes a folder of outputs, and sees to it that it stays what it was: to resolve links each time is slow."""
        with suppress(OSError):  # gone meanwhile
            if folder in self._opened and _identity(folder) == self._opened[folder]:
                return
        if not inside(self.settings.out, folder / "any"):
            raise FileError(ErrorKind.BLOCKED, f"{printable(folder)} leads out of the output folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._opened[folder] = _identity(folder)


def _input(task: Task) -> Input | Result:
    return Result.settled(task) or Input(task)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
