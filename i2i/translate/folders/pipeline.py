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
from i2i.images.errors import errors_about
from i2i.images.pixels import AlphaRule
from i2i.runtime.network import ExportedNetwork
from i2i.translate.folders.decoding import Decoded, DecodeJob, Decoder
from i2i.translate.folders.memory_budget import MemoryBudget
from i2i.translate.folders.outcomes import failed, known_result, skipped
from i2i.translate.folders.outputs import inside
from i2i.translate.folders.plan import ExistingRule, PlannedImage
from i2i.translate.pictures import attach_alpha
from i2i.translate.results import Result
from i2i.translate.tiles.tiling import Tiling

_MAX_BYTES = 256 << 20
"""Bytes of images that are decoded and not yet written, with their outputs."""
_MIN_IMAGES = 3
"""Images that may be decoded and not yet written however large they are."""
_MAX_BATCH_BYTES = 64 << 20
"""Bytes of the images of one batch, with their outputs."""
_MAX_KNOWN_RESULTS = 256
"""Results that are known without reading, such as those of outputs that exist, and come through together."""
_PATIENCE = 4.0
"""Seconds that work already begun may take after an interrupt."""


@dataclass(frozen=True)
class FolderSettings:
    """How the images of a folder are translated.

    Attributes:
        out: folder of the outputs.
        label: target of all images, by name or number.
        batch: most images that go through the network together.
        alpha: what becomes of transparency.
        max_pixels: larger images are refused.
        keep_metadata: whether EXIF metadata are copied.
        existing: what becomes of inputs whose output exists.
        workers: number of threads.
    """

    out: Path
    label: str | int | None
    batch: int
    alpha: AlphaRule
    max_pixels: int
    keep_metadata: bool
    existing: ExistingRule
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


class FolderPipeline:
    """Planned images -> decoded -> batches of equal size -> translated -> written.

    Args:
        network: a copy of its own, which an interrupt may stop.
        tiling: cuts large images, with another copy of its own.
        settings: the same for all images.
    """

    def __init__(self, network: ExportedNetwork, tiling: Tiling, settings: FolderSettings) -> None:
        self.network, self.tiling, self.settings = network, tiling, settings
        self.budget = MemoryBudget(_MAX_BYTES, _MIN_IMAGES)
        self._stopped = threading.Event()
        self.decoder = Decoder(
            network.info,
            self.budget,
            self._stopped,
            alpha=settings.alpha,
            max_pixels=settings.max_pixels,
            exif=settings.keep_metadata,
        )
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="i2i-translate")
        self._one_at_a_time = threading.Lock()
        self._opened: dict[Path, tuple[int, int]] = {}

    def results(self, images: Iterable[PlannedImage]) -> Generator[Result, None, None]:
        """Does the work as results are taken, which come in the order of the images. Closing it stops the work."""
        pending: deque[_Work] = deque()
        try:
            for jobs in self._neighbours(images):
                while pending and (pending[0].done.done() or len(pending) > 2 * self.settings.workers):
                    yield from pending[0].results()
                    pending.popleft()
                found: SimpleQueue[Result | None] = SimpleQueue()
                pending.append(_Work(found, self._pool.submit(self._do, jobs, found)))
            while pending:
                yield from pending[0].results()
                pending.popleft()
        finally:
            self._stop(pending)

    def _stop(self, pending: Iterable[_Work]) -> None:
        """What is being written is finished, the network breaks off, what waits is dropped."""
        self._stopped.set()
        for network in (self.network, self.tiling.network):
            network.interrupt()
        self._pool.shutdown(wait=False, cancel_futures=True)
        begun = [work.done for work in pending if not work.done.cancelled()]  # the others never count as done
        if not wait(begun, timeout=_PATIENCE).not_done:
            self._pool.shutdown(wait=True)

    def _neighbours(self, images: Iterable[PlannedImage]) -> Iterator[list[DecodeJob | Result]]:
        """As many neighbours as a batch takes, and between them results that are known already."""
        jobs: list[DecodeJob | Result] = []
        to_decode = 0
        for (_, is_sequence), group in groupby(images, key=lambda image: (image.input, image.frame is not None)):
            for job in self._sequence(list(group)) if is_sequence else map(_job, group):
                jobs.append(job)
                to_decode += isinstance(job, DecodeJob)
                if to_decode == self.settings.batch or len(jobs) - to_decode == _MAX_KNOWN_RESULTS:
                    yield jobs
                    jobs, to_decode = [], 0
        if jobs:
            yield jobs

    def _sequence(self, frames: Sequence[PlannedImage]) -> list[DecodeJob] | list[Result]:
        """The frames of a file: if one is to be translated, those before it have to be decoded too."""
        known = [result for frame in frames if (result := known_result(frame))]
        if len(known) == len(frames):
            return known
        reader = self.decoder.open_frames(frames[0])
        return [DecodeJob(frame, reader, place) for place, frame in enumerate(frames)]

    def _do(self, jobs: Iterable[DecodeJob | Result], found: SimpleQueue[Result | None]) -> None:
        """All stages, one after the other; None after the last result."""
        try:
            batch: list[Decoded] = []
            for job in jobs:
                one = self._decoded(job, wait=not batch) if isinstance(job, DecodeJob) else job
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

    def _decoded(self, job: DecodeJob, *, wait: bool) -> Decoded | Result:
        decoded, known = self.decoder.read(job, wait=wait), known_result(job.planned)
        if known is None or isinstance(decoded, Result):
            return known or decoded
        self.budget.release(decoded.size)  # a frame that was decoded for the sake of those behind it
        return known

    def _finish(self, batch: Sequence[Decoded], found: SimpleQueue[Result | None]) -> None:
        try:
            for result in self._translated(batch):
                found.put(result)
        finally:
            for decoded in batch:
                self.budget.release(decoded.size)

    # The network

    def _fits(self, one: Decoded, batch: Sequence[Decoded]) -> bool:
        """Whether an image may go through the network together with those."""
        size = one.size + sum(decoded.size for decoded in batch)
        if one.pixels.shape != batch[0].pixels.shape or size > _MAX_BATCH_BYTES:
            return False
        height, width = one.pixels.shape[:2]
        return self.tiling.takes_batch(height, width, len(batch) + 1)

    def _translated(self, batch: Sequence[Decoded]) -> Iterator[Result]:
        """Runs a batch and writes it; one that fails, such as for want of memory, is tried again image by image."""
        try:
            with errors_about(batch[0].planned.input):
                images, seconds = self._through_network([decoded.pixels for decoded in batch])
        except UserError as error:
            images, failure = [], failed(batch[0].result, error)
        if images:
            for decoded, image in zip(batch, images, strict=True):
                yield self._written(decoded, image, seconds / len(batch))
        elif len(batch) == 1:
            yield failure
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
        with self._one_at_a_time:
            start = time.perf_counter()
            if len(pixels) > 1:
                return self._together(pixels), time.perf_counter() - start
            image = self.tiling.translate(pixels[0], label=self.settings.label)
            return [image], time.perf_counter() - start

    def _together(self, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(self.network.translate(np.stack(pixels), label=self.settings.label))

    # Encoding

    def _written(self, decoded: Decoded, image: np.ndarray, network: float) -> Result:
        start = time.perf_counter()
        planned, result = decoded.planned, replace(decoded.result, network=network)
        height, width = image.shape[:2]
        try:
            with errors_about(planned.input):
                self.decoder.check_stop()
                if image.dtype.kind == "f" and not np.isfinite(image).all():
                    raise FileError(ErrorKind.OUT_OF_RANGE, "the model gave values that are not finite")
                image = attach_alpha(to_dtype(image, decoded.dtype), decoded.alpha)
                output = planned.output_for(image.shape[2], image.dtype, decoded.format, (height, width))
                self._open_folder(output.parent)
                write_image(
                    output,
                    image,
                    icc=decoded.icc,
                    exif=decoded.exif,
                    lossless=decoded.lossless,
                    replace=self.settings.existing == "overwrite",
                )
        except UserError as error:
            result = replace(result, encode=time.perf_counter() - start)
            if self.settings.existing == "skip" and error.kind is ErrorKind.EXISTS:
                return skipped(result)  # another job was faster
            return failed(result, error)
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


def _job(image: PlannedImage) -> DecodeJob | Result:
    return known_result(image) or DecodeJob(image)


def _identity(folder: Path) -> tuple[int, int]:
    """Device and inode of a folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino
