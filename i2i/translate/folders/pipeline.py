"""Decoding, the network and encoding at the same time, without memory that grows with the number of files.

Each of a few threads takes a batch of consecutive images through all stages, so that while one computes, others decode
and encode; the thread that asks for the results only waits, so that a signal reaches it at once. Separate threads for
each stage were tried: for small images, handing them over took more time than decoding and encoding.
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
from i2i.images import Extras, write_pixels
from i2i.images.errors import errors_about
from i2i.images.pixels import AlphaRule
from i2i.runtime.network import ExportedNetwork
from i2i.translate.folders.decoding import Decoded, DecodeJob, Decoder
from i2i.translate.folders.memory_budget import MemoryBudget
from i2i.translate.folders.outcomes import failed, known_result, skipped, with_notes
from i2i.translate.folders.outputs import OutputPixels, inside, refuse_loss
from i2i.translate.folders.plan import ExistingRule, PlannedImage
from i2i.translate.pictures import attach_alpha, to_output
from i2i.translate.places import kept_tags
from i2i.translate.results import Result
from i2i.translate.tiles.tiling import Tiling

_MAX_BYTES = 256 << 20
"""Bytes of images that are decoded and not yet written, with their outputs."""
_MIN_IMAGES = 3
"""Images that may be decoded and not yet written however large they are."""
_MAX_BATCH_BYTES = 64 << 20
"""Bytes of the images of one batch, with their outputs."""
_MAX_KNOWN_RESULTS = 256
"""Results in one group that are known without reading, such as those of outputs that exist."""
_MAX_STOP_S = 4.0
"""Seconds to wait, after an interrupt, for work that has begun."""


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
    """Inputs that one thread works on, and their results as they come.

    Attributes:
        queue: the results; None after the last one.
        done: the thread's task.
    """

    queue: SimpleQueue[Result | None]
    done: Future[None]

    def results(self) -> Iterator[Result]:
        """The results in order, each as soon as there is one; raises the error of the thread, if any."""
        while (result := self.queue.get()) is not None:
            yield result
        self.done.result()


class FolderPipeline:
    """Planned images -> decoded -> batches of equal size -> translated -> written.

    Args:
        network: a copy for this pipeline alone, as it is interrupted when the pipeline stops.
        tiling: cuts large images; has another such copy.
        settings: options that hold for all images.
    """

    def __init__(self, network: ExportedNetwork, tiling: Tiling, settings: FolderSettings) -> None:
        self.network, self.tiling, self.settings = network, tiling, settings
        self._pixels = OutputPixels.of_model(network.info)
        self.budget = MemoryBudget(_MAX_BYTES, _MIN_IMAGES)
        self._stopped = threading.Event()
        self.decoder = Decoder(
            network,
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
        """The results in the order of the images; the work is done as they are taken, and stops on `close`."""
        pending: deque[_Work] = deque()
        try:
            for jobs in self._job_groups(images):
                while pending and (pending[0].done.done() or len(pending) > 2 * self.settings.workers):
                    yield from pending[0].results()
                    pending.popleft()
                queue: SimpleQueue[Result | None] = SimpleQueue()
                pending.append(_Work(queue, self._pool.submit(self._process, jobs, queue)))
            while pending:
                yield from pending[0].results()
                pending.popleft()
        finally:
            self._stop(pending)

    def _stop(self, pending: Iterable[_Work]) -> None:
        """Finishes the files that are being written, interrupts the network, and drops waiting jobs."""
        self._stopped.set()
        for network in (self.network, self.tiling.network):
            network.interrupt()
        self._pool.shutdown(wait=False, cancel_futures=True)
        begun = [work.done for work in pending if not work.done.cancelled()]  # the others never count as done
        if not wait(begun, timeout=_MAX_STOP_S).not_done:
            self._pool.shutdown(wait=True)

    def _job_groups(self, images: Iterable[PlannedImage]) -> Iterator[list[DecodeJob | Result]]:
        """Groups of consecutive images, each with enough jobs for a batch; known results stand between the jobs."""
        jobs: list[DecodeJob | Result] = []
        to_decode = 0
        for (_, is_sequence), group in groupby(images, key=lambda image: (image.input, image.frame is not None)):
            for job in self._frame_jobs(list(group)) if is_sequence else map(_job, group):
                jobs.append(job)
                to_decode += isinstance(job, DecodeJob)
                if to_decode == self.settings.batch or len(jobs) - to_decode == _MAX_KNOWN_RESULTS:
                    yield jobs
                    jobs, to_decode = [], 0
        if jobs:
            yield jobs

    def _frame_jobs(self, frames: Sequence[PlannedImage]) -> list[DecodeJob] | list[Result]:
        """Jobs for all frames of a file, as a frame can only be decoded after those before it; results if all known."""
        known = [result for frame in frames if (result := known_result(frame))]
        if len(known) == len(frames):
            return known
        reader = self.decoder.open_frames(frames[0])
        return [DecodeJob(frame, reader, place) for place, frame in enumerate(frames)]

    def _process(self, jobs: Iterable[DecodeJob | Result], queue: SimpleQueue[Result | None]) -> None:
        """Takes jobs through all stages and puts their results into the queue, and None after the last one."""
        try:
            batch: list[Decoded] = []
            for job in jobs:
                one = self._decoded(job, wait=not batch) if isinstance(job, DecodeJob) else job
                if batch and (isinstance(one, Result) or not self._fits(one, batch)):
                    self._finish(batch, queue)
                    batch = []
                if isinstance(one, Result):
                    queue.put(one)
                else:
                    batch.append(one)
            if batch:
                self._finish(batch, queue)
        finally:
            queue.put(None)

    def _decoded(self, job: DecodeJob, *, wait: bool) -> Decoded | Result:
        decoded, known = self.decoder.read(job, wait=wait), known_result(job.planned)
        if known is None or isinstance(decoded, Result):
            return known or decoded
        self.budget.release(decoded.size)  # a frame that was decoded for the sake of those behind it
        return known

    def _finish(self, batch: Sequence[Decoded], queue: SimpleQueue[Result | None]) -> None:
        """Translates and writes a batch, and releases its memory."""
        try:
            for result in self._translated(batch):
                queue.put(result)
        finally:
            for decoded in batch:
                self.budget.release(decoded.size)

    # The network

    def _fits(self, one: Decoded, batch: Sequence[Decoded]) -> bool:
        """Whether an image may go through the network together with those of the batch."""
        size = one.size + sum(decoded.size for decoded in batch)
        like = batch[0].pixels
        if one.pixels.shape != like.shape or one.pixels.dtype != like.dtype or size > _MAX_BATCH_BYTES:
            return False
        height, width = one.pixels.shape[:2]
        return self.tiling.takes_batch(height, width, len(batch) + 1)

    def _translated(self, batch: Sequence[Decoded]) -> Iterator[Result]:
        """Runs a batch and writes it; one that fails, such as for lack of memory, is tried again image by image."""
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
        """Translated images, and the seconds it took; small images in all threads at once, larger ones one by one."""
        height, width = pixels[0].shape[:2]
        start = time.perf_counter()
        if self.tiling.is_small(height * len(pixels), width, self.settings.workers):
            try:
                return self._run_batch(pixels), time.perf_counter() - start
            except (ModelError, MemoryError) as error:
                if len(pixels) > 1 or not memory.ran_out(error):
                    raise
        with self._one_at_a_time:
            start = time.perf_counter()
            if len(pixels) > 1:
                return self._run_batch(pixels), time.perf_counter() - start
            image = self.tiling.translate(pixels[0], label=self.settings.label)
            return [image], time.perf_counter() - start

    def _run_batch(self, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
        images = np.stack(pixels)
        return list(self.network.taking(images).translate(images, label=self.settings.label))

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
                image = attach_alpha(to_output(image, self.network.info, decoded.dtype), decoded.alpha)
                output = planned.output_for(image.shape[2], image.dtype, decoded.format, (height, width))
                bands = self._pixels.bands and decoded.alpha is None
                refuse_loss(output, image, replace(self._pixels, channels=image.shape[2], bands=bands))
                self._open_folder(output.parent)
                same_pixels = decoded.stored == (image.shape, image.dtype)
                scale, ending = self.network.info.scale, output.suffix.lower()
                same = {"same_pixels": same_pixels, "same_units": self.network.info.keeps_units}
                tags, notes = kept_tags(decoded.place, ending, scale, **same)
                extras = Extras(decoded.icc, decoded.exif, decoded.lossless, self.network.info.gives_bands, tags)
                write_pixels(output, image, extras, replace=self.settings.existing == "overwrite")
                result = replace(result, note=with_notes(result.note, planned.input, notes))
        except UserError as error:
            result = replace(result, encode=time.perf_counter() - start)
            if self.settings.existing == "skip" and error.kind is ErrorKind.EXISTS:
                return skipped(result)  # another job was faster
            return failed(result, error)
        encode = time.perf_counter() - start
        return replace(result, output=output, width=width, height=height, encode=encode)

    def _open_folder(self, folder: Path) -> None:
        """Makes a folder of outputs inside the output folder; a folder checked before is not checked again.

        Resolving links for each output would be slow. A folder that was replaced meanwhile is noticed by its inode.
        """
        with suppress(OSError):  # removed meanwhile
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
