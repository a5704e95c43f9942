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
from dataclasses import dataclass, replace
from itertools import groupby
from queue import SimpleQueue

import numpy as np

from i2i import memory
from i2i.errors import ErrorKind, ModelError, UserError
from i2i.images.errors import errors_about
from i2i.runtime.network import ExportedNetwork, Outputs
from i2i.translate.folders.decoding import Decoded, DecodeJob, Decoder
from i2i.translate.folders.memory_budget import MemoryBudget
from i2i.translate.folders.outcomes import failed, known_result, skipped
from i2i.translate.folders.planning.plan import PlannedImage
from i2i.translate.folders.previous import PreviousOutputs
from i2i.translate.folders.settings import FolderSettings
from i2i.translate.folders.writing import OutputWriter
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
        self.budget = MemoryBudget(_MAX_BYTES, _MIN_IMAGES)
        self._stopped = threading.Event()
        self.decoder = Decoder(network, self.budget, self._stopped, settings)
        self.writer = OutputWriter(network.info, settings)
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="i2i-translate")
        self._one_at_a_time = threading.Lock()
        self._before = PreviousOutputs(settings.inputs.previous, np.dtype(network.info.value_type))

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
        like = batch[0]
        shapes = [{name: value.shape for name, value in decoded.inputs.items()} for decoded in (one, like)]
        if one.pixels.shape != like.pixels.shape or one.pixels.dtype != like.pixels.dtype or shapes[0] != shapes[1]:
            return False
        height, width = one.pixels.shape[:2]
        return size <= _MAX_BATCH_BYTES and self.tiling.takes_batch(height, width, len(batch) + 1)

    def _translated(self, batch: Sequence[Decoded]) -> Iterator[Result]:
        """Runs a batch and writes it; one that fails, such as for lack of memory, is tried again image by image."""
        try:
            with errors_about(batch[0].planned.input):
                outputs, seconds = self._through_network(batch)
        except UserError as error:
            outputs, failure = [], failed(batch[0].result, error)
        if outputs:
            for decoded, of_image in zip(batch, outputs, strict=True):
                yield self._written(decoded, of_image, seconds / len(batch))
        elif len(batch) == 1:
            yield failure
        else:
            for decoded in batch:
                yield from self._translated([decoded])

    def _through_network(self, batch: Sequence[Decoded]) -> tuple[Sequence[Outputs], float]:
        """The outputs for each image, and the seconds it took; small images in all threads at once, larger ones not."""
        height, width = batch[0].pixels.shape[:2]
        start = time.perf_counter()
        if self.tiling.is_small(height * len(batch), width, self.settings.workers):
            try:
                return self._run_batch(batch), time.perf_counter() - start
            except (ModelError, MemoryError) as error:
                if len(batch) > 1 or not memory.ran_out(error):
                    raise
        with self._one_at_a_time:
            start = time.perf_counter()
            if len(batch) > 1:
                return self._run_batch(batch), time.perf_counter() - start
            one = batch[0]
            inputs = {**one.inputs, **self._before.feeds(one.planned, one.pixels.shape)}
            outputs = self.tiling.translate(one.pixels, label=self.settings.label, inputs=inputs)
            self._before.keep(one.planned, outputs)
            return [outputs], time.perf_counter() - start

    def _run_batch(self, batch: Sequence[Decoded]) -> list[Outputs]:
        images, first = np.stack([decoded.pixels for decoded in batch]), batch[0]
        inputs = {name: np.concatenate([decoded.inputs[name] for decoded in batch]) for name in first.inputs}
        inputs |= self._before.feeds(first.planned, first.pixels.shape)
        found = self.network.taking(images).translate(images, label=self.settings.label, inputs=inputs)
        outputs = [{name: value[place] for name, value in found.items()} for place in range(len(batch))]
        self._before.keep(first.planned, outputs[0])
        return outputs

    # Encoding

    def _written(self, decoded: Decoded, outputs: Outputs, network: float) -> Result:
        start = time.perf_counter()
        result = replace(decoded.result, network=network)
        try:
            with errors_about(decoded.planned.input):
                self.decoder.check_stop()
                result = self.writer.write(decoded, outputs, result)
        except UserError as error:
            result = replace(result, encode=time.perf_counter() - start)
            if self.settings.existing == "skip" and error.kind is ErrorKind.EXISTS:
                return skipped(result)  # another job was faster
            return failed(result, error)
        return replace(result, encode=time.perf_counter() - start)


def _job(image: PlannedImage) -> DecodeJob | Result:
    return known_result(image) or DecodeJob(image)
