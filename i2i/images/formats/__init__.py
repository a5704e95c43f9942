"""The image formats: one file and one row in the table each."""

from __future__ import annotations

from i2i.images.formats.avif import AVIF
from i2i.images.formats.bmp import BMP
from i2i.images.formats.format import Format
from i2i.images.formats.gif import GIF
from i2i.images.formats.jpeg import JPEG
from i2i.images.formats.npy import NPY
from i2i.images.formats.png import PNG
from i2i.images.formats.pnm import PNM
from i2i.images.formats.tiff import TIFF
from i2i.images.formats.webp import WEBP

FORMATS: tuple[Format, ...] = (PNG, JPEG, WEBP, AVIF, TIFF, BMP, PNM, NPY, GIF)
"""All formats; a file belongs to the first that matches."""
