"""Reading and writing image files, without changing what is in them. Imports no torch.

The rules, for every format:

- Bit depth is kept: 8 and 16 bit integers, and floats, which are left as they are (usually in [0, 1]).
- EXIF orientation is applied. Of several frames or pages the first is read.
- Grey stays one channel; palette, CMYK and all other colour becomes RGB; alpha is handed out apart.
- Embedded ICC profiles: 8-bit images are converted to sRGB (relative colorimetric intent, black point compensation).
  Images with more bits keep their values and hand out the profile.
- Nothing is decoded before the header has shown that the image is not too large, and nothing incomplete is padded.

Pillow detects the format, and decodes 8 bits. It would clip 16-bit colour, so OpenCV decodes that, after Pillow has
found the data complete: OpenCV pads some formats in silence.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from i2i.data.image_decoding import decode, picture_arrays
from i2i.data.image_errors import Unfit, named, regular_file
from i2i.data.image_headers import Header, read_header
from i2i.data.image_writing import WRITABLE, can_hold, write_image
from i2i.data.pixels import orient, split_alpha, to_channels, to_dtype

__all__ = [
    "READABLE",
    "WRITABLE",
    "ImageInfo",
    "Picture",
    "can_hold",
    "find_images",
    "from_pillow",
    "image_info",
    "read_image",
    "to_channels",
    "to_dtype",
    "write_image",
]

MAX_PIXELS = 100_000_000
READABLE = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".avif", ".npy"}
)
"""The file endings that `find_images` looks for; `read_image` goes by content."""


@dataclass(frozen=True)
class ImageInfo:
    """What a file's header tells.

    Attributes:
        width: in pixels, after EXIF orientation.
        height: in pixels, after EXIF orientation.
        channels: 1 for grey (with or without alpha), 3 for colour, 4 for colour with alpha.
        bits: a channel: 8, 16, or 32 for floats.
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
        icc: the profile that the values still refer to; None when they are sRGB or the file does not say.
        format: the name that Pillow has for it, or ``NPY``.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    icc: bytes | None
    format: str


def image_info(path: str | os.PathLike[str]) -> ImageInfo:
    """Size, channels and bit depth, from the header alone: the data behind it may still be damaged.

    Raises:
        DataError: the file is missing, no regular file, or no image in a known format.
    """
    with named(path), _opened(path) as file:
        header = read_header(file, MAX_PIXELS)
        width, height = header.upright_size
        return ImageInfo(width, height, header.channels, header.bits)


def read_image(path: str | os.PathLike[str], *, channels: int | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes an image file.

    Args:
        path: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, AVIF or npy (``(H, W)`` or ``(H, W, C)``), told by content.
        channels: None keeps grey at 1 and gives all else 3; 1 = luma of Rec. 601, 3 = RGB, 4 = RGBA, opaque where the
            file has no alpha.
        max_pixels: width times height that is still decoded; more than Pillow's own limit raises that limit.

    Returns:
        The picture; its arrays are contiguous, writable and of native byte order.

    Raises:
        DataError: one line with the file and the reason: missing, no regular file, empty, too large, no known format,
            cut off or damaged.
        ValueError: `channels` is none of the above.
    """
    if channels not in (None, 1, 3, 4):
        raise ValueError(f"channels is None, 1, 3 or 4, not {channels}")
    with named(path), _opened(path) as file:
        header = read_header(file, max_pixels)
        _refuse_bomb(header, max_pixels)
        stored, icc = decode(file, header)
        return _picture(stored, header.orientation, icc, header.format, channels)


def from_pillow(image: Image.Image, *, channels: int | None = None) -> Picture:
    """Takes over an image that Pillow has opened, by the same rules as files; EXIF orientation is applied.

    Args:
        image: of any mode. Pillow itself has reduced 16-bit colour to 8 bits; 16-bit grey is kept.
        channels: as for `read_image`.

    Raises:
        DataError: the data is damaged, or the mode cannot become grey or RGB.
    """
    with named(getattr(image, "filename", "") or "image"):
        image.load()
        orientation = image.getexif().get(0x0112, 1)
        stored, icc = picture_arrays(image)
        return _picture(stored, orientation, icc, image.format or "", channels)


def find_images(root: str | os.PathLike[str]) -> list[Path]:
    """Files below `root` whose ending is that of an image.

    Hidden files and folders are left out. Links to folders are followed; each folder is looked into once, by its own
    path before any link to it.

    Returns:
        Paths that begin with `root`, sorted by folder and name with numbers by value: ``2.png`` before ``10.png``.

    Raises:
        DataError: `root` is no folder, or a folder cannot be read.
    """
    folders, links = deque([Path(root)]), deque[Path]()
    seen: set[tuple[int, int]] = set()
    found: list[Path] = []
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        with named(folder):
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                path = folder / entry.name
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    (links if entry.is_symlink() else folders).append(path)
                elif path.suffix.lower() in READABLE:
                    found.append(path)
    return sorted(found, key=natural_order)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: reading it as a file will name it
        return False


def natural_order(path: Path) -> list[list[tuple[int, int, str]]]:
    """Sort key of a path in which numbers count by their value, unique to each path."""
    parts = [[_piece(text) for text in re.split(r"(\d+)", part) if text] for part in path.parts]
    return [*parts, [(2, 0, str(path))]]


def _piece(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if text.isascii() and text.isdigit() else (1, 0, text)


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    return regular_file(path).open("rb")


def _refuse_bomb(header: Header, max_pixels: int) -> None:
    if header.width * header.height > max_pixels:
        raise Unfit(f"{header.width} x {header.height} pixels are more than the limit of {max_pixels}")


def _picture(stored: np.ndarray, orientation: int, icc: bytes | None, format: str, channels: int | None) -> Picture:
    pixels, alpha = split_alpha(orient(stored, orientation))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise Unfit("has values that are not finite")
    if channels is not None:
        pixels = to_channels(pixels, channels, alpha)
    return Picture(pixels, alpha, icc, format)
