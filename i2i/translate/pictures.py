"""Converts pictures to the arrays that a network takes, and its results to the values and types of images."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from PIL import Image

from i2i.errors import ErrorKind, FileError
from i2i.files import user_path
from i2i.images import (
    ImageSource,
    PagesRule,
    Picture,
    ValueRange,
    from_pillow,
    numbers_of_colors,
    read_image,
    read_stack,
    refuse_range,
    to_channels,
    to_dtype,
)
from i2i.images.pixels import (
    AlphaRule,
    apply_alpha,
    band_count,
    every_channel,
    has_channels_first,
    label_map,
    split_alpha,
    with_alpha,
)
from i2i.interface import LabelMapInput
from i2i.kinds import PICKED
from i2i.runtime.metadata import Metadata
from i2i.runtime.network import ExportedNetwork

_WITH_ALPHA = 4
"""Number of channels of a network that takes alpha."""

ImageLike = ImageSource | Image.Image | np.ndarray
"""A path, bytes of an image file, an open one, an image that Pillow opened, or an array ``(H, W)`` or ``(H, W, C)``."""
_TAKEN = "a path, the bytes of an image file, a file opened with 'rb', a Pillow image or a numpy array"


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """An image as a network takes it.

    Attributes:
        pixels: ``(H, W, C)`` in the network's channels; in its type, or float32 where it has a form for floats.
        alpha: alpha ``(H, W)`` to put on the result, in any type; None without, and where the network itself takes
            alpha: then it decides what is seen, and may fill what was transparent.
        notes: what of the image's values could not be kept, each without the image's name.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    notes: tuple[str, ...] = ()


def open_picture(image: ImageLike, *, any_range: bool = False, pages: PagesRule = "first") -> Picture:
    """Reads an image of any kind.

    Args:
        image: the image.
        any_range: whether floats outside of [0, 1] are taken.
        pages: which pages of a file are read.

    Raises:
        DataError: the file or Pillow's image cannot be read.
        FileError: it is of no type that holds an image; or the array is no image, or has values outside of [0, 1], or
            that are not finite.
    """
    if isinstance(image, Image.Image):
        return from_pillow(image, any_range=any_range)
    read = partial(read_stack if pages == "stack" else read_image, any_range=any_range)
    if isinstance(image, str | os.PathLike):
        return read(user_path(image, "the image"))
    if isinstance(image, bytes | bytearray | memoryview):
        return read(image)
    if not isinstance(image, np.ndarray):
        if hasattr(image, "read"):
            return read(image)
        raise FileError(ErrorKind.NOT_AN_IMAGE, f"expected {_TAKEN}, not {_what(image)}")
    pixels = _checked(image, any_range=any_range)
    if pixels.shape[2] != 4:
        return Picture(pixels, None, None, "")
    return Picture(*split_alpha(pixels), None, "")


def _checked(image: np.ndarray, *, any_range: bool) -> np.ndarray:
    """An array of the caller's as ``(H, W, C)``, in a byte order and a type of float that the rest can work with."""
    if isinstance(image, np.ma.MaskedArray):
        raise FileError(ErrorKind.UNSUPPORTED, "an array with a mask: fill what is masked, array.filled(value)")
    if image.dtype.kind != "f" and image.dtype.name not in ("uint8", "uint16"):
        wanted = "uint8, uint16, or floats in [0, 1]"
        raise FileError(ErrorKind.UNSUPPORTED, f"the array of an image has the type {wanted}, not {image.dtype}")
    if image.ndim not in (2, 3) or not image.size or has_channels_first(image.shape):
        raise FileError(ErrorKind.NOT_AN_IMAGE, f"an array of shape {image.shape} is no image (H, W) or (H, W, C)")
    if image.dtype.kind == "f":
        refuse_range(image, any_range=any_range)
    image = image.astype(np.float32 if image.dtype.kind == "f" else image.dtype.newbyteorder("="), copy=False)
    return image if image.ndim == 3 else image[..., np.newaxis]


def _what(value: object) -> str:
    """A value that is no image in words, and how to make one of it."""
    if hasattr(value, "detach") and hasattr(value, "permute"):  # without an import of torch
        return "a torch tensor: convert it, tensor.permute(1, 2, 0).cpu().numpy() with values in [0, 1]"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__}: give one image at a time, or paths to translate_folder"
    return f"something of type {type(value).__name__}"


def apply_alpha_rule(picture: Picture, rule: AlphaRule) -> Picture:
    """The picture with a rule for transparency applied, as `i2i.images.pixels.apply_alpha` does."""
    pixels, alpha = apply_alpha(picture.pixels, picture.alpha, rule)
    return replace(picture, pixels=pixels, alpha=alpha)


def network_input(picture: Picture, rule: AlphaRule, network: ExportedNetwork) -> NetworkInput:
    """A picture as a network takes it, after a rule for transparency.

    Values within the range that the network was trained on, if it has one, are mapped to [0, 1], and those beyond
    become 0 or 1. For a network of one size the picture is resized. Images of more than 8 bits go through a network of
    8-bit images in its form for floats.

    Raises:
        FileError: the picture has a number of channels that cannot be converted.
    """
    given = _network_input(picture, rule, network)
    size = network.info.size
    if size is None or given.pixels.shape[:2] == size:
        return given
    is_map = isinstance(network.info.inputs.get("image"), LabelMapInput) or network.info.source_kind in PICKED
    return replace(given, pixels=resized(given.pixels, size, picked=is_map))


def resized(pixels: np.ndarray, size: tuple[int, int], *, picked: bool) -> np.ndarray:
    """An image ``(H, W, C)`` in another (height, width): by the nearest pixel, or smoothly and within its range."""
    enlarges = size[0] > pixels.shape[0] or size[1] > pixels.shape[1]
    how = cv2.INTER_NEAREST_EXACT if picked else cv2.INTER_CUBIC if enlarges else cv2.INTER_AREA
    bands = [cv2.resize(pixels[..., band], size[::-1], interpolation=how) for band in range(pixels.shape[2])]
    image = np.stack(bands, axis=2)
    return np.clip(image, 0, 1) if image.dtype.kind == "f" else image  # cubic interpolation overshoots


def _network_input(picture: Picture, rule: AlphaRule, network: ExportedNetwork) -> NetworkInput:
    """The picture as the network takes it, in its own height and width."""
    info, notes = network.info, []
    if info.source_kind == "labels" or isinstance(info.inputs.get("image"), LabelMapInput):
        return _labels_input(picture, rule, network)
    picture = _with_bands(picture, info)
    values = ValueRange(info.source_type, info.source_range)
    if values.bounds is not None:
        if share := values.share_beyond(picture.pixels):
            notes.append(f"{100 * share:.3g} % of its values lie beyond the model's {values.text} and were clipped")
        alpha = None if picture.alpha is None else to_dtype(picture.alpha, np.float32)
        picture = replace(picture, pixels=values.to_unit(picture.pixels), alpha=alpha)
    picture = apply_alpha_rule(picture, rule)
    pixels, taken = to_channels(picture.pixels, info.channels_in, picture.alpha), network.dtype
    if pixels.dtype != taken and taken == np.uint8:
        if network.in_floats() is None:
            notes.append("its values went through 8 bits, for this model's graph computes with no more")
        else:
            taken = np.dtype(np.float32)
    alpha = None if info.channels_in == _WITH_ALPHA else picture.alpha
    return NetworkInput(to_dtype(pixels, taken), alpha, tuple(notes))


def _with_bands(picture: Picture, info: Metadata) -> Picture:
    """The picture with the bands that a model takes; alpha that is one of them is not put on the result."""
    here, taken = picture.pixels.shape[2], info.channels_in
    if info.bands_of and (whole := every_channel(picture.pixels, picture.alpha)).shape[2] == info.bands_of:
        pixels = whole[..., [number - 1 for number in info.bands]] if info.bands else whole
        return replace(picture, pixels=np.ascontiguousarray(pixels), alpha=None)
    converts = not info.bands_of and here in (1, 3) and taken in (1, 3, 4)
    if here == taken or converts:
        return picture
    chosen = f"; or {info.bands_of}, of which it takes {', '.join(map(str, info.bands))}" if info.bands else ""
    raise FileError(ErrorKind.CHANNELS, f"{band_count(here)}; the model takes {taken}{chosen}")


def _labels_input(picture: Picture, rule: AlphaRule, network: ExportedNetwork) -> NetworkInput:
    """A label map as a network takes it: its values as they are stored, which no colour may change.

    Raises:
        FileError: it is no label map, or has other channels than the network takes.
    """
    pixels = label_values(picture, network.info, network.info.channels_in)
    if isinstance(of := network.info.inputs.get("image"), LabelMapInput):
        return NetworkInput(class_numbers(pixels, of), picture.alpha if rule == "keep" else None)
    return NetworkInput(to_dtype(pixels, network.dtype), picture.alpha if rule == "keep" else None)


def label_values(picture: Picture, info: Metadata, channels: int) -> np.ndarray:
    """The values of a label map, or the classes that its colours stand for where the model knows them.

    Raises:
        FileError: it is no label map of that many channels, or a colour stands for no class.
    """
    if info.label_colors and channels == 1:
        return numbers_of_colors(picture.pixels, info.label_colors, format=picture.format)
    return label_map(picture.pixels, picture.indices, channels, picture.stored_full)


def class_numbers(values: np.ndarray, of: LabelMapInput) -> np.ndarray:
    """A label map as it is, once all its values are known to be classes.

    Raises:
        FileError: one is none.
    """
    most = of.count - 1
    beyond = values[(values > most) & (values != (most if of.ignore is None else of.ignore))]
    if beyond.size:
        reason = f"has the class {beyond.max()}, and the model knows those from 0 to {most}"
        raise FileError(ErrorKind.OUT_OF_RANGE, reason + (f" and {of.ignore}" if of.ignore is not None else ""))
    return values


def output_type(info: Metadata, dtype: np.dtype) -> np.dtype:
    """The type of the translation of an image of that type.

    A model that was trained to give the type that it takes, both at full scale, keeps the image's; the results of all
    others have the type of what they were trained to give.
    """
    return dtype if info.keeps_type else np.dtype(info.target_type)


def to_output(image: np.ndarray, info: Metadata, dtype: np.dtype) -> np.ndarray:
    """A network's result in the units of what it was trained to give, and in that type.

    Args:
        image: array of any shape as the network gives it: uint8, or float32 in [0, 1].
        info: the network's metadata.
        dtype: uint8, uint16 or float32.
    """
    return ValueRange(info.target_type, info.target_range).from_unit(image, dtype)


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
