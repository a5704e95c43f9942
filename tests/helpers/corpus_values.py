"""Pixel values that the corpus is made of."""

import numpy as np

LOSSY = 3 / 255


def picture(height=29, width=37, channels=3, dtype=np.uint8, shift=0):
    """A smooth picture whose quadrants differ, with all values in range."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    planes = [0.15 + 0.7 * x, 0.1 + 0.8 * y, 0.9 - 0.5 * (x + y), 0.3 + 0.5 * x * y]
    values = np.roll(np.stack(planes, axis=-1), shift, axis=-1)[..., :channels]
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def levels(height, width, channels, bits, seed=0):
    """Random integers of so many bits, as uint8 or uint16."""
    values = np.random.default_rng(seed).integers(0, 2**bits, (height, width, channels))
    return values.astype(np.uint16 if bits > 8 else np.uint8)


def shows(pixels, alpha=None, **more):
    return {"pixels": pixels, "alpha": alpha, **more}


def spread(values, bits):
    return values if bits in (8, 16) else (values * (255 // (2**bits - 1))).astype(np.uint8)


def random_palette(entries, seed=5):
    return np.random.default_rng(seed).integers(0, 256, (entries, 3)).astype(np.uint8)
