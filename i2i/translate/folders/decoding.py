"""Inputs of a folder as the network takes them, decoded by several threads within the room there is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from i2i.errors import ErrorKind, FileError, UserError
from i2i.files import printable
from i2i.images import ImageInfo, Picture, read_frames, read_image
from i2i.images.errors import named
from i2i.images.pixels import AlphaRule, apply_alpha
from i2i.translate.folders.memory_budget import Room
from i2i.translate.folders.plan import Task
from i2i.translate.model import Model
from i2i.translate.results import Result


@dataclass(frozen=True, slots=True)
class Decoded:
    """An input as the network takes it, and what its output gets of it.

    Attributes:
        task: what is to become of it.
        result: as far as it is known.
        pixels: ``(H, W, C)`` in the model's channels and type.
        dtype: the source's.
        format: the source's.
        alpha: ``(H, W)``, of the source's type.
        icc: profile.
        exif: metadata.
        lossless: see `Picture`.
        size: bytes by which it is counted, with the output that it will have.
    """

    task: Task
    result: Result
    pixels: np.ndarray
    dtype: np.dtype
    format: str
    alpha: np.ndarray | None
    icc: bytes | None
    exif: bytes | None
    lossless: bool
    size: int


@dataclass(frozen=True, slots=True)
class Input:
    """A task, and for one frame of several those of the file and its place among them."""

    task: Task
    frames: Frames | None = None
    place: int = 0


class Frames:
    """The frames of one file, each of which may be a change of the one before: they are decoded in order.

    Threads take the frames in turn. Who asks for a later one waits, holding nothing, for those that have begun before.
    """

    def __init__(self, pictures: Iterator[Picture]) -> None:
        self._pictures: Iterator[Picture] | None = pictures
        self._next = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, place: int, go_on: Callable[[], None]) -> Iterator[None]:
        """Waits for the frame's turn; `go_on` raises when there is no more sense in waiting."""
        with self._changed:
            while not self._changed.wait_for(lambda: self._next >= place, timeout=1):
                go_on()
        try:
            yield
        finally:
            with self._changed:
                self._next = place + 1
                self._changed.notify_all()

    def decode(self, number: int) -> Picture:
        """The next frame, whose number errors name.

        Raises:
            DataError: it cannot be decoded, and so those behind it cannot either.
            FileError: likewise, or there is none.
        """
        if self._pictures is None:
            raise FileError(ErrorKind.CUT_OFF, f"frame {number} lies behind one that cannot be read")
        pictures, self._pictures = self._pictures, None
        picture = next(pictures, None)
        if picture is None:
            raise FileError(ErrorKind.CUT_OFF, f"ends before frame {number}")
        self._pictures = pictures
        return picture


class Decoder:
    """Reads inputs for a model.

    Args:
        model: that takes them.
        room: in which every decoded image is counted; who is done with one takes it out.
        stopped: set when nothing more is to be begun.
        alpha: see `i2i.translate.folders.folder.translate_folder`, also for the others.
        max_pixels: likewise.
        exif: whether metadata are kept.
    """

    def __init__(
        self, model: Model, room: Room, stopped: threading.Event, *, alpha: AlphaRule, max_pixels: int, exif: bool
    ) -> None:
        self.model, self.room, self.stopped = model, room, stopped
        self.alpha, self.max_pixels, self.exif = alpha, max_pixels, exif

    def frames(self, task: Task) -> Frames:
        """Of the task's file."""
        return Frames(read_frames(task.input, max_pixels=self.max_pixels, exif=self.exif))

    def read(self, item: Input, *, wait: bool) -> Decoded | Result:
        """Decodes an input, or says why that is not possible.

        Args:
            item: what to read.
            wait: until there is room; who holds a decoded image must not.
        """
        task = item.task
        counted, start = 0, time.perf_counter()

        def count(size: int) -> None:
            nonlocal counted, start
            before = time.perf_counter()
            self.room.enter(size, wait=wait)
            counted, start = size, start + time.perf_counter() - before  # to wait is no work

        try:
            with named(task.input):
                self.go_on()
                picture = self._picture(item, count)
                pixels, alpha = apply_alpha(picture.pixels, picture.alpha, self.alpha)
                prepared = self.model.prepare(replace(picture, pixels=pixels, alpha=alpha))
        except UserError as error:
            if counted:
                self.room.leave(counted)
            return Result.begun(task, time.perf_counter() - start).failed(error)
        result = Result.begun(task, time.perf_counter() - start)
        if picture.frames > 1 and task.frame is None:
            text = f"{printable(task.input)}: the first of {picture.frames} frames; --frames all writes each"
            result = replace(result, note=text)
        return Decoded(
            task,
            result,
            prepared,
            dtype=pixels.dtype,
            format=picture.format,
            alpha=alpha,
            icc=picture.icc,
            exif=picture.exif,
            lossless=picture.lossless,
            size=counted,
        )

    def go_on(self) -> None:
        """Raises after an interrupt, when nobody asks for results any more."""
        if self.stopped.is_set():
            raise FileError(ErrorKind.INTERRUPTED, "interrupted")

    def _picture(self, item: Input, count: Callable[[int], None]) -> Picture:
        """Counted before it is decoded, for it may be large; a frame after that, when its size is known."""
        if item.frames is None:
            return read_image(
                item.task.input,
                max_pixels=self.max_pixels,
                exif=self.exif,
                before=lambda info: count(self._size(info)),
            )
        assert item.task.frame is not None
        with item.frames.turn(item.place, self.go_on):
            picture = item.frames.decode(item.task.frame)
            height, width, channels = picture.pixels.shape
            count(self._size(ImageInfo(width, height, channels, picture.pixels.itemsize * 8)))
        return picture

    def _size(self, info: ImageInfo) -> int:
        """Bytes of the image as it is stored, as the network takes it, and of the output."""
        channels_in, channels_out = self.model.channels
        values = channels_in + channels_out * self.model.scale**2
        return info.width * info.height * (info.channels * info.bits // 8 + values * self.model.dtype.itemsize)
