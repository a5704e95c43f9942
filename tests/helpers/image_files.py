"""Image files for the tests, built byte by byte where a library would not write them."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ImageCms, TiffImagePlugin

from i2i.errors import DataError
from i2i.images import (
    read_image,
)


def save(path: Path, image: np.ndarray) -> None:
    """Writes an RGB, grey or RGBA array as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if image.ndim == 3:
        image = image[..., ::-1] if image.shape[2] == 3 else image[..., [2, 1, 0, 3]]
    assert cv2.imwrite(str(path), image)


def noise(*shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def smooth(height=60, width=80):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3, y * 4, (x + y) * 1.5], axis=-1).clip(0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels, colour_type, extra=b"", tail=b""):
    """A PNG written by hand: what Pillow and OpenCV cannot write, such as 16 bits with grey and alpha."""
    height, width = pixels.shape[:2]
    wide = pixels.dtype == np.uint16
    rows = b"".join(b"\0" + row.astype(">u2" if wide else "u1").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16 if wide else 8, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + tail
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def tiff(pixels, orientation=1, photometric=None, extra=2, planar=1):
    """An uncompressed TIFF of any type."""
    height, width, channels = pixels.shape
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    tags[256], tags[257], tags[259], tags[273] = width, height, 1, (0,)
    tags[258] = (pixels.dtype.itemsize * 8,) * channels
    tags[262] = photometric if photometric is not None else (1 if channels == 1 else 2)
    tags[274], tags[277], tags[278], tags[279], tags[284] = orientation, channels, height, (pixels.nbytes,), planar
    tags[339] = ({"u": 1, "i": 2, "f": 3}[pixels.dtype.kind],) * channels
    if channels == 4:
        tags[338] = extra
    buffer = io.BytesIO()
    tags.save(buffer)
    return buffer.getvalue() + pixels.tobytes()


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def stored(tmp_path):
    """Writes bytes to a file and gives its path."""
    counter = iter(range(10_000))

    def store(data, name="image"):
        path = tmp_path / f"{next(counter)}-{name}"
        path.write_bytes(data)
        return path

    return store


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_image(path, **options)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < len(str(path)) + 200
    return text.removeprefix(f"{path}: ")


FILES = {
    "png": ("PNG", {}),
    "jpg": ("JPEG", {"quality": 95}),
    "progressive.jpg": ("JPEG", {"quality": 95, "progressive": True}),
    "webp": ("WEBP", {}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
    "gif": ("GIF", {}),
    "ppm": ("PPM", {}),
    "avif": ("AVIF", {}),
}


def swapped_profile():
    """An RGB profile whose red is sRGB's green and the other way round: what it does cannot be overlooked."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # lcms writes the present second
    for at in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12):
        if data[at : at + 4] in (b"rXYZ", b"gXYZ"):
            data[at : at + 4] = b"gXYZ" if data[at : at + 4] == b"rXYZ" else b"rXYZ"
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
