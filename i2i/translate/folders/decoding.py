"""Decoding input files to the arrays that the network takes, in several threads, within a memory budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from i2i.errors import ErrorKind, FileError, UserError
from i2i.images import ImageInfo, Picture, read_frames, read_image, read_stack
from i2i.images.errors import errors_about
from i2i.images.place import Place
from i2i.interface import Spatial
from i2i.runtime.network import ExportedNetwork
from i2i.translate.folders.memory_budget import MemoryBudget
from i2i.translate.folders.outcomes import decoded_result, failed, with_notes
from i2i.translate.folders.planning.plan import PlannedImage
from i2i.translate.folders.settings import FolderSettings
from i2i.translate.pictures import network_input, output_type
from i2i.translate.results import Result


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded input: the array for the network, and what is written with the output.

    Attributes:
        planned: the input and where its output goes.
        result: the result so far: no size, and no seconds in the network.
        pixels: ``(H, W, C)`` as the network takes it.
        dtype: type of the output's pixels.
        format: the input's format, as `Picture.format` names it.
        alpha: alpha of the input ``(H, W)``, if it is to be put on the output.
        icc: ICC profile for the output.
        exif: EXIF metadata for the output.
        lossless: whether the output is to be coded without loss; see `Picture`.
        size: bytes that are counted in the memory budget, its output among them.
        inputs: the further inputs of the network, each with one row.
        place: what the input, a TIFF, says of its place and size.
        stored: height, width, channels and type of the input's pixels; None of a file of several frames.
    """

    planned: PlannedImage
    result: Result
    pixels: np.ndarray
    dtype: np.dtype
    format: str
    alpha: np.ndarray | None
    icc: bytes | None
    exif: bytes | None
    lossless: bool
    size: int
    inputs: Mapping[str, np.ndarray]
    place: Place | None = None
    stored: tuple[tuple[int, ...], np.dtype] | None = None


class FrameReader:
    """Decodes the frames of one file in order, as a frame may be stored as a change of the one before.

    Several threads may ask for frames; the one that asks for a later frame waits, holding no memory, until it is its
    turn.

    Args:
        pictures: iterator that decodes the frames.
    """

    def __init__(self, pictures: Iterator[Picture]) -> None:
        self._pictures: Iterator[Picture] | None = pictures
        self._next = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, place: int, check_stop: Callable[[], None]) -> Iterator[None]:
        """Waits for the turn of the frame at that place.

        Args:
            place: place of the frame among those that are read, from 0.
            check_stop: called about once a second while waiting; may raise to end the wait.
        """
        with self._changed:
            while not self._changed.wait_for(lambda: self._next >= place, timeout=1):
                check_stop()
        try:
            yield
        finally:
            with self._changed:
                self._next = place + 1
                self._changed.notify_all()

    def decode(self, number: int) -> Picture:
        """Decodes the next frame.

        Args:
            number: its number in the file, for errors.

        Raises:
            DataError: it cannot be decoded; then the later frames cannot be either.
            FileError: there is no such frame, or an earlier one could not be decoded.
        """
        if self._pictures is None:
            raise FileError(ErrorKind.CUT_OFF, "lies behind one that cannot be read")
        pictures, self._pictures = self._pictures, None
        picture = next(pictures, None)
        if picture is None:
            raise FileError(ErrorKind.CUT_OFF, f"ends before frame {number}")
        self._pictures = pictures
        return picture


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """An input to decode.

    Attributes:
        planned: the input.
        frames: reads the frames of the file, if the input is one frame of several; else None.
        place: place of the frame among those that are read, from 0.
    """

    planned: PlannedImage
    frames: FrameReader | None = None
    place: int = 0


class Decoder:
    """Reads inputs for a network.

    Args:
        network: the network.
        budget: counts the bytes of every decoded image; `Decoded.size` must be released when the image is written.
        stopped: set when no more work is to begin.
        settings: the options of the folder.
    """

    def __init__(
        self, network: ExportedNetwork, budget: MemoryBudget, stopped: threading.Event, settings: FolderSettings
    ) -> None:
        self.network, self.budget, self.stopped, self.settings = network, budget, stopped, settings
        self.any_range = network.info.source_range is not None
        self.label = network.label_index(settings.label)
        self.max_pixels, self.exif = settings.max_pixels, settings.keep_metadata

    def open_frames(self, planned: PlannedImage) -> FrameReader:
        """A reader of the frames of an input's file."""
        frames = read_frames(planned.input, max_pixels=self.max_pixels, exif=self.exif, any_range=self.any_range)
        return FrameReader(frames)

    def read(self, job: DecodeJob, *, wait: bool) -> Decoded | Result:
        """Decodes an input, or says why that is not possible.

        Args:
            job: what to read.
            wait: whether to wait until the memory budget allows it; a thread that holds a decoded image must not wait.
        """
        planned, counted, start = job.planned, 0, time.perf_counter()

        def count(size: int) -> None:
            nonlocal counted, start
            before = time.perf_counter()
            self.budget.acquire(size, wait=wait)
            counted, start = size, start + time.perf_counter() - before  # to wait is no work

        try:
            with errors_about(planned.input):
                self.check_stop()
                picture = self._picture(job, count)
                given = network_input(picture, self.settings.alpha, self.network)
            inputs = self.settings.inputs.feeds(planned.key, given.pixels.shape, planned.number, self.label)
        except UserError as error:
            if counted:
                self.budget.release(counted)
            return failed(decoded_result(planned, time.perf_counter() - start), error)
        result = decoded_result(planned, time.perf_counter() - start)
        notes = list(given.notes)
        if picture.frames > 1 and planned.frame is None and self.network.info.pages == "first":
            notes.insert(0, f"the first of {picture.frames} frames; --frames all writes each")
        result = replace(result, note=with_notes("", planned.input, notes))
        return Decoded(
            planned,
            result,
            given.pixels,
            dtype=output_type(self.network.info, picture.pixels.dtype),
            format=picture.format,
            alpha=given.alpha,
            icc=picture.icc,
            exif=picture.exif,
            lossless=picture.lossless,
            size=counted,
            inputs=inputs,
            place=picture.place,
            stored=_stored(picture),
        )

    def check_stop(self) -> None:
        """Raises FileError if the work was interrupted."""
        if self.stopped.is_set():
            raise FileError(ErrorKind.INTERRUPTED, "interrupted")

    def _picture(self, job: DecodeJob, count: Callable[[int], None]) -> Picture:
        """Decodes the picture and counts its bytes: before decoding, but for a frame afterwards, with its real size."""
        if job.frames is None:
            read = read_stack if self.network.info.pages == "stack" else read_image
            return read(
                job.planned.input,
                max_pixels=self.max_pixels,
                exif=self.exif,
                any_range=self.any_range,
                before=lambda info: count(self._size(info)),
            )
        assert job.planned.frame is not None
        with job.frames.turn(job.place, self.check_stop):
            picture = job.frames.decode(job.planned.frame)
            height, width, channels = picture.pixels.shape
            count(self._size(ImageInfo(width, height, channels, picture.pixels.itemsize * 8)))
        return picture

    def _size(self, image: ImageInfo) -> int:
        """Bytes of the image as it is stored, as the network takes it, and of the output."""
        info = self.network.info
        further = sum(getattr(of, "channels", 1) for of in info.inputs.values() if isinstance(of, Spatial))
        values = info.channels_in + further + info.channels_out * len(info.pictures) * info.scale**2
        deep = image.bits > 8 or self.any_range
        itemsize = np.dtype(np.float32).itemsize if deep else self.network.dtype.itemsize
        return image.width * image.height * (image.channels * image.bits // 8 + values * itemsize)


def _stored(picture: Picture) -> tuple[tuple[int, ...], np.dtype] | None:
    height, width, channels = picture.pixels.shape
    return (
        None if picture.frames > 1 else ((height, width, channels + (picture.alpha is not None)), picture.pixels.dtype)
    )
