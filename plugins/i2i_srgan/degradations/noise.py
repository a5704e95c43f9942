"""Noise of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, section 3.1): Gaussian and Poisson, colour and grey."""

from __future__ import annotations

import math

import numpy as np

LUMA = np.array([0.2989, 0.587, 0.114], np.float32)
"""Shares of red, green and blue in the brightness that grey Poisson noise depends on."""


def gaussian_noise(shape: tuple[int, int, int], sigma: float, *, grey: bool) -> np.ndarray:
    """Noise to be added to an image.

    Args:
        shape: height, width and channels of the image.
        sigma: standard deviation, white being 1.
        grey: the same for all channels.

    Returns:
        ``(H, W, C)`` float32, or ``(H, W, 1)`` if grey.
    """
    size = (*shape[:2], 1) if grey else shape
    return np.float32(sigma) * np.random.standard_normal(size).astype(np.float32)


def poisson_noise(image: np.ndarray, scale: float, *, grey: bool) -> np.ndarray:
    """Noise of counted photons to be added to an image, whose deviation grows with the root of the brightness.

    White is as many photons as the image has levels, rounded up to a power of two: images of few levels are noisier.
    That is the authors' code; the paper leaves the number open.

    Args:
        image: ``(H, W, C)`` float32 in [0, 1], which counts in steps of 1/255.
        scale: factor of the noise.
        grey: the same for all channels, of the noise of the luma (the mean where there are not three channels).

    Returns:
        ``(H, W, C)`` float32, or ``(H, W, 1)`` if grey.
    """
    if grey:
        image = image @ LUMA[:, None] if image.shape[2] == 3 else image.mean(2, keepdims=True)
    levels = np.rint(np.clip(image, 0, 1) * 255)
    photons = 2 ** math.ceil(math.log2(len(np.unique(levels))))
    light = levels / 255
    return (scale * (np.random.poisson(light * photons) / photons - light)).astype(np.float32)
