"""The pixels of a TIFF page with more than 8 bits.

Pillow knows few of these kinds and cuts colour to 8 bits. So libtiff (through Pillow) only unpacks the bytes, as if
they were a grey image; types, channels, predictors and orientation are applied here.
"""

from __future__ import annotations

import numpy as np
from PIL import TiffImagePlugin

from i2i.errors import ErrorKind, FileError
from i2i.images.formats.tiff.layout import Layout, long_integers, with_parts
from i2i.images.formats.tiff.pages import Page, Tag
from i2i.images.pixels import orient


def deep_pixels(page: Page) -> np.ndarray:
    """Pixels ``(H, W, 1..4)``, uint16 or float32, upright; alpha is not multiplied into the colours.

    Raises:
        FileError: the data are damaged.
    """
    layout = Layout(page)
    stored = np.dtype(f"{page.order}{'f' if page.value(Tag.SAMPLE_FORMAT, 1) == 3 else 'u'}{page.bits[0] // 8}")
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
    with np.errstate(all="ignore"):  # values that become infinite are refused later
        pixels = pixels[: page.height, : page.width].astype(np.float32 if stored.kind == "f" else np.uint16)
    if page.value(Tag.PHOTOMETRIC, 1) == 0:  # white is zero
        pixels = 65535 - pixels
    return orient(_with_meaning(pixels, page), page.value(Tag.ORIENTATION, 1))


def _with_meaning(pixels: np.ndarray, page: Page) -> np.ndarray:
    """Keeps the colours, and the first further channel where it is alpha."""
    colours = 3 if page.value(Tag.PHOTOMETRIC, 1) == 2 else 1
    extra = page.values(Tag.EXTRA_SAMPLES)
    if pixels.shape[2] < colours:
        raise FileError(ErrorKind.DAMAGED, "damaged: a TIFF with too few channels")
    if pixels.shape[2] == colours or not extra or extra[0] not in (1, 2):
        return pixels[..., :colours]
    alpha = pixels[..., colours : colours + 1]
    if extra[0] == 2:
        return pixels[..., : colours + 1]
    full = 1.0 if pixels.dtype.kind == "f" else 65535.0  # colours are multiplied by alpha
    colour = pixels[..., :colours] * (full / np.maximum(alpha.astype(np.float64), full / 65535))
    colour = np.minimum(colour, full) if pixels.dtype.kind == "f" else np.rint(np.minimum(colour, full))
    return np.dstack([colour.astype(pixels.dtype), alpha])


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
