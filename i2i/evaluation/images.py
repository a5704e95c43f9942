"""Image files as metrics see them, read by several threads ahead of the work on them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from i2i.data.reading.cores import usable_cores
from i2i.errors import DataError
from i2i.files import printable, regular_file
from i2i.images import ValueRange, read_image
from i2i.images.errors import errors_about
from i2i.images.pixels import bleed

READ_AHEAD = 64
"""Images that are read before they are needed."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class EvaluatedImage:
    """An image that metrics are shown.

    Attributes:
        name: in messages and in tables.
        digest: of its content; two images with the same digest have the same pixels.
        load: gives its pixels ``(1, C, H, W)`` float32 in [-1, 1].
    """

    name: str
    digest: str
    load: Callable[[], Tensor]


def read_file(path: Path, needs_pixels: Callable[[str], bool]) -> EvaluatedImage:
    """Reads an image file; transparent pixels get the colour of the nearest visible one, as in training.

    Args:
        path: the file.
        needs_pixels: asked with the digest of its content whether it has to be decoded.

    Raises:
        DataError: it cannot be read, or is no image.
    """
    with errors_about(path):
        content = regular_file(path).read_bytes()  # a pipe would never end
    digest = hashlib.sha256(content).hexdigest()
    if not needs_pixels(digest):
        return EvaluatedImage(printable(path), digest, lambda: _decoded(path, content))
    pixels = _decoded(path, content)
    return EvaluatedImage(printable(path), digest, lambda: pixels)


def _decoded(path: Path, content: bytes) -> Tensor:
    try:
        picture = read_image(content)
    except DataError as error:
        raise DataError(error.reason, kind=error.kind, path=printable(path)) from error
    return as_tensor(picture.pixels if picture.alpha is None else bleed(picture.pixels, picture.alpha))


def as_tensor(pixels: np.ndarray) -> Tensor:
    """Pixels ``(H, W, C)`` of any type at full scale as ``(1, C, H, W)`` float32 in [-1, 1]."""
    if pixels.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float() / 127.5 - 1
    unit = ValueRange(pixels.dtype.name).to_unit(pixels)
    return torch.from_numpy(np.ascontiguousarray(unit.transpose(2, 0, 1)))[None].float() * 2 - 1


def read_ahead(read: Callable[[T], R], things: Sequence[T]) -> Iterator[R | DataError]:
    """Reads things in their order, some of them ahead, by as many threads as there are cores.

    Args:
        read: reads one; called in threads.
        things: what is read.

    Yields:
        Of each what `read` returned, or the `DataError` that it raised.
    """

    def attempt(thing: T) -> R | DataError:
        try:
            return read(thing)
        except DataError as error:
            return error

    waiting: deque[Future[R | DataError]] = deque()
    pool = ThreadPoolExecutor(usable_cores())
    try:
        for thing in things:
            waiting.append(pool.submit(attempt, thing))
            if len(waiting) >= READ_AHEAD:
                yield waiting.popleft().result()
        for result in waiting:
            yield result.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
