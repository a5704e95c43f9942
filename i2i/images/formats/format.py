"""What all formats have in common: how each describes itself, an opened file, and a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image

from i2i.images.place import Place, StoredTag


@dataclass(frozen=True)
class Limits:
    """How large an image may be, and how much of its file is checked.

    Attributes:
        max_pixels: width times height that is still decoded.
        thorough: whether all data are looked through for what decoders do not notice, as must be done before decoding;
            without it, the header alone is read.
    """

    max_pixels: int
    thorough: bool = True


@dataclass(frozen=True)
class Frame:
    """A decoded frame or page.

    Attributes:
        pixels: ``(H, W, C)`` before `OpenedImage.orientation`: grey, RGB or any number of bands, and straight alpha
            behind them; uint8, uint16 or float32.
        icc: the profile that the values refer to, of sRGB where they were converted; None where the file has none.
        exif: reads the frame's EXIF data; None where the format has none.
        has_alpha: whether the last channel is alpha; None: of 2 and 4 channels it is.
        indices: ``(H, W)`` uint8, before `OpenedImage.orientation`: the numbers of the pixels' colours in the palette;
            None where there is no palette.
        place: where the picture lies, and how large it is; None where the file does not say so.
        stored_full: the stored number that full scale stands for, such as 15 of 4 bits, where `pixels` are spread over
            a wider range; 0 where they are as they are stored.
    """

    pixels: np.ndarray
    icc: bytes | None = None
    exif: Callable[[], Image.Exif] | None = None
    has_alpha: bool | None = None
    indices: np.ndarray | None = None
    place: Place | None = None
    stored_full: int = 0


@dataclass(frozen=True)
class OpenedImage:
    """An image file whose header has been read.

    Attributes:
        width: in pixels as stored, before `orientation` is applied.
        height: in pixels as stored.
        channels: 1 grey (with or without alpha), 3 colour, 4 colour with alpha; of other bands their number.
        bits: bits a channel: 8, 16, or 32 for floats.
        decode: decodes the frames or pages in order, each when it is asked for.
        frames: number of frames or pages in the file.
        orientation: number of EXIF's orientation tag; 1 where frames are decoded upright.
        lossless: whether the picture, or its first frame, is coded without loss; only formats that can be both say so.
    """

    width: int
    height: int
    channels: int
    bits: int
    decode: Callable[[], Iterator[Frame]]
    frames: int = 1
    orientation: int = 1
    lossless: bool = False

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height after `orientation` is applied."""
        return (self.height, self.width) if self.orientation in (5, 6, 7, 8) else (self.width, self.height)


@dataclass(frozen=True)
class Extras:
    """What is written beside the pixels, as far as a format can hold it.

    Attributes:
        icc: profile to embed.
        exif: EXIF block, beginning with its TIFF header.
        lossless: whether a format that can be both is coded without loss.
        bands: whether the channels are bands, so that the last of four is not alpha.
        tags: of a TIFF, by number.
        palette: colours of the values of a label map, which PNG keeps as such: red, green and blue of each from 0 on.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    lossless: bool = False
    bands: bool = False
    tags: Mapping[int, StoredTag] = field(default_factory=dict)
    palette: Sequence[tuple[int, int, int]] = ()


@dataclass(frozen=True)
class Encoder:
    """How files with certain endings are written.

    Attributes:
        name: as messages give it.
        endings: file endings in lower case with their dot.
        encode: makes a file's content of contiguous pixels ``(H, W, C)`` that fit the other attributes.
        channels: the numbers of channels that it can hold; empty: any.
        dtypes: names of the value types that it can hold, fewest bits first; empty: any.
        max_side: largest width or height in pixels; None: no limit worth asking.
        stores_grey: whether grey stays one channel; otherwise it becomes RGB before.
    """

    name: str
    endings: tuple[str, ...]
    encode: Callable[[np.ndarray, Extras], bytes]
    channels: tuple[int, ...] = ()
    dtypes: tuple[str, ...] = ()
    max_side: int | None = None
    stores_grey: bool = True


@dataclass(frozen=True)
class Format:
    """How files of one format are recognised, read and written.

    Attributes:
        name: as `Picture.format` gives it; Pillow's name where Pillow has one.
        endings: file endings that images of the format are looked for by, in lower case with their dot.
        matches: whether a file that begins with these bytes (`START_BYTES`, or the whole file) is of the format.
        open: reads the header and refuses what is damaged, cut off, too large or not read. Raises `FileError`;
            other exceptions of libraries mean damaged data.
        encoders: how it is written; empty where it is read only.
    """

    name: str
    endings: tuple[str, ...]
    matches: Callable[[bytes], bool]
    open: Callable[[BinaryIO, Limits], OpenedImage]
    encoders: tuple[Encoder, ...] = ()


MAX_BANDS_PER_PIXEL = 16
"""Values of a pixel that count as one where the number of pixels is limited."""
START_BYTES = 64
"""How many bytes of a file `Format.matches` gets."""
