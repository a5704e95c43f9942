"""Reading image files without changing what is in them.

The rules, for every format:

- The content decides about the format, not the ending: PNG, JPEG, WebP, TIFF, BMP, GIF, PBM/PGM/PPM/PFM, AVIF, npy.
- Bit depth is kept: 8 and 16 bit integers (1, 2 and 4 bits fill the range of 8, other maxima of PPM that of 8 or 16),
  and floats in [0, 1]. Integers of a TIFF with a sign or more bits are read where they fit into 16 bits without. Floats
  beyond (by more than 0.001) and other integers have no range that all agree on: refused, never clipped; such floats
  are read where the caller knows their range.
- EXIF orientation is applied.
- Grey stays one channel; palette, CMYK, LAB and all other colour becomes RGB. TIFF and npy may have any number of
  bands, all of which are kept.
- Alpha is handed out apart, never multiplied into the colours, and only where the file says that a channel is alpha. A
  colour that stands for transparent counts as alpha, what a GIF's frames leave free, and the last of four channels of
  an npy.
- Embedded ICC profiles: 8-bit images are converted to sRGB (relative colorimetric intent, black point compensation) and
  hand out an sRGB profile. Images with more bits keep their values and their profile. Without a profile, or with a
  broken one, the values are taken as sRGB; CMYK is then converted as 255 - min(255, ink + black) does, roughly. gAMA,
  cHRM, sBIT and cICP of PNG are not looked at.
- Frames and pages are what a viewer shows: put together as their format says. `read_image` gives the first. Thumbnails
  and smaller copies in a TIFF are no pages; a JPEG of several pictures (MPO) is its first.
- Size comes first: more pixels than the limit, or more than the data can hold, are refused from header and file length.
- Nothing incomplete is padded: checksums, lengths, scans and strips are compared, and a decoder's warning is followed
  up. What nobody can see: raw data in which zeros stand for what was lost.

Each file of `i2i.images.formats` says which library decodes the format, and why.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image

from i2i.errors import DataError, ErrorKind, FileError
from i2i.files import printable, regular_file
from i2i.images.errors import errors_about
from i2i.images.exif import exif_block
from i2i.images.formats import FORMATS
from i2i.images.formats.format import MAX_BANDS_PER_PIXEL, START_BYTES, Format, Frame, Limits, OpenedImage
from i2i.images.formats.pillow import orientation_of, palette_indices, picture_arrays
from i2i.images.pixels import every_channel, orient, split_alpha, to_channels
from i2i.images.place import Place
from i2i.images.search import search_folder
from i2i.images.sorts import START_BYTES as SORT_BYTES
from i2i.images.sorts import known_sort

PagesRule = Literal["first", "stack"]
"""Which pages of a file are read: the first, or all as bands of one image."""
MAX_PIXELS = 100_000_000
"""Width times height that is decoded unless more is asked for."""
READABLE = frozenset(ending for row in FORMATS for ending in row.endings)
"""The file endings that `find_images` looks for; `read_image` goes by content."""
ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""A path, the content of an image file, or one that is open for reading bytes."""
_MAX_BUFFERED_BYTES = 1 << 18  # a smaller file is read into memory at once
_OVERSHOOT = 1e-3  # beyond [0, 1]; filters leave that much


@dataclass(frozen=True)
class ImageInfo:
    """Size, channels and depth of an image, from its header.

    Attributes:
        width: in pixels, after EXIF orientation.
        height: in pixels, after EXIF orientation.
        channels: 1 for grey (with or without alpha), 3 for colour, 4 for colour with alpha; other bands: their number.
        bits: bits a channel: 8, 16, or 32 for floats.
    """

    width: int
    height: int
    channels: int
    bits: int


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: ``(H, W, C)``; uint8, uint16 or float32.
        alpha: ``(H, W)`` of the same type where the file has alpha, also when `pixels` holds it as the fourth channel.
        icc: the profile that the values refer to, of sRGB where they were converted; None where the file has none.
        format: name of the file's format, such as ``PNG``; Pillow's where Pillow has one.
        frames: number of frames or pages in the file.
        exif: EXIF data as they may be written again, without orientation, thumbnail and pixel dimensions; with GPS.
            Begins with ``Exif`` and two zeros. None where there is none, or it was not asked for.
        lossless: whether it is coded without loss; only formats that can be both, as WebP, say so.
        indices: ``(H, W)`` uint8, the numbers of the pixels' colours in the palette, as label maps have them; None
            where the file has no palette.
        place: of a TIFF, where the picture lies and how large it is; None where the file does not say so.
        stored_full: the stored number that full scale stands for, such as 15 of 4 bits, where `pixels` are spread over
            a wider range, as label maps are not; 0 where they are as they are stored.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    icc: bytes | None
    format: str
    frames: int = 1
    exif: bytes | None = None
    lossless: bool = False
    indices: np.ndarray | None = None
    place: Place | None = None
    stored_full: int = 0


def image_info(path: str | os.PathLike[str]) -> ImageInfo:
    """Size, channels and bit depth, from the header alone: the data behind it may still be damaged.

    Raises:
        DataError: the file is missing, no regular file, or no image in a known format.
    """
    with errors_about(path), _file(path) as file:
        return _info(_format_of(file).open(file, Limits(MAX_PIXELS, thorough=False)))


def read_image(
    source: ImageSource,
    *,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
    exif: bool = False,
    any_range: bool = False,
    before: Callable[[ImageInfo], None] = lambda info: None,
) -> Picture:
    """Decodes an image file; of several frames or pages the first.

    Args:
        source: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, AVIF or npy (``(H, W)`` or ``(H, W, C)``), told by content. An
            open file is read from its position to its end, and stays open.
        channels: None keeps what is there: 1 for grey, 3 for colour, or all bands; 1 = luma of Rec. 601, 3 = RGB,
            4 = RGBA, opaque where the file has no alpha. A file of other bands has to have as many.
        max_pixels: width times height that is still decoded; more than Pillow's own limit raises that limit.
        exif: whether `Picture.exif` is wanted.
        any_range: whether floats outside of [0, 1] are taken, as a range that is known otherwise tells what they mean.
        before: called with the image's size and depth before anything is decoded; may wait, or raise.

    Returns:
        The picture; its arrays are contiguous, writable and of native byte order.

    Raises:
        DataError: one line with the file and the reason: missing, no regular file, empty, too large, no known format,
            cut off or damaged.
        ValueError: `channels` is none of the above.
    """
    _refuse_channels(channels)
    return next(_pictures(source, _Wanted(channels, max_pixels, exif, any_range), before))


def read_frames(
    path: str | os.PathLike[str],
    *,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
    exif: bool = False,
    any_range: bool = False,
) -> Iterator[Picture]:
    """Decodes all frames or pages of an image file in order, one at a time, each as a viewer would show it.

    Arguments, pictures and errors are those of `read_image`; an error comes when its frame is asked for.
    """
    _refuse_channels(channels)
    return _pictures(path, _Wanted(channels, max_pixels, exif, any_range))


def read_stack(
    source: ImageSource,
    *,
    max_pixels: int = MAX_PIXELS,
    exif: bool = False,
    any_range: bool = False,
    before: Callable[[ImageInfo], None] = lambda info: None,
) -> Picture:
    """Decodes all frames or pages of an image file as bands of one picture, in their order; alpha is a band, too.

    Arguments and errors are those of `read_image`; profile and EXIF data are those of the first. A file of one page is
    read as `read_image` does.

    Raises:
        DataError: besides, pages differ in size or type.
    """
    pages, values = [], 0
    for page in _pictures(source, _Wanted(None, max_pixels, exif, any_range, stacked=True), before):
        pages.append(page)
        values += page.pixels.size
        with errors_about(_name_of(source)):
            if page.pixels.shape[:2] != pages[0].pixels.shape[:2] or page.pixels.dtype != pages[0].pixels.dtype:
                raise FileError(
                    ErrorKind.UNEQUAL_SIZES,
                    f"page {len(pages)} is {_described(page)}, the first {_described(pages[0])}: no bands of one image",
                )
            if values > max_pixels * MAX_BANDS_PER_PIXEL:
                raise FileError(
                    ErrorKind.TOO_LARGE, f"its pages have more values than the limit of {max_pixels} pixels"
                )
    if len(pages) == 1:
        return pages[0]
    stacked = np.concatenate([every_channel(page.pixels, page.alpha) for page in pages], axis=2)
    return replace(pages[0], pixels=stacked, alpha=None)


def _described(page: Picture) -> str:
    height, width = page.pixels.shape[:2]
    return f"{width} x {height} of {page.pixels.dtype}"


def count_frames(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> int:
    """How many frames or pages an image file has, from its headers alone.

    Raises:
        DataError: the file is missing, no regular file, empty, too large, or no image in a known format.
    """
    with errors_about(path), _file(path) as file:
        return _format_of(file).open(file, Limits(max_pixels, thorough=False)).frames


def _refuse_channels(channels: int | None) -> None:
    if channels is not None and channels < 1:
        raise ValueError(f"channels is None or a number from 1, not {channels}")


@dataclass(frozen=True)
class _Wanted:
    """The options of `read_image` of the same names, and whether all frames are wanted at once."""

    channels: int | None
    max_pixels: int = MAX_PIXELS
    exif: bool = False
    any_range: bool = False
    stacked: bool = False


def _pictures(
    source: ImageSource, wanted: _Wanted, before: Callable[[ImageInfo], None] = lambda info: None
) -> Iterator[Picture]:
    with errors_about(_name_of(source)), _opened(source) as file:
        found = _format_of(file)
        opened = found.open(file, Limits(wanted.max_pixels))
        info = _info(opened)
        before(replace(info, channels=info.channels * opened.frames) if wanted.stacked else info)
        for frame in opened.decode():
            pixels, alpha = _upright(frame, opened.orientation, wanted)
            block = exif_block(frame.exif) if wanted.exif else None
            yield Picture(
                pixels,
                alpha,
                frame.icc,
                found.name,
                opened.frames,
                block,
                opened.lossless,
                _upright_indices(frame, opened.orientation),
                frame.place,
                frame.stored_full,
            )


def from_pillow(image: Image.Image, *, channels: int | None = None, any_range: bool = False) -> Picture:
    """Takes over an image that Pillow has opened, by the same rules as files; EXIF orientation is applied.

    Args:
        image: of any mode. Pillow itself has reduced 16-bit colour to 8 bits; 16-bit grey is kept.
        channels: as for `read_image`.
        any_range: as for `read_image`.

    Raises:
        DataError: the data is damaged, or the mode cannot become grey or RGB.
    """
    with errors_about(getattr(image, "filename", "") or "image"):
        image.load()
        frame = Frame(*picture_arrays(image), indices=palette_indices(image))
        return Picture(
            *_upright(frame, orientation_of(image), _Wanted(channels, any_range=any_range)),
            frame.icc,
            image.format or "",
            indices=_upright_indices(frame, orientation_of(image)),
            stored_full=1 if image.mode == "1" else 0,
        )


def find_images(root: str | os.PathLike[str]) -> list[Path]:
    """Files below `root` whose ending is that of an image.

    Hidden files and folders are left out. Links to folders are followed; each folder is looked into once, by its own
    path before any link to it.

    Returns:
        Paths that begin with `root`, sorted by folder and name with numbers by value: ``2.png`` before ``10.png``.

    Raises:
        DataError: `root` is no folder, or a folder cannot be read.
    """
    search = search_folder(root, READABLE)
    for found in search.found:
        if found.kind not in (None, ErrorKind.NOT_AN_IMAGE):
            raise DataError(found.problem, kind=found.kind, path=printable(Path(found.folder, found.name)))
    return [Path(found.folder, found.name) for found in search.found if found.kind is None]


def _info(opened: OpenedImage) -> ImageInfo:
    width, height = opened.upright_size
    return ImageInfo(width, height, opened.channels, opened.bits)


def _name_of(source: ImageSource) -> str | os.PathLike[str]:
    """The name of an image for messages; ``image`` where it has none."""
    if isinstance(source, str | os.PathLike):
        return source
    name = getattr(source, "name", None)  # of a file; some have a number
    return name if isinstance(name, str) else "image"


def _opened(source: ImageSource) -> BinaryIO:
    """A file of the caller's own that holds the image."""
    if isinstance(source, str | os.PathLike):
        return _file(source, _MAX_BUFFERED_BYTES)
    data = source if isinstance(source, bytes | bytearray | memoryview) else source.read()
    if not isinstance(data, bytes | bytearray | memoryview):
        raise FileError(ErrorKind.UNSUPPORTED, "the file is open for text: open it with mode 'rb'")
    if not len(data):
        raise FileError(ErrorKind.EMPTY, "there are no bytes in it")
    return io.BytesIO(data)


def _file(path: str | os.PathLike[str], max_buffered: int = 0) -> BinaryIO:
    """The opened file; one below `max_buffered` bytes is read into memory, as decoders read it in many small steps."""
    file = regular_file(path).open("rb")
    if os.fstat(file.fileno()).st_size >= max_buffered:
        return file
    with file:
        return io.BytesIO(file.read())


def _format_of(file: BinaryIO) -> Format:
    start = file.read(START_BYTES)
    for row in FORMATS:
        if row.matches(start):
            return row
    sort = known_sort(start + file.read(SORT_BYTES - len(start)))
    raise FileError(ErrorKind.NOT_AN_IMAGE, "not an image in a known format" + (f", but {sort}" if sort else ""))


def _upright(frame: Frame, orientation: int, wanted: _Wanted) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels and alpha of a frame, turned as a viewer shows it, with the channels that were asked for."""
    pixels, alpha = split_alpha(orient(frame.pixels, orientation), frame.has_alpha)
    if pixels.dtype.kind == "f":
        refuse_range(pixels, any_range=wanted.any_range)
        if alpha is not None:
            refuse_range(alpha)
    if wanted.channels is None:
        return pixels, alpha
    if pixels.shape[2] == 4 != wanted.channels:  # four bands, none of which is alpha
        raise FileError(ErrorKind.CHANNELS, f"4 bands, and {wanted.channels} are needed")
    return to_channels(pixels, wanted.channels, alpha), alpha


def _upright_indices(frame: Frame, orientation: int) -> np.ndarray | None:
    return None if frame.indices is None else np.ascontiguousarray(orient(frame.indices, orientation))


def refuse_range(values: np.ndarray, *, any_range: bool = False) -> None:
    """Refuses floating-point pixels outside of [0, 1]: clipping would lose information, and other ranges are unknown.

    Args:
        values: pixels, an array of any shape.
        any_range: whether only values that are not finite are refused.

    Raises:
        FileError: a value is not finite, or outside of [0, 1] by more than 0.001.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise FileError(ErrorKind.OUT_OF_RANGE, "has values that are not finite")
    if any_range:
        return
    if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
        raise FileError(
            ErrorKind.OUT_OF_RANGE,
            f"float values from {low:.4g} to {high:.4g}: scale them to [0, 1], or write integers, or train with "
            "data.source_range or data.target_range",
        )
