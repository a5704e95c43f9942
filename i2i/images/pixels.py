"""Arrays of pixels: bit depth, channels, alpha and orientation. Arrays are ``(H, W, C)``.

Full scale is 255 for uint8, 65535 for uint16 and 1.0 for float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import DTypeLike

from i2i.errors import ErrorKind, FileError

AlphaRule = Literal["keep", "drop", "white", "black"]
"""What becomes of alpha: kept apart, left out without a blend, or the image blended over white or black."""

FULL_SCALE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}


def has_channels_first(shape: Sequence[int]) -> bool:
    """Whether an array of that shape is taken for ``(C, H, W)``: no picture has 4 rows at most and 8 bands or more."""
    return len(shape) == 3 and 0 < shape[0] <= 4 and min(shape[1:]) >= 8


def to_dtype(pixels: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Converts between uint8, uint16 and float32 so that full scale stays full scale.

    From fewer to more bits and back is exact. From more to fewer bits it rounds to the nearest; floats outside of
    [0, 1], which an integer cannot hold, are clipped.

    Args:
        pixels: array of any shape, uint8, uint16 or floating point.
        dtype: the wanted type.

    Raises:
        ValueError: a type is none of the three, or a float that is not finite should become an integer.
    """
    wanted = np.dtype(dtype)
    if pixels.dtype in (np.float16, np.float64):
        pixels = pixels.astype(np.float32)
    if wanted not in FULL_SCALE or pixels.dtype not in FULL_SCALE:
        raise ValueError(f"pixels are uint8, uint16 or float32, not {pixels.dtype} -> {wanted}")
    if pixels.dtype == wanted:
        return pixels
    if wanted == np.float32:
        return pixels / np.float32(FULL_SCALE[pixels.dtype])
    if wanted == np.uint16 and pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * np.uint16(257)
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if not np.isfinite(pixels).all():
        raise ValueError("pixels are not finite")
    return np.rint(np.clip(pixels, 0, 1) * np.float32(FULL_SCALE[wanted])).astype(wanted)


def to_channels(pixels: np.ndarray, channels: int, alpha: np.ndarray | None = None) -> np.ndarray:
    """Converts between grey, RGB and RGBA.

    Colour becomes grey by the luma of Rec. 601 (0.299 R + 0.587 G + 0.114 B). Alpha is left out without a blend.

    Args:
        pixels: ``(H, W, C)``, uint8, uint16 or float32.
        channels: the wanted number. What has as many channels already is returned as it is, whatever they mean.
        alpha: ``(H, W)`` of the same type, the fourth channel where one is wanted; opaque when it is None.

    Returns:
        Array ``(H, W, channels)``.

    Raises:
        FileError: the numbers of channels are not among 1, 3 and 4.
    """
    have = pixels.shape[2]
    if have == channels:
        return pixels
    if have not in (1, 3, 4) or channels not in (1, 3, 4):
        raise FileError(ErrorKind.CHANNELS, f"{band_count(have)}, and {channels} are needed")
    if channels == 1:
        colour = np.ascontiguousarray(pixels[..., :3])
        return np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))[..., np.newaxis]
    colour = np.repeat(pixels, 3, axis=2) if have == 1 else pixels[..., :3]
    return np.ascontiguousarray(colour) if channels == 3 else with_alpha(colour, alpha)


def band_count(number: int) -> str:
    """A number of bands in words, such as ``5 bands``."""
    return f"{number} band{'s' if number != 1 else ''}"


def every_channel(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Bands and alpha in one array ``(H, W, C)``: grey with alpha becomes RGBA, for two channels are two bands."""
    if alpha is None:
        return pixels
    return to_channels(pixels, 4, alpha) if pixels.shape[2] in (1, 3) else np.dstack([pixels, alpha])


def with_alpha(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Puts an alpha channel ``(H, W)``, opaque when None, on RGB ``(H, W, 3)``."""
    if alpha is None:
        alpha = np.full(pixels.shape[:2], FULL_SCALE[pixels.dtype], pixels.dtype)
    return np.dstack([pixels, alpha])


def apply_alpha(pixels: np.ndarray, alpha: np.ndarray | None, rule: AlphaRule) -> tuple[np.ndarray, np.ndarray | None]:
    """Applies a rule for alpha.

    Args:
        pixels: ``(H, W, C)``: grey or RGB; uint8, uint16 or float32 in [0, 1]; colours not multiplied by alpha.
        alpha: ``(H, W)`` of the same type; None = opaque.
        rule: ``keep`` is `bleed`; ``drop`` leaves the stored colours; ``white`` and ``black`` blend over full
            scale and zero: ``alpha * pixels + (1 - alpha) * background``, on the stored values.

    Returns:
        Pixels of the same shape and type, and alpha, None for all rules but ``keep``.
    """
    if alpha is None or rule == "drop":
        return pixels, None
    if rule == "keep":
        return bleed(pixels, alpha), alpha
    full = FULL_SCALE[pixels.dtype]
    share = alpha[..., np.newaxis].astype(np.float32) / np.float32(full)
    background = np.float32(full if rule == "white" else 0)
    blended = background + (pixels.astype(np.float32) - background) * share
    return (blended if pixels.dtype.kind == "f" else np.rint(blended).astype(pixels.dtype)), None


def bleed(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Gives each invisible pixel the colour of the nearest visible one.

    Filters and networks mix neighbours. So the colours that editors leave under an alpha of 0, often black, would show
    at the rim of what is visible.

    Args:
        pixels: ``(H, W, C)`` of any type; colours not multiplied by alpha.
        alpha: ``(H, W)``; only where it is 0 a pixel is invisible.

    Returns:
        Array of the same shape and type, zero where nothing at all is visible; `pixels` itself where all is.
    """
    hidden = alpha <= 0  # floats may overshoot
    if not hidden.any():
        return pixels
    spread = pixels.copy()
    if hidden.all():
        spread[:] = 0
        return spread
    _, nearest = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    visible = np.flatnonzero(~hidden)
    place = np.full(len(visible) + 1, visible[0])  # by label; 0 stands for all that is beyond 65,535 pixels
    place[nearest.flat[visible]] = visible
    spread[hidden] = pixels.reshape(-1, pixels.shape[2])[place[nearest[hidden]]]
    return spread


def label_map(
    pixels: np.ndarray, indices: np.ndarray | None = None, channels: int | None = None, stored_full: int = 0
) -> np.ndarray:
    """The values of a label map: palette indices where there is a palette, else the values as they are stored.

    Args:
        pixels: ``(H, W, C)``; of four channels the last is alpha, which is left out.
        indices: ``(H, W)`` uint8, the numbers in the palette; None without a palette.
        channels: the number of channels that is wanted; None: any.
        stored_full: the stored number that full scale of `pixels` stands for; 0: they are as they are stored.

    Returns:
        Array ``(H, W, 1 or 3)`` uint8: numbers of classes, or colours that stand for classes.

    Raises:
        FileError: the values are floats, or above 255, or have another number of channels: labels are not converted.
    """
    values = indices[..., np.newaxis] if indices is not None else pixels[..., :3]
    if stored_full and indices is None and values.dtype.kind == "u":
        values = np.rint(values.astype(np.float64) * (stored_full / FULL_SCALE[values.dtype])).astype(np.uint16)
    if values.dtype.kind == "f" or values.max(initial=0) > 255:
        what = "floats" if values.dtype.kind == "f" else f"values up to {values.max()}"
        raise FileError(ErrorKind.OUT_OF_RANGE, f"a label map has whole numbers from 0 to 255, and this has {what}")
    if channels not in (None, values.shape[2]):
        names = {1: "numbers of classes (a palette or grey)", 3: "colours"}
        have, want = (names.get(count or 0, f"{count} channels") for count in (values.shape[2], channels))
        raise FileError(ErrorKind.CHANNELS, f"a label map of {have}, and the model takes one of {want}")
    return values.astype(np.uint8, copy=False)


def split_alpha(pixels: np.ndarray, has_alpha: bool | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Takes the alpha channel off.

    Args:
        pixels: ``(H, W, C)``: grey, RGB or any number of bands, perhaps with alpha behind them.
        has_alpha: whether the last channel is alpha; None: of 2 and 4 channels it is.

    Returns:
        Pixels ``(H, W, C or C - 1)`` and alpha ``(H, W)`` or None; contiguous, and writable if the input was.
    """
    if not (pixels.shape[2] in (2, 4) if has_alpha is None else has_alpha):
        return np.ascontiguousarray(pixels), None
    return np.ascontiguousarray(pixels[..., :-1]), np.ascontiguousarray(pixels[..., -1])


def orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns stored pixels ``(H, W, ...)`` upright, as EXIF's orientation tag (1 to 8) says; other values do nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
