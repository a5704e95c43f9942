"""Decoding, the network and encoding at the same time, without memory that grows with the number of files.

A few threads decode ahead and encode behind; the network has a thread of its own, so that the one that asks for the
results only waits, and a signal reaches it at once. Neighbours of equal size share a batch. What is decoded, translated
or encoded and not yet handed out is limited in number and in bytes.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np

from i2i.data.image_errors import Unfit, named, shown
from i2i.data.images import Picture, read_frames, read_image, to_dtype, write_image
from i2i.data.pixels import AlphaRule, apply_alpha
from i2i.errors import DataError, ModelError, UserError
from i2i.translate.model import Model, attach_alpha
from i2i.translate.plan import Task, inside
from i2i.translate.tiling import Tiling

_MOST_BYTES = 256 << 20
"""Pixels held at once; an image larger than this goes alone."""
_PATIENCE = 4.0
"""Seconds that work already begun may take after an interrupt."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input, or one frame of it.

    Attributes:
        input: the file that was read.
        output: the file that was, or would have been, written.
        status: whether it was written now, was there already, or failed.
        reason: why it was skipped or failed, on one line that names the input; empty when written.
        note: what is worth knowing about an image that was written, such as frames that were left out.
        frame: number of the frame from 0; None unless all frames were asked for.
        width: of the output in pixels; None unless written.
        height: likewise.
        decode: seconds of work.
        network: likewise; its share of the batch.
        encode: likewise.
    """

    input: Path
    output: Path
    status: Literal["written", "skipped", "failed"]
    reason: str = ""
    note: str = ""
    frame: int | None = None
    width: int | None = None
    height: int | None = None
    decode: float = 0.0
    network: float = 0.0
    encode: float = 0.0

    @property
    def seconds(self) -> float:
        """Of work on it, whatever else was going on at the same time."""
        return self.decode + self.network + self.encode


@dataclass(frozen=True)
class Settings:
    """How images are translated; see `i2i.translate.folder.translate_folder`."""

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
class _Decoded:
    """An input as the network takes it, and what its output gets of it."""

    task: Task
    result: Result
    pixels: np.ndarray  # (H, W, C) in the model's channels and type
    dtype: np.dtype  # the source's
    format: str
    alpha: np.ndarray | None  # (H, W)
    icc: bytes | None
    exif: bytes | None


@dataclass
class _Pending:
    """What was handed to the network, in the order of the inputs; the work on it ends in results."""

    work: Future[list[Future[Result]]]
    size: int  # bytes of input and output

    def results(self) -> Iterator[Result]:
        for written in self.work.result():
            yield written.result()

    @property
    def done(self) -> bool:
        return self.work.done() and all(written.done() for written in self.work.result())


class Pipeline:
    """Tasks -> decoded -> groups of equal size -> translated -> written.

    Args:
        model: a copy of its own, which an interrupt may stop.
        tiling: of that model.
        settings: the same for all inputs.
    """

    def __init__(self, model: Model, tiling: Tiling, settings: Settings) -> None:
        self.model, self.tiling, self.settings = model, tiling, settings
        self._images = ThreadPoolExecutor(settings.workers, thread_name_prefix="i2i-image")
        self._network = ThreadPoolExecutor(1, thread_name_prefix="i2i-network")
        self._running: set[Future[Any]] = set()
        self._opened: dict[Path, tuple[int, int]] = {}
        self._last_size = 0

    def results(self, tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """Does the work as results are taken, which come in the order of the tasks. Closing it stops the work."""
        pending: deque[_Pending | Result] = deque()
        try:
            for item in self._groups(tasks):
                pending.append(item if isinstance(item, Result) else self._hand_over(item))
                while pending and (self._is_full(pending) or isinstance(pending[0], Result) or pending[0].done):
                    yield from _results(pending.popleft())
            while pending:
                yield from _results(pending.popleft())
        finally:
            self._stop()

    def _stop(self) -> None:
        """What is being written is finished, the network breaks off, what waits is dropped."""
        self.model.interrupt()
        pools = (self._network, self._images)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        if not wait(list(self._running), timeout=_PATIENCE).not_done:
            for pool in pools:
                pool.shutdown(wait=True)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[..., Any], *args: Any) -> Future[Any]:
        future = pool.submit(work, *args)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def _is_full(self, pending: Sequence[_Pending | Result]) -> bool:
        held = sum(item.size for item in pending if isinstance(item, _Pending))
        return len(pending) > 2 + self.settings.workers or (len(pending) > 1 and held > _MOST_BYTES)

    # Decoding

    def _decoded(self, tasks: Iterable[Task]) -> Iterator[_Decoded | Result]:
        """Decodes ahead of the network, as far as keeps all threads and a batch busy and no further."""
        ahead: deque[Future[_Decoded | Result]] = deque()
        most = self.settings.workers + self.settings.batch
        for (path, is_sequence), group in groupby(tasks, key=lambda task: (task.input, task.frame is not None)):
            if is_sequence:
                while ahead:
                    yield self._taken(ahead)
                yield from self._frames(path, list(group))
                continue
            for task in group:
                while len(ahead) > most or (ahead and self._held(ahead) > _MOST_BYTES):
                    yield self._taken(ahead)
                ahead.append(self._submit(self._images, self._read, task))
        while ahead:
            yield self._taken(ahead)

    def _taken(self, ahead: deque[Future[_Decoded | Result]]) -> _Decoded | Result:
        item = ahead.popleft().result()
        if isinstance(item, _Decoded):
            self._last_size = item.pixels.nbytes
        return item

    def _held(self, ahead: Iterable[Future[_Decoded | Result]]) -> int:
        """Bytes of what is decoded and waits; what is being decoded is taken to be as large as the last one."""
        items = (future.result() if future.done() else None for future in ahead)
        sizes = (item.pixels.nbytes if isinstance(item, _Decoded) else 0 for item in items if item is not None)
        return sum(sizes) + sum(not future.done() for future in ahead) * self._last_size

    def _read(self, task: Task) -> _Decoded | Result:
        if (result := _settled(task)) is not None:
            return result
        start = time.perf_counter()
        try:
            with named(task.input):
                picture = read_image(task.input, max_pixels=self.settings.max_pixels, exif=self.settings.keep_metadata)
                return self._prepared(task, picture, start)
        except UserError as error:
            return _failed(_begun(task, time.perf_counter() - start), error)

    def _frames(self, path: Path, tasks: Sequence[Task]) -> Iterator[_Decoded | Result]:
        """The frames of one file, which are decoded one after the other: each may be a change of the one before."""
        settled = [_settled(task) for task in tasks]
        if all(settled):
            yield from (result for result in settled if result)
            return
        pictures = read_frames(path, max_pixels=self.settings.max_pixels, exif=self.settings.keep_metadata)
        lost = False
        for task, result in zip(tasks, settled, strict=True):
            if lost:
                item = _failed(_begun(task, 0.0), DataError(f"frame {task.frame} lies behind one that cannot be read"))
            else:
                item, lost = self._submit(self._images, self._next_frame, task, pictures).result()
            yield result or item

    def _next_frame(self, task: Task, pictures: Iterator[Picture]) -> tuple[_Decoded | Result, bool]:
        """The frame, and whether those behind it are lost."""
        start = time.perf_counter()
        try:
            with named(task.input):
                picture = next(pictures, None)
                if picture is None:
                    raise Unfit(f"ends before frame {task.frame}")
        except UserError as error:
            return _failed(_begun(task, time.perf_counter() - start), error), True
        try:
            with named(task.input):
                return self._prepared(task, picture, start), False
        except UserError as error:
            return _failed(_begun(task, time.perf_counter() - start), error), False

    def _prepared(self, task: Task, picture: Picture, start: float) -> _Decoded:
        pixels, alpha = apply_alpha(picture.pixels, picture.alpha, self.settings.alpha)
        prepared = self.model.prepare(replace(picture, pixels=pixels, alpha=alpha))
        result = _begun(task, time.perf_counter() - start)
        if picture.frames > 1 and task.frame is None:
            text = f"{shown(task.input)}: the first of {picture.frames} frames; --frames all writes each"
            result = replace(result, note=text)
        return _Decoded(task, result, prepared, pixels.dtype, picture.format, alpha, picture.icc, picture.exif)

    # The network

    def _groups(self, tasks: Iterable[Task]) -> Iterator[list[_Decoded] | Result]:
        """Neighbours of equal size, `batch` at most; failures and skipped inputs come through in their place."""
        group: list[_Decoded] = []
        for item in self._decoded(tasks):
            if group and (isinstance(item, Result) or not self._fits(item, group)):
                yield group
                group = []
            if isinstance(item, Result):
                yield item
            else:
                group.append(item)
        if group:
            yield group

    def _fits(self, item: _Decoded, group: Sequence[_Decoded]) -> bool:
        height, width = item.pixels.shape[:2]
        if len(group) == self.settings.batch or item.pixels.shape != group[0].pixels.shape:
            return False
        # one image as high as the batch takes as much memory
        together = height * (len(group) + 1) if self.tiling.tile == "auto" else height
        try:
            return self.tiling.side(together, width) is None
        except ModelError:  # each for itself will tell
            return False

    def _hand_over(self, group: list[_Decoded]) -> _Pending:
        size = sum(decoded.pixels.nbytes for decoded in group) * (1 + self.model.scale**2)
        return _Pending(self._submit(self._network, self._translate, group), size)

    def _translate(self, group: list[_Decoded]) -> list[Future[Result]]:
        """Runs a batch; one that fails, for instance for want of memory, is tried again image by image."""
        start = time.perf_counter()
        try:
            with named(group[0].task.input):
                images = self._through_network(group)
        except UserError as error:
            if len(group) > 1:
                return [written for decoded in group for written in self._translate([decoded])]
            return [_known(_failed(group[0].result, error))]
        share = (time.perf_counter() - start) / len(group)
        return [
            self._submit(self._images, self._write, decoded, image, share)
            for decoded, image in zip(group, images, strict=True)
        ]

    def _through_network(self, group: Sequence[_Decoded]) -> Sequence[np.ndarray]:
        label = self.settings.label
        if len(group) == 1:
            return [self.tiling.translate(group[0].pixels, label=label)]
        return list(self.model.translate_batch(np.stack([decoded.pixels for decoded in group]), label=label))

    # Encoding

    def _write(self, decoded: _Decoded, image: np.ndarray, network: float) -> Result:
        start = time.perf_counter()
        task, result, (height, width) = decoded.task, replace(decoded.result, network=network), image.shape[:2]
        try:
            with named(task.input):
                if image.dtype.kind == "f" and not np.isfinite(image).all():
                    raise Unfit("the model gave values that are not finite")
                image = attach_alpha(to_dtype(image, decoded.dtype), decoded.alpha)
                output = task.output_for(image.shape[2], image.dtype, decoded.format, (height, width))
                self._open_folder(output.parent)
                write_image(output, image, icc=decoded.icc, exif=decoded.exif, replace=self.settings.overwrite)
        except UserError as error:
            result = replace(result, encode=time.perf_counter() - start)
            if self.settings.skip_existing and any(os.path.lexists(output) for output in task.outputs):
                return _skipped(result)  # another job was faster
            return _failed(result, error)
        encode = time.perf_counter() - start
        return replace(result, output=output, width=width, height=height, encode=encode)

    def _open_folder(self, folder: Path) -> None:
        """Makes a folder of outputs, and sees to it that it stays what it was: to resolve links each time is slow."""
        with suppress(OSError):  # gone meanwhile
            if folder in self._opened and _identity(folder) == self._opened[folder]:
                return
        if not inside(self.settings.out, folder / "any"):
            raise Unfit(f"{shown(folder)} leads out of the output folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._opened[folder] = _identity(folder)


def _results(item: _Pending | Result) -> Iterator[Result]:
    if isinstance(item, Result):
        yield item
    else:
        yield from item.results()


def _known(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


def _settled(task: Task) -> Result | None:
    """The result of a task about which all is known without reading it."""
    begun = _begun(task, 0.0)
    if task.refused:
        return replace(begun, status="failed", reason=f"{shown(task.input)}: {task.refused}")
    return _skipped(begun) if task.skip else None


def _skipped(result: Result) -> Result:
    return replace(result, status="skipped", note="", reason=f"{shown(result.input)}: {shown(result.output)} exists")


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _begun(task: Task, seconds: float) -> Result:
    return Result(task.input, task.outputs[0], "written", frame=task.frame, decode=seconds)


def _failed(result: Result, error: UserError) -> Result:
    name, text = shown(result.input), str(error)
    return replace(result, status="failed", note="", reason=text if text.startswith(name) else f"{name}: {text}")
