"""Converts pictures to the arrays that a network takes, and puts alpha on its results."""

from __future__ import annotations

import os
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from i2i.errors import ErrorKind, FileError
from i2i.images import Picture, from_pillow, read_image, refuse_range, to_channels, to_dtype
from i2i.images.pixels import AlphaRule, apply_alpha, split_alpha, with_alpha
from i2i.runtime.metadata import Metadata

ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray
"""A path, an image that Pillow opened, or an array ``(H, W)`` or ``(H, W, C)``."""


def open_picture(image: ImageLike) -> Picture:
    """Reads an image of any kind.

    Raises:
        DataError: the file or Pillow's image cannot be read.
        FileError: the array is no image, or has values outside of [0, 1].
    """
    if isinstance(image, Image.Image):
        return from_pillow(image)
    if not isinstance(image, np.ndarray):
        return read_image(image)
    if image.ndim not in (2, 3) or not image.size:
        raise FileError(ErrorKind.NOT_AN_IMAGE, f"an array of shape {image.shape} is no image")
    if image.dtype.kind == "f":
        refuse_range(image)
    pixels = image if image.ndim == 3 else image[..., np.newaxis]
    if pixels.shape[2] != 4:
        return Picture(pixels, None, None, "")
    return Picture(*split_alpha(pixels), None, "")


def apply_alpha_rule(picture: Picture, rule: AlphaRule) -> Picture:
    """The picture with a rule for transparency applied, as `i2i.images.pixels.apply_alpha` does."""
    pixels, alpha = apply_alpha(picture.pixels, picture.alpha, rule)
    return replace(picture, pixels=pixels, alpha=alpha)


def to_network(picture: Picture, info: Metadata) -> np.ndarray:
    """The picture's pixels ``(H, W, C)`` in the channels and type that a network takes.

    Raises:
        FileError: it has a number of channels that cannot be converted.
    """
    return to_dtype(to_channels(picture.pixels, info.channels_in, picture.alpha), info.value_type)


def attach_alpha(image: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Puts alpha ``(h, w)`` of any type on an image ``(H, W, 1 or 3)``, resized to it: RGBA ``(H, W, 4)``.

    An image of other channels, or without alpha to put on it, is returned as it is.
    """
    if alpha is None or image.shape[2] not in (1, 3):
        return image
    height, width = image.shape[:2]
    if alpha.shape != (height, width):
        alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR))
    return with_alpha(to_channels(image, 3), to_dtype(alpha, image.dtype))
