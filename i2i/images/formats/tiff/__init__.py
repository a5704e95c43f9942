"""TIFF and BigTIFF: directories are read here, Pillow decodes 8 bits, libtiff unpacks deeper values, numpy encodes.

Pages are what a viewer shows: thumbnails and smaller copies do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import Encoder, Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_size
from i2i.images.formats.pillow import picture_arrays
from i2i.images.formats.tiff.deep import deep_pixels
from i2i.images.formats.tiff.layout import refuse_missing_data, single_page
from i2i.images.formats.tiff.pages import STARTS, Page, Tag, tiff_pages
from i2i.images.formats.tiff.writing import encode_tiff

_JPEG, _OLD_JPEG = 7, 6
_DEEP_COMPRESSIONS = (1, 5, 8, 32946, 32773, 34925, 50000)  # none, LZW, deflate (two), PackBits, LZMA, Zstandard


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    pages = tiff_pages(file)
    page = pages[0]
    _check(page, limits)
    colour = page.value(Tag.PHOTOMETRIC, 1) not in (0, 1, 4)
    alpha = (page.values(Tag.EXTRA_SAMPLES) or [0])[0] in (1, 2) and page.samples > (3 if colour else 1)
    return OpenedImage(
        *_upright_size(page),
        channels=(4 if alpha else 3) if colour else 1,
        bits=8 if not page.is_deep else 32 if page.value(Tag.SAMPLE_FORMAT, 1) == 3 else 16,
        decode=lambda: _decode(pages, limits),
        frames=len(pages),
    )


def _upright_size(page: Page) -> tuple[int, int]:
    """Width and height once the orientation is applied, as decoding does."""
    return (page.height, page.width) if page.turned else (page.width, page.height)


def _check(page: Page, limits: Limits) -> None:
    refuse_size(*_upright_size(page), limits.max_pixels)
    _refuse_unknown(page)
    if limits.thorough:
        refuse_missing_data(page)


def _refuse_unknown(page: Page) -> None:
    """Raises FileError for combinations of tags that neither Pillow nor the code here reads right."""
    kinds, bits, colours = page.values(Tag.SAMPLE_FORMAT) or [1], page.bits, page.value(Tag.PHOTOMETRIC, 1)
    compression = page.value(Tag.COMPRESSION, 1)
    if compression == _OLD_JPEG:
        raise FileError(ErrorKind.UNSUPPORTED, "TIFF with JPEG data of the old kind is not read")
    if len(set(bits)) > 1 or len(set(kinds)) > 1:
        raise FileError(ErrorKind.UNSUPPORTED, "TIFF with channels of different types is not read")
    if page.is_deep:
        known = (kinds[0], bits[0]) in ((1, 16), (3, 16), (3, 32), (3, 64)) and compression in _DEEP_COMPRESSIONS
        known = known and (colours in (1, 2) or (colours == 0 and kinds[0] == 1)) and page.samples <= 16
    else:
        known = kinds[0] in (1, 4) and (
            colours != 6 or compression == _JPEG or page.values(Tag.YCBCR_SUBSAMPLING) == [1, 1]
        )
    if not known:
        raise FileError(
            ErrorKind.UNSUPPORTED,
            f"TIFF with {bits[0]} bits, sample format {kinds[0]}, photometric interpretation {colours} "
            f"and compression {compression} is not read",
        )


def _decode(pages: list[Page], limits: Limits) -> Iterator[Frame]:
    for page in pages:
        _check(page, limits)
        exif = partial(_exif, page)
        if page.is_deep:
            yield Frame(deep_pixels(page), page.raw(Tag.ICC_PROFILE) or None, exif)
        else:
            with TiffImagePlugin.TiffImageFile(single_page(page)) as image:
                image.load()
                yield Frame(*picture_arrays(image), exif)


def _exif(page: Page) -> Image.Exif:
    exif = Image.Exif()
    exif.endian, exif.bigtiff = page.order, page.big
    exif.load_from_fp(page.file, page.offset)
    return exif


_ENDINGS = (".tif", ".tiff")

TIFF = Format(
    name="TIFF",
    endings=_ENDINGS,
    matches=lambda start: start.startswith(STARTS),
    open=_open,
    encoders=(Encoder("TIFF", _ENDINGS, encode_tiff, channels=(1, 3, 4), dtypes=("uint8", "uint16", "float32")),),
)
