"""The image formats: one file, or folder, and one row in the table each.

A new one needs a module that makes its `Format` (`npy` is the shortest) and a row in `FORMATS`: reading, writing, the
endings that folders are searched for, and what outputs can hold all follow from the table.
"""

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
