"""Unsharp masking of training targets, as Real-ESRGAN does it (Wang et al. 2021, arXiv:2107.10833, section 3.4).

The paper names the technique; kernel, strength and threshold are those of the authors' code. Edges that are stronger
than the threshold are sharpened; what lies between is left alone, so that noise is not.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

RADIUS = 25
"""Pixels on each side of the Gaussian kernel's centre."""
SIGMA = 8.0
"""Its standard deviation, which OpenCV derives from 51 pixels."""
STRENGTH = 0.5
"""Factor of the difference between image and blurred image."""
THRESHOLD = 10 / 255
"""Difference above which a pixel belongs to an edge, white being 1."""


def sharpened(images: Tensor) -> Tensor:
    """Images with stronger edges.

    With ``b`` the blurred image ``x``, ``r = x - b``, and ``m`` the blurred map of where ``|r|`` is above the
    threshold, it is ``m * clip(x + r / 2) + (1 - m) * x``.

    Args:
        images: ``(N, C, H, W)`` float in [0, 1], of any size; they are mirrored at the border.
    """
    residual = images - _blurred(images)
    mask = _blurred((residual.abs() > THRESHOLD).to(images.dtype))
    return images + mask * ((images + STRENGTH * residual).clamp(0, 1) - images)


def _blurred(images: Tensor) -> Tensor:
    """Convolved with the Gaussian kernel, along one axis after the other."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(offsets.square() / (-2 * SIGMA**2))
    kernel = kernel / kernel.sum()
    planes = images.flatten(0, 1)[:, None]
    planes = conv2d(_mirrored(planes, 2), kernel.view(1, 1, -1, 1))
    return conv2d(_mirrored(planes, 3), kernel.view(1, 1, 1, -1)).view_as(images)


def _mirrored(planes: Tensor, axis: int) -> Tensor:
    """Continued along an axis by the radius, mirrored at the outermost pixels as often as it takes."""
    length = planes.shape[axis]
    period = max(1, 2 * (length - 1))
    places = torch.arange(-RADIUS, length + RADIUS, device=planes.device).remainder(period)
    return planes.index_select(axis, torch.minimum(places, period - places) if length > 1 else places * 0)
