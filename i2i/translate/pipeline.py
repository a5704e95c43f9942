"""Decoding, the network and encoding at the same time, without memory that grows with the number of files.

Each of a few threads takes a batch of neighbours through all stages, so that while one computes others decode and
encode; the one that asks for the results only waits, and a signal reaches it at once. Handing images from threads of
one stage to those of the next took more time than decoding and encoding themselves, where images are small. What is
decoded or translated and not yet written is limited in number and in bytes.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
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
_MOST_ITEMS = 256
"""Inputs that one thread takes at once, when nothing is to be done for most of them."""
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
class _Work:
    """Neighbours that one thread takes through all stages: inputs, frames that are decoded, and what is settled."""

    items: Sequence[Task | _Decoded | Result]
    size: int  # bytes held for it, as far as they are known
    done: Future[list[Result]] = field(default_factory=Future)


class Pipeline:
    """Tasks -> decoded -> groups of equal size -> translated -> written.

    Args:
        model: a copy of its own, which an interrupt may stop.
        tiling: of that model.
        settings: the same for all inputs.
    """

    def __init__(self, model: Model, tiling: Tiling, settings: Settings) -> None:
        self.model, self.tiling, self.settings = model, tiling, settings
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="i2i-translate")
        self._network = threading.Lock()
        self._stopped = threading.Event()
        self._running: set[Future[Any]] = set()
        self._opened: dict[Path, tuple[int, int]] = {}
        self._last_size = _MOST_BYTES  # until one is known: a first image goes alone

    def results(self, tasks: Iterable[Task]) -> Generator[Result, None, None]:
        """Does the work as results are taken, which come in the order of the tasks. Closing it stops the work."""
        pending: deque[_Work] = deque()
        try:
            for items in self._neighbours(tasks):
                work = _Work(items, self._expected_bytes(items))
                while pending and (pending[0].done.done() or self._is_full(pending, work.size)):
                    yield from pending.popleft().done.result()
                work.done = self._submit(self._do, work)
                pending.append(work)
            while pending:
                yield from pending.popleft().done.result()
        finally:
            self._stop()

    def _stop(self) -> None:
        """What is being written is finished, the network breaks off, what waits is dropped."""
        self._stopped.set()
        self.model.interrupt()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if not wait(list(self._running), timeout=_PATIENCE).not_done:
            self._pool.shutdown(wait=True)

    def _submit(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        future = self._pool.submit(work, *args)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def _go_on(self) -> None:
        """Begins nothing new after an interrupt, when nobody asks for results any more."""
        if self._stopped.is_set():
            raise Unfit("interrupted")

    def _is_full(self, pending: Collection[_Work], more: int) -> bool:
        held = sum(work.size for work in pending)
        return len(pending) > 2 * self.settings.workers or held + more > _MOST_BYTES

    def _expected_bytes(self, items: Iterable[Task | _Decoded | Result]) -> int:
        """Of what is not decoded yet, it is taken that images are as large as the last one."""
        unsettled = (item for item in items if not isinstance(item, Result))
        return sum(self._bytes(item) if isinstance(item, _Decoded) else self._last_size for item in unsettled)

    def _neighbours(self, tasks: Iterable[Task]) -> Iterator[list[Task | _Decoded | Result]]:
        """As many as a batch takes, besides those about which all is known."""
        items: list[Task | _Decoded | Result] = []
        unsettled = 0
        for (path, is_sequence), group in groupby(tasks, key=lambda task: (task.input, task.frame is not None)):
            for item in self._frames(path, list(group)) if is_sequence else (_settled(task) or task for task in group):
                items.append(item)
                unsettled += not isinstance(item, Result)
                if unsettled == self.settings.batch or len(items) == _MOST_ITEMS:
                    yield items
                    items, unsettled = [], 0
        if items:
            yield items

    def _do(self, work: _Work) -> list[Result]:
        """All stages, one after the other."""
        items = [self._read(item) if isinstance(item, Task) else item for item in work.items]
        work.items = ()
        sizes = [self._bytes(item) for item in items if isinstance(item, _Decoded)]
        work.size, self._last_size = sum(sizes), max(sizes, default=self._last_size)
        results: list[Result] = []
        for group in self._groups(items):
            results += [group] if isinstance(group, Result) else self._translate(group)
        work.size = 0
        return results

    def _bytes(self, decoded: _Decoded) -> int:
        return decoded.pixels.nbytes * (1 + self.model.scale**2)

    # Decoding

    def _read(self, task: Task) -> _Decoded | Result:
        start = time.perf_counter()
        try:
            with named(task.input):
                self._go_on()
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
                item, lost = self._submit(self._next_frame, task, pictures).result()
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

    def _groups(self, items: Iterable[_Decoded | Result]) -> Iterator[list[_Decoded] | Result]:
        """Neighbours of equal size; failures and skipped inputs come through in their place."""
        group: list[_Decoded] = []
        for item in items:
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
        if item.pixels.shape != group[0].pixels.shape:
            return False
        # one image as high as the batch takes as much memory
        together = height * (len(group) + 1) if self.tiling.tile == "auto" else height
        try:
            return self.tiling.side(together, width) is None
        except ModelError:  # each for itself will tell
            return False

    def _translate(self, group: Sequence[_Decoded]) -> list[Result]:
        """Runs a batch and writes it; one that fails, such as for want of memory, is tried again image by image."""
        try:
            with named(group[0].task.input):
                images, seconds = self._through_network([decoded.pixels for decoded in group])
        except UserError as error:
            if len(group) > 1:
                return [result for decoded in group for result in self._translate([decoded])]
            return [_failed(group[0].result, error)]
        share = seconds / len(group)
        return [self._write(decoded, image, share) for decoded, image in zip(group, images, strict=True)]

    def _through_network(self, pixels: Sequence[np.ndarray]) -> tuple[Sequence[np.ndarray], float]:
        """The images, and the seconds that took: small ones in all threads at once, larger ones in one at a time."""
        height, width = pixels[0].shape[:2]
        is_small = self.tiling.is_small(height * len(pixels), width, self.settings.workers)
        with nullcontext() if is_small else self._network:
            start = time.perf_counter()
            if is_small or len(pixels) > 1:
                images = list(self.model.translate_batch(np.stack(pixels), label=self.settings.label))
            else:
                images = [self.tiling.translate(pixels[0], label=self.settings.label)]
            return images, time.perf_counter() - start

    # Encoding

    def _write(self, decoded: _Decoded, image: np.ndarray, network: float) -> Result:
        start = time.perf_counter()
        task, result, (height, width) = decoded.task, replace(decoded.result, network=network), image.shape[:2]
        try:
            with named(task.input):
                self._go_on()
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
