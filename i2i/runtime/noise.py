"""The noise that a model takes as input: a different one for each generated image, one for all translated images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from i2i.errors import UserError


def draw_noise(
    size: Sequence[int], numbers: Iterable[int], *, label: int | None, seed: int, truncation: float | None
) -> np.ndarray:
    """Standard normal noise for the images of these numbers.

    With a truncation, values of larger magnitude are replaced by new ones until none is left (Brock et al. 2019,
    arXiv:1809.11096, section 3.1); those within stay as they are without it.

    Args:
        size: shape of one image's noise, usually ``(Z,)``.
        numbers: one for each image, from 0; an image's noise depends on its number, not on the others in the call.
        label: number of the label; each label has other noise. None counts as 0.
        seed: from 0; another one gives other noise.
        truncation: largest magnitude, above 0; None: no limit.

    Returns:
        Array ``(N, *size)`` float32.

    Raises:
        UserError: seed or truncation is out of range.
    """
    check_noise_options(seed, truncation)
    return np.stack([_noise_of(tuple(size), (label or 0, number), seed, truncation) for number in numbers])


def check_noise_options(seed: int, truncation: float | None) -> None:
    """Checks the options of `draw_noise`.

    Raises:
        UserError: seed or truncation is out of range.
    """
    if seed < 0:
        raise UserError(f"the seed is a whole number from 0, not {seed}")
    if truncation is not None and not truncation > 0:
        raise UserError(f"the truncation is a number above 0, not {truncation}")


def noise_size(
    noise_shape: Sequence[str | int], image_shape: Sequence[str | int] = (), images: Sequence[int] = ()
) -> tuple[int, ...]:
    """Shape of one image's noise.

    Args:
        noise_shape: shape of the noise in the graph: numbers, and names of dimensions that are in `image_shape` too.
        image_shape: shape of the images in the graph.
        images: actual shape ``(N, H, W, C)`` of the images.
    """
    known = dict(zip(image_shape, images, strict=False))
    return tuple(size if isinstance(size, int) else known[size] for size in noise_shape[1:])


def fixed_noise(
    noise_shape: Sequence[str | int], image_shape: Sequence[str | int], images: Sequence[int]
) -> np.ndarray:
    """Standard normal noise, the same for each image, so that a translation depends on nothing but its input.

    Args:
        noise_shape: as for `noise_size`, and so are the others.
        image_shape: shape of the images in the graph.
        images: actual shape of the images; only its first number, how many there are, where noise does not depend on
            their size.

    Returns:
        Array ``(N, ...)`` float32.
    """
    size = noise_size(noise_shape, image_shape, images)
    noise = np.random.default_rng(0).standard_normal(size, dtype=np.float32)
    return np.repeat(noise[np.newaxis], images[0], axis=0)


def _noise_of(size: tuple[int, ...], key: tuple[int, int], seed: int, truncation: float | None) -> np.ndarray:
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    noise = generator.standard_normal(size, dtype=np.float32)
    if truncation is None:
        return noise
    limit = np.float64(truncation)  # not float32, to which numpy would round a plain number
    while (outside := np.abs(noise) > limit).any():
        # A normal value known to lie within the limit: a uniform one, kept with probability proportional to the
        # density. Drawing normal values until one lies there would hardly end for a small limit.
        value = generator.uniform(-limit, limit, outside.sum())
        kept = generator.random(len(value)) < np.exp(-(value**2) / 2)
        noise[outside] = np.where(kept, value, np.inf)
    return noise
