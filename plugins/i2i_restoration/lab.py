"""CIE Lab (D65, 2 degrees) of sRGB images as networks see it, and back without a change of lightness.

kornia's conversions compute it, equal to scikit-image's. A colour that sRGB does not have would be clipped in red,
green and blue, which changes its lightness by up to tens of units; here a and b are shortened by one factor, towards
grey, until it does (hue and lightness stay, as in the simplest gamut mapping of Morovic and Luo 2001).
"""

from __future__ import annotations

import torch
from kornia.color import lab_to_rgb, rgb_to_lab
from torch import Tensor

CHROMA = 110.0
"""a and b of all sRGB colours are between -CHROMA and CHROMA: -86.2 to 98.3 and -107.9 to 94.5."""
BISECTIONS = 10
"""Halvings of the interval of the factor; what is left of it is a 1024th."""
TOLERANCE = 1e-4
"""How far outside of [0, 1] red, green and blue may be, a fortieth of a step of 255."""


def to_lab(image: Tensor) -> tuple[Tensor, Tensor]:
    """Lightness and colour of images.

    Args:
        image: ``(N, 3, H, W)`` sRGB in [-1, 1].

    Returns:
        L / 50 - 1, ``(N, 1, H, W)`` in [-1, 1], and a and b divided by 110, ``(N, 2, H, W)`` in [-1, 1].
    """
    lab = rgb_to_lab(((image + 1) / 2).clamp(0, 1))
    return lab[:, :1] / 50 - 1, lab[:, 1:] / CHROMA


def from_lab(light: Tensor, colour: Tensor) -> Tensor:
    """Images of that lightness, with the colours or, where sRGB has none such, paler ones of that hue.

    Args:
        light: ``(N, 1, H, W)`` as of `to_lab`.
        colour: ``(N, 2, H, W)`` as of `to_lab`.

    Returns:
        ``(N, 3, H, W)`` sRGB in [-1, 1]. The factor by which a colour is shortened has no gradient.
    """
    with torch.no_grad():
        factor = _fitting(light, colour)
    return _rgb(light, factor * colour).clamp(0, 1) * 2 - 1


def _fitting(light: Tensor, colour: Tensor) -> Tensor:
    """For each pixel the largest factor of its colour, from 0 to 1, that gives an sRGB colour, by bisection."""
    factor = torch.zeros_like(light)
    for halving in range(1, BISECTIONS + 1):
        tried = factor + 0.5**halving
        factor = torch.where(_is_srgb(light, tried * colour), tried, factor)
    return torch.where(_is_srgb(light, colour), torch.ones_like(factor), factor)


def _is_srgb(light: Tensor, colour: Tensor) -> Tensor:
    """Whether red, green and blue are within [0, 1]: ``(N, 1, H, W)`` of bool."""
    rgb = _rgb(light, colour)
    return ((rgb >= -TOLERANCE) & (rgb <= 1 + TOLERANCE)).all(1, keepdim=True)


def _rgb(light: Tensor, colour: Tensor) -> Tensor:
    return lab_to_rgb(torch.cat([(light + 1) * 50, colour * CHROMA], 1), clip=False)
