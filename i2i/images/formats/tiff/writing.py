"""Encoding TIFF. Written here as Pillow has no 16-bit colour and OpenCV neither profiles nor EXIF."""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image, TiffImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Extras
from i2i.images.formats.tiff.pages import Tag
from i2i.images.formats.tiff.tags import described_by, put_tags

_STRIP_BYTES = 1 << 18
_EXIF, _GPS = 0x8769, 0x8825
_INTEROPERABILITY = 0xA005  # an offset into the block that it came from
# The tags of an EXIF block's first directory that describe the picture and not how its pixels are stored.
_ABOUT = {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 700, 33432, 33723, 40091, 40092, 40093, 40094, 40095}


def encode_tiff(pixels: np.ndarray, extras: Extras) -> bytes:
    """One page in deflated strips.

    Args:
        pixels: ``(H, W, C)``; uint8, uint16 or float32. Other than grey, RGB and RGBA are bands, stored as grey with
            further samples, as GDAL and tifffile do.
        extras: profile and EXIF block to embed.
    """
    height, width, channels = pixels.shape
    integer = pixels.dtype.kind == "u"
    if integer:  # differences along the row (predictor 2), which wrap around
        pixels = np.concatenate([pixels[:, :1], pixels[:, 1:] - pixels[:, :-1]], axis=1)
    pixels = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    rows = max(1, _STRIP_BYTES // pixels[0].nbytes)
    strips = [zlib.compress(pixels[top : top + rows].tobytes(), 1) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    if sum(sizes) >= 1 << 32:
        raise FileError(ErrorKind.TOO_LARGE, "more than 4 GB are too much for TIFF")
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    if extras.exif is not None:
        _take_over(tags, extras.exif)
        if described_by(tags.get(270, "")):  # a description of the pixels of another file
            del tags[270]
    put_tags(tags, extras.tags)
    tags[Tag.WIDTH], tags[Tag.HEIGHT] = width, height
    tags[Tag.BITS] = (pixels.dtype.itemsize * 8,) * channels
    tags[Tag.COMPRESSION] = 8  # Adobe deflate
    alpha = channels == 4 and not extras.bands
    tags[Tag.PHOTOMETRIC] = 2 if channels == 3 or alpha else 1  # RGB, black is zero
    tags[Tag.STRIP_OFFSETS] = tuple(
        int(start) for start in np.cumsum([0, *sizes[:-1]])
    )  # `save` adds where the strips begin
    tags[Tag.SAMPLES], tags[Tag.ROWS_PER_STRIP], tags[Tag.STRIP_BYTES] = channels, rows, tuple(sizes)
    tags[Tag.PLANAR], tags[Tag.PREDICTOR] = 1, 2 if integer else 1
    if alpha:
        tags[Tag.EXTRA_SAMPLES] = 2  # not multiplied into the colours
    elif channels not in (1, 3):
        tags[Tag.EXTRA_SAMPLES] = (0,) * (channels - 1)  # of no meaning that TIFF has a number for
    tags[Tag.SAMPLE_FORMAT] = (1 if integer else 3,) * channels
    if extras.icc is not None:
        tags[Tag.ICC_PROFILE] = extras.icc
    buffer = io.BytesIO()
    tags.save(buffer)
    return buffer.getvalue() + b"".join(strips)


def _take_over(tags: TiffImagePlugin.ImageFileDirectory_v2, exif: bytes) -> None:
    """Puts the descriptions of an EXIF block, and its EXIF and GPS directories, among the tags."""
    source = TiffImagePlugin.ImageFileDirectory_v2(exif[:8])
    file = io.BytesIO(exif)
    file.seek(source.next)
    source.load(file)
    for tag in sorted(_ABOUT & set(source)):
        tags.tagtype[tag] = source.tagtype[tag]
        tags[tag] = source[tag]
    whole = Image.Exif()
    whole.load(exif)
    for tag in (_EXIF, _GPS):
        directory = {key: value for key, value in whole.get_ifd(tag).items() if key != _INTEROPERABILITY}
        if directory:
            tags[tag] = directory
