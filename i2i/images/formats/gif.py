"""GIF: which frames there are, and how they are put together as browsers do it.

Pillow unpacks single frames. It would fill what a first frame leaves free with a colour of the palette.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_too_few_bytes
from i2i.images.formats.pillow import channels_of, open_by_pillow, opened_by_pillow

_MAX_EXPANSION = 3000  # pixels that a byte of LZW can unpack to: 4096 pixels in 12 bits, rounded up
_MAX_FRAMES = 100_000


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    file.seek(0)
    data = file.read()
    gif = _Gif(data)
    image = open_by_pillow(file, "GIF", limits)
    refuse_too_few_bytes(image.width * image.height, len(data))
    channels = 4 if channels_of(image) == 3 and not gif.covered else channels_of(image)
    decode = partial(_decode, gif, channels, image.getexif)
    return opened_by_pillow(image, channels=channels, frames=len(gif.frames), decode=decode)


def _decode(gif: _Gif, channels: int, exif: Callable[[], Image.Exif]) -> Iterator[Frame]:
    indices = gif.indices()
    for screen in gif.pictures():
        opaque = bool((screen[..., 3] == 255).all())
        if channels == 1 and opaque and np.ptp(screen[..., :3], axis=2).max() == 0:
            yield Frame(screen[..., :1], exif=exif, indices=indices)
        else:
            yield Frame(screen if channels == 4 or not opaque else screen[..., :3], exif=exif, indices=indices)
        indices = None  # later frames are put together of several, each with a palette of its own


@dataclass(frozen=True)
class _Part:
    """A frame as it lies in the file.

    Attributes:
        left: position on the screen in pixels.
        top: position on the screen in pixels.
        width: in pixels.
        height: in pixels.
        control: its graphic control extension; empty where it has none.
        start: where its image descriptor begins in the file.
        end: where its data end in the file.
    """

    left: int
    top: int
    width: int
    height: int
    control: bytes
    start: int
    end: int

    @property
    def transparent(self) -> bool:
        """Whether one of its colours stands for transparent."""
        return bool(self.control and self.control[3] & 1)

    @property
    def disposal(self) -> int:
        """What becomes of the frame before the next one: 2 = cleared, 3 = what was there before comes back."""
        return (self.control[3] >> 2) & 7 if self.control else 0


class _Gif:
    """The frames of a GIF, from the structure alone.

    Args:
        data: the whole file.

    Attributes:
        width: of the screen in pixels.
        height: of the screen in pixels.
        frames: in order.

    Raises:
        FileError: it is cut off, has no frame, or a frame promises more pixels than its data can hold.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        try:
            self.width, self.height, flags = struct.unpack_from("<HHB", data, 6)
            self.start = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
            self.frames = list(self._walk())
        except (IndexError, struct.error):
            raise FileError(ErrorKind.CUT_OFF, "cut off: the end of the GIF is missing") from None
        if not self.frames:
            raise FileError(ErrorKind.CUT_OFF, "cut off: a GIF without a frame")
        for frame in self.frames:
            if frame.width * frame.height > _MAX_EXPANSION * (frame.end - frame.start):
                raise FileError(ErrorKind.IMPLAUSIBLE, "damaged: a GIF frame promises more than its data can hold")

    @property
    def covered(self) -> bool:
        """Whether the first frame has a colour everywhere."""
        return self._fills_screen(self.frames[0]) and not self.frames[0].transparent

    def indices(self) -> np.ndarray | None:
        """Numbers in the palette, ``(H, W)`` uint8, of a first frame that fills the screen; None of a smaller one."""
        if not self._fills_screen(self.frames[0]):
            return None
        image = self._image(self.frames[0])
        return np.array(image)[: self.height, : self.width] if image.mode in ("P", "L") else None

    def _fills_screen(self, frame: _Part) -> bool:
        return frame.left == frame.top == 0 and frame.width >= self.width and frame.height >= self.height

    def _walk(self) -> Iterator[_Part]:
        data, at, control, found = self.data, self.start, b"", 0
        while at < len(data) and data[at] != 0x3B:  # many files end without the trailer
            if data[at] == 0x21:
                end = self._blocks(at + 2)
                if data[at + 1] == 0xF9 and data[at + 2] >= 4:
                    control = data[at : at + 8]
                at = end
            elif data[at] == 0x2C:
                left, top, width, height, flags = struct.unpack_from("<HHHHB", data, at + 1)
                end = self._blocks(at + 10 + (3 << (flags & 7) + 1 if flags & 128 else 0) + 1)
                yield _Part(left, top, width, height, control, at, end)
                at, control, found = end, b"", found + 1
                if found > _MAX_FRAMES:
                    raise FileError(ErrorKind.TOO_LARGE, f"more than {_MAX_FRAMES} frames")
            else:
                raise FileError(ErrorKind.DAMAGED, "damaged: no GIF block where one should be")

    def _blocks(self, at: int) -> int:
        """The position behind a chain of data blocks."""
        while self.data[at]:
            at += self.data[at] + 1
        return at + 1

    def pictures(self) -> Iterator[np.ndarray]:
        """The screen after each frame, ``(H, W, 4)``, transparent where nothing was drawn."""
        screen = np.zeros((self.height, self.width, 4), np.uint8)
        for frame in self.frames:
            before = screen.copy() if frame.disposal == 3 else screen
            area = screen[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
            drawn = self._drawn(frame)[: area.shape[0], : area.shape[1]]
            area[:] = np.where(drawn[..., 3:] > 0, drawn, area) if frame.transparent else drawn
            yield screen.copy()
            if frame.disposal == 2:
                area[:] = 0
            screen = before

    def _drawn(self, frame: _Part) -> np.ndarray:
        """The frame alone, ``(h, w, 4)``."""
        return np.asarray(self._image(frame).convert("RGBA"))

    def _image(self, frame: _Part) -> Image.Image:
        """The frame alone, as Pillow decodes it."""
        head = bytearray(self.data[: self.start])
        head[6:10] = struct.pack("<HH", frame.width, frame.height)
        body = bytearray(self.data[frame.start : frame.end])
        body[1:5] = b"\0\0\0\0"
        if frame.control:
            head += frame.control
        return GifImagePlugin.GifImageFile(io.BytesIO(bytes(head + body + b";")))


GIF = Format(
    name="GIF",
    endings=(".gif",),
    matches=lambda start: start.startswith((b"GIF87a", b"GIF89a")),
    open=_open,
)
