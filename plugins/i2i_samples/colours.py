"""Colours of the drawn pictures, red, green and blue in 0..255."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def rgb(red: float, green: float, blue: float) -> Array:
    """A colour ``(3,)`` float32."""
    return np.array((red, green, blue), np.float32)


def mix(start: Array, end: Array, amount: Array) -> Array:
    """Linear interpolation from colour `start`, where `amount` is 0, to `end`, where it is 1.

    Args:
        start: colours that broadcast to ``(h, w, 3)``.
        end: colours that broadcast to ``(h, w, 3)``.
        amount: ``(h, w)`` numbers, or a mask.
    """
    return start + (end - start) * np.asarray(amount, np.float32)[..., None]
