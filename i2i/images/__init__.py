"""Reading and writing image files: formats, pixels, colour and EXIF. Imports no torch.

These are the public names; `i2i.images.reading` says by which rules files are read.
"""

from i2i.images.class_colors import numbers_of_colors
from i2i.images.formats.format import Extras
from i2i.images.palette import default_palette
from i2i.images.pixels import AlphaRule, apply_alpha, label_map, to_channels, to_dtype
from i2i.images.reading import (
    MAX_PIXELS,
    READABLE,
    ImageInfo,
    ImageSource,
    PagesRule,
    Picture,
    count_frames,
    find_images,
    from_pillow,
    image_info,
    read_frames,
    read_image,
    read_stack,
    refuse_range,
)
from i2i.images.values import ValueRange
from i2i.images.writing import WRITABLE, can_hold, write_image, write_pixels

__all__ = [
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "AlphaRule",
    "Extras",
    "ImageInfo",
    "ImageSource",
    "PagesRule",
    "Picture",
    "ValueRange",
    "apply_alpha",
    "can_hold",
    "count_frames",
    "default_palette",
    "find_images",
    "from_pillow",
    "image_info",
    "label_map",
    "numbers_of_colors",
    "read_frames",
    "read_image",
    "read_stack",
    "refuse_range",
    "to_channels",
    "to_dtype",
    "write_image",
    "write_pixels",
]
