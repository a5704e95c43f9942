"""Translating many files: reading, the network and writing overlap, and memory does not grow with their number.

A few threads decode ahead and encode behind, while the network runs in the thread that asks for the results. Files that
lie next to each other in order and have one size share a batch. A file that fails is told, and the rest goes on.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from i2i.data.image_errors import named, shown
from i2i.data.images import can_hold, read_image, to_channels, to_dtype, write_image
from i2i.data.pixels import FULL_SCALE, with_alpha
from i2i.errors import UserError
from i2i.translate.model import Model
from i2i.translate.plan import PathLike, Task, plan

_MOST_WORKERS = 8


@dataclass(frozen=True)
class Result:
    """What became of one input.

    Attributes:
        input: the file that was read.
        output: the file that was, or would have been, written.
        status: whether it was written now, was there already, or failed.
        reason: why it was skipped or failed, on one line that names the input; empty when written.
        seconds: of work on it: decoding, its share of the batch in the network, encoding.
        width: of the output in pixels; None unless written.
        height: likewise.
    """

    input: Path
    output: Path
    status: Literal["written", "skipped", "failed"]
    reason: str = ""
    seconds: float = 0.0
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class _Decoded:
    """An input as the network takes it."""

    task: Task
    pixels: np.ndarray  # (H, W, C) in the model's channels and type
    alpha: np.ndarray | None  # (H, W), only where the input is not opaque and the output can hold it
    icc: bytes | None
    seconds: float


def translate_folder(
    model: Model,
    inputs: PathLike | Sequence[PathLike],
    out: PathLike,
    *,
    batch: int = 1,
    overwrite: bool = False,
    skip_existing: bool = False,
    label: str | int | None = None,
    workers: int | None = None,
) -> Iterator[Result]:
    """Translates files into a folder.

    Names and, where they can hold the result, formats of the inputs are kept; else PNG is written. Transparency of an
    input is put on its output, enlarged with it, where format and channels (1 or 3) of the output allow.

    All is checked before this returns; the work is done as results are taken. An interrupt leaves no partial file.

    Args:
        model: as loaded.
        inputs: files, folders (searched through, their structure is kept) and globs.
        out: folder of the outputs; made if it is not there. What lies in it is no input.
        batch: most images that go through the network at once; only neighbours of equal size do.
        overwrite: outputs that exist are replaced.
        skip_existing: inputs whose output exists are left out.
        label: the target of all of them, by name or number.
        workers: threads that decode and encode; None: one a core, at most 8.

    Returns:
        The results, in the order of the inputs.

    Raises:
        ModelError: the model takes no images.
        UserError: as `plan` says, or the label does not fit the model.
    """
    if batch < 1 or (workers is not None and workers < 1):
        raise UserError("batch and workers are whole numbers from 1")
    model.check_command("translate")
    model.label_index(label)
    items = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    tasks = plan(items, out, model.channels[1], model.dtype, overwrite=overwrite, skip_existing=skip_existing)
    return _Run(model, label, batch, workers or min(_MOST_WORKERS, os.cpu_count() or 1)).results(tasks)


class _Run:
    """The pipeline: tasks -> decoded -> groups of equal size -> translated -> written."""

    def __init__(self, model: Model, label: str | int | None, batch: int, workers: int) -> None:
        self.model = model
        self.label = label
        self.batch = batch
        self.workers = workers

    def results(self, tasks: Iterable[Task]) -> Generator[Result, None, None]:
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="i2i-image")
        pending: deque[Result | Future[Result]] = deque()
        try:
            for item in self._translated(pool, tasks):
                pending.append(item)
                while len(pending) > self.workers + self.batch or (pending and _is_done(pending[0])):
                    yield _finished(pending.popleft())
            while pending:
                yield _finished(pending.popleft())
        finally:  # what is being written is finished, what waits is dropped
            pool.shutdown(wait=True, cancel_futures=True)

    def _translated(self, pool: ThreadPoolExecutor, tasks: Iterable[Task]) -> Iterator[Result | Future[Result]]:
        for group in self._groups(pool, tasks):
            if isinstance(group, Result):
                yield group
                continue
            for decoded, outcome in self._through_network(group):
                if isinstance(outcome, np.ndarray):
                    yield pool.submit(self._write, decoded, outcome)
                else:
                    yield _failed(decoded.task, outcome, decoded.seconds)

    def _groups(self, pool: ThreadPoolExecutor, tasks: Iterable[Task]) -> Iterator[list[_Decoded] | Result]:
        """Neighbours of equal size, `batch` at most; failures and skipped inputs come through in their place."""
        group: list[_Decoded] = []
        for item in self._decoded(pool, tasks):
            fits = isinstance(item, _Decoded) and (not group or item.pixels.shape == group[0].pixels.shape)
            if group and (not fits or len(group) == self.batch):
                yield group
                group = []
            if isinstance(item, Result):
                yield item
            else:
                group.append(item)
        if group:
            yield group

    def _decoded(self, pool: ThreadPoolExecutor, tasks: Iterable[Task]) -> Iterator[_Decoded | Result]:
        """Decodes ahead of the network, as far as keeps all threads and a batch busy and no further."""
        ahead: deque[Future[_Decoded | Result]] = deque()
        for task in tasks:
            ahead.append(pool.submit(self._read, task))
            if len(ahead) > self.workers + self.batch:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _read(self, task: Task) -> _Decoded | Result:
        if task.skip:
            return Result(task.input, task.output, "skipped", f"{shown(task.input)}: {shown(task.output)} exists")
        start = time.perf_counter()
        try:
            with named(task.input):
                picture = read_image(task.input)
                pixels = self.model.prepare(picture)
        except UserError as error:
            return _failed(task, error, time.perf_counter() - start)
        alpha = picture.alpha
        if alpha is not None and (alpha.min() == FULL_SCALE[alpha.dtype] or not self._takes_alpha(task.output)):
            alpha = None
        return _Decoded(task, pixels, alpha, picture.icc, time.perf_counter() - start)

    def _takes_alpha(self, output: Path) -> bool:
        return self.model.channels[1] in (1, 3) and can_hold(output, 4, self.model.dtype)

    def _through_network(self, group: list[_Decoded]) -> Iterator[tuple[_Decoded, np.ndarray | UserError]]:
        """Runs a batch; one that fails, for instance for want of memory, is tried again image by image."""
        start = time.perf_counter()
        try:
            with named(group[0].task.input):
                images = self.model.translate_batch(np.stack([decoded.pixels for decoded in group]), label=self.label)
        except UserError as error:
            if len(group) == 1:
                yield group[0], error
            else:
                for decoded in group:
                    yield from self._through_network([decoded])
            return
        share = (time.perf_counter() - start) / len(group)
        for decoded, image in zip(group, images, strict=True):
            yield replace(decoded, seconds=decoded.seconds + share), image

    def _write(self, decoded: _Decoded, image: np.ndarray) -> Result:
        start = time.perf_counter()
        task, (height, width) = decoded.task, image.shape[:2]
        try:
            with named(task.output):
                if decoded.alpha is not None:
                    image = _attach(image, decoded.alpha)
                task.output.parent.mkdir(parents=True, exist_ok=True)
                write_image(task.output, image, icc=decoded.icc)
        except UserError as error:
            return _failed(task, error, decoded.seconds + time.perf_counter() - start)
        seconds = decoded.seconds + time.perf_counter() - start
        return Result(task.input, task.output, "written", "", seconds, width, height)


def _attach(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Puts alpha ``(h, w)`` of any type on an image ``(H, W, 1 or 3)``, resized to it: RGBA ``(H, W, 4)``."""
    height, width = image.shape[:2]
    if alpha.shape != (height, width):
        alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR))
    return with_alpha(to_channels(image, 3), to_dtype(alpha, image.dtype))


def _is_done(item: Result | Future[Result]) -> bool:
    return isinstance(item, Result) or item.done()


def _finished(item: Result | Future[Result]) -> Result:
    return item if isinstance(item, Result) else item.result()


def _failed(task: Task, error: UserError, seconds: float) -> Result:
    name, text = shown(task.input), str(error)
    return Result(task.input, task.output, "failed", text if text.startswith(name) else f"{name}: {text}", seconds)
