"""JPEG's losses without a file, for any quality between 1 and 100, as Real-ESRGAN's training has them (DiffJPEG).

The steps of ITU-T T.81: colours to luma and chroma, chroma at half the resolution, the cosine transform of 8x8 pixels,
rounding to multiples of a table's numbers, and back. A codec also rounds the table, for which qualities are integers,
and the pixels before and after. The table of luma is the standard's with rows and columns exchanged, as it is there.
"""

from __future__ import annotations

import numpy as np

LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
).T
"""Steps of the coefficients at quality 50: table K.1 of the standard, transposed."""
CHROMA = np.pad(
    np.array([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]], np.float32),
    (0, 4),
    constant_values=99,
)
"""The same for chroma: table K.2."""
TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
"""Red, green and blue to luma and the two chroma values, around 0."""
FROM_YCC = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)


def jpeg_losses(image: np.ndarray, quality: float) -> np.ndarray:
    """What is left of an image after compression.

    Args:
        image: ``(H, W, C)`` float32 in [0, 1], of any size: three channels as colour, others one by one as grey.
        quality: from 1 to 100, at which nothing but the chroma's resolution is lost.

    Returns:
        An image of the same size, in [0, 1].
    """
    height, width, channels = image.shape
    factor = np.float32((50 / quality) if quality < 50 else 2 - quality / 50)
    pixels = np.pad(image * np.float32(255), ((0, -height % 16), (0, -width % 16), (0, 0)))
    if channels != 3:
        planes = [_quantised(plane - 128, LUMA * factor) + 128 for plane in np.moveaxis(pixels, 2, 0)]
        return np.clip(np.stack(planes, 2)[:height, :width] / np.float32(255), 0, 1)
    ycc = pixels @ TO_YCC.T
    chroma = ycc[..., 1:].reshape(ycc.shape[0] // 2, 2, ycc.shape[1] // 2, 2, 2).mean((1, 3))
    planes = [_quantised(ycc[..., 0] - 128, LUMA * factor) + 128]
    planes += [_quantised(chroma[..., c], CHROMA * factor).repeat(2, 0).repeat(2, 1) for c in range(2)]
    return np.clip((np.stack(planes, 2) @ FROM_YCC.T)[:height, :width] / np.float32(255), 0, 1)


def _quantised(plane: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """``(H, W)`` around 0, sides multiples of 8, with the cosine coefficients rounded to multiples of the steps."""
    if not steps.any():  # quality 100
        return plane
    height, width = plane.shape
    cosines = _cosines()
    blocks = plane.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)
    found = cosines @ blocks @ cosines.T
    return (cosines.T @ (np.rint(found / steps) * steps) @ cosines).swapaxes(1, 2).reshape(height, width)


def _cosines() -> np.ndarray:
    """The orthonormal cosine transform of 8 values (DCT-II), a row a frequency."""
    frequency, place = np.mgrid[:8, :8]
    rows = np.cos((2 * place + 1) * frequency * np.pi / 16) / 2
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)
