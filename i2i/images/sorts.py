"""Files that are mistaken for images: what they are by their first bytes, and what to do with them."""

from __future__ import annotations

import re
from pathlib import Path

from i2i.images.formats import FORMATS

START_BYTES = 512
"""How many bytes of a file `known_sort` needs; the mark of tar archives comes last."""
_UNPACK = "unpack it, and give the folder"
_FRAMES = "a video: i2i takes images; write its frames as images first, such as with ffmpeg"
_CONVERT = "which i2i does not read: convert it to PNG or TIFF"

_SORTS: tuple[tuple[bytes, str], ...] = (
    (rb"PK\x03\x04.{26}[^\0]*data\.pkl", "a file of torch, such as its weights"),
    (rb"PK\x03\x04.{26}[^\0]*\.npy", "an npz archive: save each array as a file, with numpy.save"),
    (rb"PK[\x03\x05]", f"a ZIP archive: {_UNPACK}"),
    (rb".{257}ustar", f"a tar archive: {_UNPACK}"),
    (rb"\x1f\x8b|BZh[1-9]|\xfd7zXZ\0|\x28\xb5\x2f\xfd", f"a compressed file or archive: {_UNPACK}"),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07", f"an archive: {_UNPACK}"),
    (rb".{4}ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", f"a HEIC image, {_CONVERT}"),
    (rb".{4}ftypcrx ", f"a raw photo, {_CONVERT}"),
    (rb".{4}ftyp(?!avi[fs])|\0.{3}(moov|mdat|wide|free)", _FRAMES),
    (rb"\x1a\x45\xdf\xa3|RIFF.{4}AVI |FLV\x01|OggS|\0\0\x01[\xba\xb3]|\x30\x26\xb2\x75", _FRAMES),
    (rb"\xff\x0a|\0{3}\x0cJXL ", f"a JPEG XL image, {_CONVERT}"),
    (rb"\0{3}\x0cjP  |\xff\x4f\xff\x51", f"a JPEG 2000 image, {_CONVERT}"),
    (rb"\x76\x2f\x31\x01", f"an OpenEXR image, {_CONVERT}"),
    (rb"#\?RADIANCE|#\?RGBE", f"an HDR image of Radiance, {_CONVERT}"),
    (rb".{128}DICM", f"a DICOM file, {_CONVERT}"),
    (rb"SIMPLE  =", f"a FITS file, {_CONVERT}"),
    (rb"\x89HDF\r\n", f"an HDF5 file, {_CONVERT}"),
    (rb"8BPS", f"a file of Photoshop, {_CONVERT}"),
    (rb"\0\0[\x01\x02]\0[^\0]\0", f"an icon, {_CONVERT}"),
    (rb"%PDF|%!PS", "a document: export its pages as images"),
    (rb"version https://git-lfs", "a pointer of Git LFS: fetch the file itself with git lfs pull"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg", "a vector graphic: export it as PNG"),
    (rb"\s*<(!doctype html|html|head)", "a web page: look whether its download failed"),
)


def sort_of_file(path: Path) -> str:
    """What a file is by its first bytes, such as ``a PNG image``; empty if that is not known, or it cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except OSError:
        return ""
    if start[:1] == b"\x08":  # nearly every ONNX file: compiling the patterns would take as long as all the rest
        return ""
    name = next((row.name for row in FORMATS if row.matches(start)), "")
    return f"a {name} image" if name else known_sort(start)


def known_sort(start: bytes) -> str:
    """What a file is that is no image in a known format, and what to do with it; empty if that is not known.

    Args:
        start: its first `START_BYTES` bytes, or the whole file.
    """
    return next((sort for pattern, sort in _SORTS if re.match(pattern, start, re.DOTALL | re.IGNORECASE)), "")
