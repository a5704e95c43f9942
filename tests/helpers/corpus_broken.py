"""Files that must be refused: no images, cut off, damaged, lying, bombs. Each with what the reason says."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from helpers.image_files import FILES, chunk, noise, saved
from helpers.image_writers import any_png, any_tiff, bmp, gif
from i2i.errors import ErrorKind

LIE = r"promises more|cut off|limit"


def broken_files():
    """name -> (bytes, regular expression for the reason)."""
    return _no_images() | _cut_off() | _damaged() | _bombs() | _lies()


def fitting_kinds(name):
    """The kinds of error that are right for a broken file."""
    if name in _KINDS:
        return {_KINDS[name]}
    if name.startswith("cut-"):
        return {ErrorKind.CUT_OFF}
    if name.startswith(("bomb", "lie")):  # those whose data are not compressed are cut off, whatever they promise
        return {ErrorKind.TOO_LARGE, ErrorKind.IMPLAUSIBLE, ErrorKind.CUT_OFF}
    return {ErrorKind.DAMAGED}


_KINDS = {
    "empty.png": ErrorKind.EMPTY,
    **dict.fromkeys(
        ("text.jpg", "zeros.bmp", "pdf.png", "svg.png", "eps.tif", "png-newlines.png", "int32.npy", "objects.npy"),
        ErrorKind.NOT_AN_IMAGE,
    ),
    **dict.fromkeys(
        ("signature.png", "png-short-data.png", "start.jpg", "riff.webp", "head.gif", "head.tif"),
        ErrorKind.CUT_OFF,
    ),
    **dict.fromkeys(("int32.tif", "signed.tif"), ErrorKind.OUT_OF_RANGE),
    **dict.fromkeys(("float-nan.npy", "float-range.npy"), ErrorKind.OUT_OF_RANGE),
    # more than the format allows, or strips that are not even listed
    **dict.fromkeys(
        ("bomb-header.npy", "bomb-tags.tif", "bomb.avif", "lie.tif", "lie-deflated.tif"), ErrorKind.DAMAGED
    ),
}


def _no_images():
    return {
        "empty.png": (b"", "empty"),
        "text.jpg": (b"this is no image\n" * 50, "known format"),
        "zeros.bmp": (b"\0" * 5000, "known format"),
        "pdf.png": (b"%PDF-1.4\n%\xe2\xe3\n" + b"x" * 300, "known format"),
        "svg.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "known format"),
        "eps.tif": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "known format"),
        "signature.png": (b"\x89PNG\r\n\x1a\n", "."),
        "start.jpg": (b"\xff\xd8\xff\xe0", "."),
        "riff.webp": (b"RIFF\x24\0\0\0WEBPVP8 ", "cut off"),
        "head.gif": (b"GIF89a", "."),
        "head.tif": (b"II*\0", "."),
        "head.ppm": (b"P6 ", "."),
        "head.npy": (b"\x93NUMPY\x01\0", "."),
    }


def _cut_off():
    files = {}
    for name, (kind, options) in FILES.items():
        data = saved(Image.fromarray(noise(60, 80, 3)), kind, **options)
        for share in (0.2, 0.5, 0.9):
            files[f"cut-{int(share * 100)}.{name}"] = (data[: int(len(data) * share)], ".")
    for name in ("jpg", "progressive.jpg"):
        data = saved(Image.fromarray(noise(60, 80, 3)), *[FILES[name][0]], **FILES[name][1])
        files[f"cut-with-end.{name}"] = (data[: len(data) * 3 // 5].rstrip(b"\xff") + b"\xff\xd9", "cut off|damaged")
    deep = noise(20, 30, 3, dtype=np.uint16)
    files["cut-16.png"] = (any_png(deep, 2, 16)[:-60], "cut off")
    files["cut-16.tif"] = (any_tiff([deep], rows=4)[:-700], "cut off|damaged")
    return files


def _damaged():
    values = noise(12, 12, 3)
    whole = any_png(values, 2, 8)
    head = struct.pack(">IIBBBBB", 12, 12, 8, 2, 0, 0, 0)
    flipped = bytearray(whole)
    flipped[60] ^= 0x10
    start = b"\x89PNG\r\n\x1a\n"
    broken = {"no-idat": chunk(b"IHDR", head), "depth-3": chunk(b"IHDR", head[:8] + b"\3\2\0\0\0")}
    broken["colour-1"] = chunk(b"IHDR", head[:8] + b"\x08\1\0\0\0")
    broken["no-palette"] = chunk(b"IHDR", head[:8] + b"\x08\3\0\0\0") + chunk(b"IDAT", zlib.compress(b"\0" * 156))
    broken["no-width"] = chunk(b"IHDR", b"\0\0\0\0" + head[4:])
    broken["short-data"] = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    files = {f"png-{n}.png": (start + body + chunk(b"IEND", b""), ".") for n, body in broken.items()}
    files["png-flipped.png"] = (bytes(flipped), "checksum")
    files["png-newlines.png"] = (whole.replace(b"\r\n", b"\n", 1), ".")
    files["float-range.npy"] = (_npy(np.linspace(-3, 7, 48, dtype=np.float32).reshape(4, 4, 3)), r"-3 to 7")
    files["float-nan.npy"] = (_npy(np.full((4, 4), np.nan, np.float32)), "finite")
    files["int32.npy"] = (_npy(np.zeros((4, 4), np.int32)), "int32")
    files["objects.npy"] = (_npy(np.array([[{}]], dtype=object)), "object")
    files["int32.tif"] = (any_tiff([np.arange(16, dtype=np.int32).reshape(4, 4) + 65_530]), "0 to 65535")
    files["signed.tif"] = (any_tiff([np.arange(16, dtype=np.int8).reshape(4, 4) - 3]), "from -3 to 12")
    loop = bytearray(any_tiff([values, values]))
    first = struct.unpack_from("<I", loop, 4)[0]
    second = struct.unpack_from("<I", loop, first + 2 + 12 * struct.unpack_from("<H", loop, first)[0])[0]
    struct.pack_into("<I", loop, second + 2 + 12 * struct.unpack_from("<H", loop, second)[0], first)
    files["loop.tif"] = (bytes(loop), "circle")
    return files


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _huge_png(width, height, data=b"", extra=b""):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(data or b"\0" * 100)) + chunk(b"IEND", b"")
    )


def _jpeg_of(width, height, **options):
    data = bytearray(saved(Image.fromarray(noise(16, 16, 3)), "JPEG", **options))
    at = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, height, width)
    return bytes(data)


def _many_scans(number):
    data = saved(Image.fromarray(noise(16, 16, 3)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * number + data[-2:]


def _huge_tiff(width, height, tags=()):
    small = bytearray(any_tiff([noise(8, 8, 3)], tags=tags))
    directory = struct.unpack_from("<I", small, 4)[0]
    for entry in range(struct.unpack_from("<H", small, directory)[0]):
        at = directory + 2 + 12 * entry
        tag = struct.unpack_from("<H", small, at)[0]
        if tag in (256, 257):
            struct.pack_into("<I", small, at + 8, width if tag == 256 else height)
    return bytes(small)


def _webp_of(width, height, **options):
    data = bytearray(saved(Image.fromarray(noise(16, 16, 4 if options.pop("alpha", False) else 3)), "WEBP", **options))
    kind = bytes(data[12:16])
    if kind == b"VP8 ":
        struct.pack_into("<HH", data, 26, width, height)
    elif kind == b"VP8L":
        packed = struct.unpack_from("<I", data, 21)[0] & ~0xFFFFFFF
        struct.pack_into("<I", data, 21, packed | (width - 1) | (height - 1) << 14)
    else:
        data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def _avif_of(width, height):
    data = bytearray(saved(Image.fromarray(noise(16, 16, 3)), "AVIF"))
    struct.pack_into(">II", data, data.index(b"ispe") + 8, width, height)
    return bytes(data)


def _npy_claim(shape, length=None, dtype="<f4"):
    text = str({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(length or 118) + b"\n"
    version, size = (
        (b"\1\0", struct.pack("<H", len(text))) if len(text) < 65536 else (b"\2\0", struct.pack("<I", len(text)))
    )
    return b"\x93NUMPY" + version + size + text + b"\0" * 64


def _bombs():
    """More pixels than the limit, or structures that cost time or memory."""
    many = b"".join(struct.pack("<HHII", 40_000 + i % 20_000, 7, 900_000, 8) for i in range(60_000))
    tags = b"II*\0" + struct.pack("<I", 1_000_008) + b"\0" * 1_000_000 + struct.pack("<H", 60_000) + many + b"\0" * 4
    claim = struct.pack("<HHI", 273, 4, 2**31) + struct.pack("<I", 8)
    absurd = b"II*\0" + struct.pack("<IH", 8, 1) + claim + b"\0" * 4
    line = np.zeros((1, 200), np.uint8)
    palette = noise(256, 3)
    return {
        "bomb.png": (_huge_png(60_000, 60_000), "limit"),
        "bomb-ends.png": (_huge_png(2**31 - 1, 2**31 - 1), "."),
        "bomb.jpg": (_jpeg_of(65_500, 65_500), "limit"),
        "bomb-scans.jpg": (_many_scans(5000), "scans"),
        "bomb.tif": (_huge_tiff(100_000, 100_000), "limit"),
        "bomb-tags.tif": (tags, "tags|damaged"),
        "bomb-absurd.tif": (absurd, "cut off or damaged"),
        "bomb.gif": (gif([(0, 0, line, None, False)], (65_535, 65_535), palette), "limit"),
        "bomb.bmp": (bmp([b"\0" * 64], 60_000, 60_000, 24), "limit"),
        "bomb-vp8.webp": (_webp_of(16_383, 16_383), LIE),
        "bomb-vp8l.webp": (_webp_of(16_383, 16_383, lossless=True), LIE),
        "bomb-vp8x.webp": (_webp_of(2**24, 2**24, alpha=True), LIE + "|."),
        "bomb.avif": (_avif_of(60_000, 60_000), "."),
        "bomb.npy": (_npy_claim((10**6, 10**6)), "limit"),
        "bomb-header.npy": (_npy_claim((4, 4), 5_000_000), "too long"),
        "bomb.ppm": (b"P6 100000 100000 255\n" + b"\0" * 99, "cut off"),
        "bomb.pfm": (b"PF 100000 100000 -1\n" + b"\0" * 99, "cut off"),
    }


def _lies():
    """Below the limit, but the data cannot be there."""
    huge = gif([(0, 0, np.zeros((1, 9), np.uint8), None, False)], (64, 64), noise(256, 3))
    frame = bytearray(huge)
    struct.pack_into("<HH", frame, huge.index(b",\0\0\0\0") + 5, 65_000, 65_000)
    deflated = any_tiff([noise(8, 8, 3)], compression=8)
    return {
        "lie.png": (_huge_png(9000, 9000), LIE),
        "lie.jpg": (_jpeg_of(9000, 9000), LIE),
        "lie-progressive.jpg": (_jpeg_of(9000, 9000, progressive=True), LIE),
        "lie.tif": (_huge_tiff(9000, 9000), LIE + "|damaged"),
        "lie-deflated.tif": (
            deflated.replace(struct.pack("<HHII", 257, 4, 1, 8), struct.pack("<HHII", 257, 4, 1, 9_000_000)),
            LIE + "|.",
        ),
        "lie.gif": (gif([(0, 0, np.zeros((1, 9), np.uint8), None, False)], (9000, 9000), noise(256, 3)), LIE),
        "lie-frame.gif": (bytes(frame), LIE),
        "lie.bmp": (bmp([b"\0" * 64], 9000, 9000, 24), LIE),
        "lie-vp8.webp": (_webp_of(9000, 9000), LIE),
        "lie-vp8l.webp": (_webp_of(9000, 9000, lossless=True), LIE),
        "lie-vp8x.webp": (_webp_of(9000, 9000, alpha=True), LIE),
        "lie.avif": (_avif_of(9000, 9000), LIE),
        "lie.npy": (_npy_claim((9000, 9000)), "cut off"),
        "lie.ppm": (b"P6 9000 9000 255\n" + b"\0" * 99, "cut off"),
        "lie-plain.ppm": (b"P3 9000 9000 255\n" + b"0 " * 99, "cut off"),
    }
