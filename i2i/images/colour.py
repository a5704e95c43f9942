"""Embedded colour profiles: 8-bit values become sRGB."""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK", "LAB": b"Lab "}
_PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, TypeError, ValueError)


def in_srgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Converts grey, RGB, CMYK or LAB of 8 bits to grey or RGB in sRGB.

    Relative colorimetric intent with black point compensation.

    Args:
        image: of mode L, RGB, CMYK or LAB.
        icc: its ICC profile; ignored if it is broken or for another colour space.

    Returns:
        The image, and an sRGB profile: the image's own if that is sRGB already, None if no profile was used.
    """
    if icc and icc[16:20] == _SPACES[image.mode]:
        if image.mode == "RGB" and _is_srgb(icc):
            return image, icc
        with suppress(*_PROFILE_ERRORS):
            return _converted(image, ImageCms.ImageCmsProfile(io.BytesIO(icc))), srgb_profile()
    if image.mode == "LAB":
        return _converted(image, ImageCms.createProfile("LAB")), None
    return (image.convert("RGB") if image.mode == "CMYK" else image), None


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """A standard sRGB profile, the same bytes every time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # lcms writes the date of today
    return bytes(profile)


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile | ImageCms.core.CmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image,
        profile,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",  # lcms has no grey output for an RGB profile: its three channels are equal
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if converted is None:
        raise ValueError("not converted")
    return converted.getchannel("G") if image.mode == "L" else converted


@lru_cache(maxsize=16)
def _is_srgb(icc: bytes) -> bool:
    """Whether converting colours from all over the RGB cube changes none; the profile's name is no proof."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    with suppress(*_PROFILE_ERRORS):
        same = np.asarray(_converted(Image.fromarray(cube), ImageCms.ImageCmsProfile(io.BytesIO(icc))))
        return int(np.abs(same.astype(int) - cube).max()) <= 1
    return False
