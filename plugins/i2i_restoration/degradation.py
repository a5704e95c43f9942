"""Degradations of images of one size: transforms that make the ``source`` out of the ``target``.

Images of any number of channels, uint8, uint16 or float32 in [0, 1], keep their type. Random numbers come from
``numpy.random``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from i2i_restoration.degradation_options import BlurConfig, NoiseConfig

Sample = dict[str, Any]


class Noise:
    """Adds Gaussian noise, whose strength is drawn for each image.

    Args:
        config: the options.
    """

    def __init__(self, config: NoiseConfig) -> None:
        self.config = config

    def __call__(self, sample: Sample) -> Sample:
        """Adds ``source`` of the type of ``target``; a sample with a source stays as it is."""
        return _with_source(sample, self._noisy)

    def _noisy(self, image: np.ndarray) -> np.ndarray:
        channels = 1 if np.random.random() < self.config.grey else image.shape[2]
        return image + gaussian_noise((*image.shape[:2], channels), np.random.uniform(*self.config.sigma))


class Blur:
    """Blurs along a line, as a moving camera does, or by a Gaussian, as a lens out of focus about does.

    Args:
        config: the options.
    """

    def __init__(self, config: BlurConfig) -> None:
        self.config = config

    def __call__(self, sample: Sample) -> Sample:
        """Adds ``source`` of the type of ``target``; a sample with a source stays as it is."""
        return _with_source(sample, self._blurred)

    def _blurred(self, image: np.ndarray) -> np.ndarray:
        if np.random.random() < self.config.motion:
            kernel = motion_kernel(np.random.uniform(*self.config.length), np.random.uniform(0, math.pi))
        else:
            kernel = gaussian_kernel(np.random.uniform(*self.config.sigma))
        blurred = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101).reshape(image.shape)
        return blurred + gaussian_noise(image.shape, np.random.uniform(*self.config.noise))


def gaussian_noise(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Noise of that shape for images in [0, 1], float32.

    Args:
        shape: of the result.
        sigma: standard deviation, white being 255.
    """
    return (sigma / 255 * np.random.standard_normal(shape)).astype(np.float32)


def gaussian_kernel(sigma: float) -> np.ndarray:
    """A Gaussian, sampled out to three standard deviations: ``(k, k)`` float32 of sum 1, k odd."""
    reach = max(1, math.ceil(3 * sigma))
    squares = np.arange(-reach, reach + 1, dtype=float) ** 2
    line = np.exp(-squares / (2 * max(sigma, 1e-3) ** 2))
    kernel = np.outer(line, line)
    return (kernel / kernel.sum()).astype(np.float32)


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """A line through the middle: ``(k, k)`` float32 of sum 1, k odd.

    Points of the line, 16 a pixel, are shared among the four nearest pixels by their distance.

    Args:
        length: of the line, in pixels; 1 and less leave an image about as it is.
        angle: its direction, in radians from the row to the column axis.
    """
    half = max(length - 1, 0) / 2
    reach = max(1, math.ceil(half))
    along = np.linspace(-half, half, 1 + 16 * max(1, math.ceil(length)))
    kernel = np.zeros((2 * reach + 2, 2 * reach + 2))
    row, column = reach + along * math.sin(angle), reach + along * math.cos(angle)
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - down - (row - top)) * np.abs(1 - right - (column - left))
            np.add.at(kernel, (top + down, left + right), share)
    kernel = kernel[:-1, :-1]  # the last row and column only took shares of 0
    return (kernel / kernel.sum()).astype(np.float32)


def _with_source(sample: Sample, degrade: Callable[[np.ndarray], np.ndarray]) -> Sample:
    """Adds a source to a sample that has none: the target, degraded as float32 in [0, 1] and clipped to it."""
    if "source" in sample:
        return sample
    target = sample["target"]
    peak = 1.0 if target.dtype.kind == "f" else float(np.iinfo(target.dtype).max)
    source = np.clip(degrade((target / peak).astype(np.float32)), 0, 1) * peak
    source = source if target.dtype.kind == "f" else np.rint(source)
    return sample | {"source": source.astype(target.dtype)}
