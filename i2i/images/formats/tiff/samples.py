"""The values of a TIFF page as they are stored, any number of them a pixel.

Pillow knows few of these kinds, cuts colour of 16 bits to 8 and drops what it has no mode for. So libtiff (through
Pillow) only unpacks the bytes, as if they were a grey image; types, channels, predictors and orientation are applied
here.
"""

from __future__ import annotations

import numpy as np
from PIL import TiffImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.tiff.layout import Layout, long_integers, with_parts
from i2i.images.formats.tiff.pages import Page, Tag
from i2i.images.pixels import FULL_SCALE, orient

_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}  # of tag 339; 4 is "undefined"


def stored_type(page: Page) -> np.dtype:
    """Type of the values in the file; raises FileError for one that there is not, such as integers of 12 bits."""
    kind, bits = _KINDS.get(page.value(Tag.SAMPLE_FORMAT, 1), ""), page.bits[0]
    if bits not in {"u": (8, 16, 32, 64), "i": (8, 16, 32, 64), "f": (16, 32, 64)}.get(kind, ()):
        raise FileError(ErrorKind.UNSUPPORTED, f"TIFF with values of {bits} bits and this sample format is not read")
    return np.dtype(f"{page.order}{kind}{bits // 8}")


def read_type(page: Page) -> np.dtype:
    """Type of the values once they are read: uint8, uint16 or float32."""
    stored = stored_type(page)
    return np.dtype(np.float32 if stored.kind == "f" else np.uint8 if stored.itemsize == 1 else np.uint16)


def stored_pixels(page: Page) -> np.ndarray:
    """Pixels ``(H, W, bands)``, or with alpha behind the bands; uint8, uint16 or float32, upright.

    Alpha is not multiplied into the colours.

    Raises:
        FileError: the data are damaged, or integers of more than 16 bits or with a sign do not fit into 16 without.
    """
    layout, stored = Layout(page), stored_type(page)
    per_plane = 1 if layout.planes > 1 else page.samples
    parts = layout.across * layout.down
    planes = [
        _unpredicted(
            page,
            _unpacked(page, layout, slice(plane * parts, (plane + 1) * parts), stored.itemsize * per_plane),
            layout,
            stored,
            per_plane,
        )
        for plane in range(layout.planes)
    ]
    pixels = planes[0] if len(planes) == 1 else np.dstack(planes)
    pixels = _in_type(pixels[: page.height, : page.width], read_type(page))
    if page.value(Tag.PHOTOMETRIC, 1) == 0:  # white is zero
        pixels[..., : page.colours] = np.iinfo(pixels.dtype).max - pixels[..., : page.colours]
    return orient(_alpha_last(pixels, page), page.value(Tag.ORIENTATION, 1))


def _in_type(pixels: np.ndarray, wanted: np.dtype) -> np.ndarray:
    if pixels.dtype.kind != "f" and pixels.dtype.newbyteorder("=") != wanted:
        low, high, limit = int(pixels.min()), int(pixels.max()), np.iinfo(wanted).max
        if low < 0 or high > limit:
            raise FileError(
                ErrorKind.OUT_OF_RANGE,
                f"integers of {pixels.itemsize * 8} bits from {low} to {high}: only 0 to {limit} can be read; "
                "scale them, or write floats in [0, 1]",
            )
    with np.errstate(all="ignore"):  # floats that become infinite are refused later
        return pixels.astype(wanted)


def _alpha_last(pixels: np.ndarray, page: Page) -> np.ndarray:
    """Puts alpha behind the bands; colours that are multiplied by it are divided by it."""
    if pixels.shape[2] < page.colours:
        raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF with too few channels")
    if page.alpha is None:
        return pixels
    bands, alpha = np.delete(pixels, page.alpha, axis=2), pixels[..., page.alpha, np.newaxis]
    if page.values(Tag.EXTRA_SAMPLES)[page.alpha - page.colours] == 1 and page.bands == page.colours:
        full = FULL_SCALE[pixels.dtype]
        scaled = np.minimum(bands * (full / np.maximum(alpha.astype(np.float64), full / 65535)), full)
        bands = (scaled if pixels.dtype.kind == "f" else np.rint(scaled)).astype(pixels.dtype)
    return np.dstack([bands, alpha])


def _unpacked(page: Page, layout: Layout, parts: slice, pixel_bytes: int) -> np.ndarray:
    """Bytes ``(rows, bytes of a row)`` of one plane, whole tiles, unpacked by libtiff but not yet given a meaning."""
    width = layout.across * layout.width * pixel_bytes
    height = layout.down * layout.height if layout.tiled else page.height
    tags = {
        Tag.WIDTH: width,
        Tag.HEIGHT: height,
        Tag.BITS: 8,
        Tag.COMPRESSION: page.value(Tag.COMPRESSION, 1),
        Tag.PHOTOMETRIC: 1,
        Tag.FILL_ORDER: page.value(Tag.FILL_ORDER, 1),
        Tag.SAMPLES: 1,
    }
    tags |= (
        {Tag.TILE_WIDTH: layout.width * pixel_bytes, Tag.TILE_HEIGHT: layout.height}
        if layout.tiled
        else {Tag.ROWS_PER_STRIP: layout.height}
    )
    fields: dict[int, tuple[int, bytes]] = {tag: (4, long_integers([value], "<")) for tag, value in tags.items()}
    return np.asarray(TiffImagePlugin.TiffImageFile(with_parts(page, layout, parts, fields, "<")))


def _unpredicted(page: Page, packed: np.ndarray, layout: Layout, stored: np.dtype, samples: int) -> np.ndarray:
    """Undoes the differences along rows (predictors 2 and 3) within each strip or tile: ``(H, W, samples)``."""
    predictor, rows = page.value(Tag.PREDICTOR, 1), len(packed)
    blocks = np.ascontiguousarray(packed).reshape(rows, layout.across, layout.width, samples, stored.itemsize)
    if predictor == 3 and stored.kind == "f":
        flat = np.cumsum(blocks.reshape(rows, layout.across, -1, samples), axis=2, dtype=np.uint8)
        planes = flat.reshape(rows, layout.across, stored.itemsize, layout.width, samples)  # highest byte first
        values = np.ascontiguousarray(np.moveaxis(planes, 2, -1)).view(stored.newbyteorder(">"))[..., 0]
    else:
        values = blocks.view(stored)[..., 0]
        if predictor == 2:
            whole = values.view(f"{page.order}u{stored.itemsize}").astype(f"u{stored.itemsize}")
            values = np.cumsum(whole, axis=2, dtype=whole.dtype).view(stored.newbyteorder("="))
        elif predictor != 1:
            raise FileError(ErrorKind.UNSUPPORTED, f"TIFF with predictor {predictor} is not read")
    return values.reshape(rows, layout.across * layout.width, samples)
