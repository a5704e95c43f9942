"""Blur kernels of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, equations 2 to 4 and 6), square and of sum 1."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

Profile = Literal["gaussian", "generalized", "plateau"]


def blur_kernel(
    size: int, *, profile: Profile, sigma: tuple[float, float], angle: float = 0.0, beta: float = 1.0
) -> np.ndarray:
    """A kernel that falls with ``d``, the squared distance from the centre in units of the standard deviations.

    Args:
        size: height and width, odd.
        profile: ``exp(-d / 2)``, the generalised Gaussian ``exp(-d^beta / 2)`` or the plateau ``1 / (1 + d^beta)``.
        sigma: standard deviations along the kernel's two axes, in pixels.
        angle: of the first axis, in radians from the image's x axis, turning towards y.
        beta: the shape of the last two; the generalised Gaussian of 1 is the Gaussian.

    Returns:
        ``(size, size)`` float32.
    """
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    along = (x * math.cos(angle) + y * math.sin(angle)) / sigma[0]
    across = (y * math.cos(angle) - x * math.sin(angle)) / sigma[1]
    distance = along**2 + across**2
    if profile == "plateau":
        kernel = 1 / (1 + distance**beta)
    else:
        kernel = np.exp(-0.5 * distance ** (beta if profile == "generalized" else 1.0))
    return (kernel / kernel.sum()).astype(np.float32)


def sinc_kernel(size: int, cutoff: float) -> np.ndarray:
    """The ideal circular low-pass filter, which leaves ringing and overshoot: ``cutoff J1(cutoff r) / (2 pi r)``.

    Args:
        size: height and width, odd.
        cutoff: in radians a pixel, at most pi.

    Returns:
        ``(size, size)`` float32.
    """
    import torch

    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = cutoff * torch.special.bessel_j1(torch.from_numpy(cutoff * radius)).numpy() / (2 * np.pi * radius)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    return (kernel / kernel.sum()).astype(np.float32)
