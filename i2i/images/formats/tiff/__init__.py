"""TIFF and BigTIFF: directories are read here, Pillow decodes grey and colour of 8 bits, numpy encodes.

Of all else, more bits or any number of bands, libtiff only unpacks the values. tifffile was considered: without
imagecodecs (60 MB, compiled) it reads no LZW, Zstandard or JPEG, and some damaged files never end in it.

Pages are what a viewer shows: thumbnails and smaller copies do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.format import MAX_BANDS_PER_PIXEL, Encoder, Format, Frame, Limits, OpenedImage
from i2i.images.formats.limits import refuse_size
from i2i.images.formats.pillow import palette_indices, picture_arrays
from i2i.images.formats.tiff.layout import refuse_missing_data, single_page
from i2i.images.formats.tiff.pages import STARTS, Page, Tag, tiff_pages
from i2i.images.formats.tiff.samples import read_type, stored_pixels, stored_type
from i2i.images.formats.tiff.tags import place_of
from i2i.images.formats.tiff.writing import encode_tiff

_JPEG, _OLD_JPEG = 7, 6
_UNPACKED = (1, 5, 8, 32946, 32773, 34925, 50000)  # none, LZW, deflate (two), PackBits, LZMA, Zstandard
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6  # photometric interpretations


def _open(file: BinaryIO, limits: Limits) -> OpenedImage:
    pages = tiff_pages(file)
    page = pages[0]
    _check(page, limits)
    alpha = page.alpha is not None
    by_values = _is_read_by_values(page)
    bands = page.bands if by_values else 1 if page.value(Tag.PHOTOMETRIC, 1) in (0, 1, 4) else 3
    return OpenedImage(
        *_upright_size(page),
        channels=1 if bands == 1 else bands + alpha,
        bits=read_type(page).itemsize * 8 if by_values else 8,
        decode=lambda: _decode(pages, limits),
        frames=len(pages),
    )


def _upright_size(page: Page) -> tuple[int, int]:
    """Width and height once the orientation is applied, as decoding does."""
    return (page.height, page.width) if page.turned else (page.width, page.height)


def _is_read_by_values(page: Page) -> bool:
    """Whether the code here makes pixels of the values; otherwise Pillow does: grey, RGB and more of 8 bits."""
    if page.is_deep:
        return True
    colours = page.value(Tag.PHOTOMETRIC, 1)
    usual = page.bands == page.colours and page.alpha in (None, page.samples - 1)
    usual &= page.samples != 2 or (colours == _BLACK_IS_ZERO and page.value(Tag.PLANAR, 1) == 1)
    signed = page.value(Tag.SAMPLE_FORMAT, 1) == 2
    return page.bits[0] == 8 and colours in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) and (signed or not usual)


def _check(page: Page, limits: Limits) -> None:
    refuse_size(*_upright_size(page), limits.max_pixels)
    if (values := page.width * page.height * page.samples) > limits.max_pixels * MAX_BANDS_PER_PIXEL:
        raise FileError(ErrorKind.TOO_LARGE, f"{values} values are more than the limit of {limits.max_pixels} pixels")
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
    if _is_read_by_values(page):
        stored = stored_type(page)
        known = compression in _UNPACKED and (
            colours in (_BLACK_IS_ZERO, _RGB) or (colours == _WHITE_IS_ZERO and stored.kind == "u")
        )
    else:
        more = page.samples > page.colours + (page.alpha is not None)  # such as a spot colour beside CMYK
        known = (
            kinds[0] in (1, 4)
            and not more
            and (colours != _YCBCR or compression == _JPEG or page.values(Tag.YCBCR_SUBSAMPLING) == [1, 1])
        )
    if not known:
        raise FileError(
            ErrorKind.UNSUPPORTED,
            f"TIFF with {page.samples} channels of {bits[0]} bits, sample format {kinds[0]}, photometric "
            f"interpretation {colours} and compression {compression} is not read",
        )


def _decode(pages: list[Page], limits: Limits) -> Iterator[Frame]:
    for page in pages:
        _check(page, limits)
        exif = partial(_exif, page)
        if _is_read_by_values(page):
            pixels, icc = stored_pixels(page), page.raw(Tag.ICC_PROFILE) or None
            yield Frame(pixels, icc, exif, has_alpha=page.alpha is not None, place=place_of(page))
        else:
            with _opened_by_pillow(page) as image:
                image.load()
                pixels, icc = picture_arrays(image)
                indices, place = palette_indices(image), place_of(page)
                full = 2 ** page.bits[0] - 1 if page.bits[0] < 8 and indices is None else 0
                yield Frame(pixels, icc, exif, indices=indices, place=place, stored_full=full)


def _opened_by_pillow(page: Page) -> TiffImagePlugin.TiffImageFile:
    try:
        return TiffImagePlugin.TiffImageFile(single_page(page))
    except (SyntaxError, LookupError) as error:  # how Pillow says that it has no mode for it
        raise FileError(
            ErrorKind.UNSUPPORTED,
            f"TIFF with {page.samples} channels of {page.bits[0]} bits and photometric interpretation "
            f"{page.value(Tag.PHOTOMETRIC, 1)} is not read",
        ) from error


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
    encoders=(Encoder("TIFF", _ENDINGS, encode_tiff, dtypes=("uint8", "uint16", "float32")),),
)
