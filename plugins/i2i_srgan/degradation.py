"""Degradations: transforms that make the low-resolution ``source`` out of the high-resolution ``target``.

`Real` is the second-order model of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, section 3 and its appendix): blur,
resizing, noise and JPEG, twice, and a sinc filter for ringing. At scale 1 it makes tasks of restoration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from i2i_srgan.degradation_options import BicubicConfig, RealConfig, StageConfig
from i2i_srgan.imresize import cut_to_multiple, imresize
from i2i_srgan.kernels import Profile, blur_kernel, sinc_kernel

Sample = dict[str, Any]
PROFILES: tuple[Profile, ...] = ("gaussian", "generalized", "plateau")


class Bicubic:
    """Makes ``source`` of ``target`` by MATLAB's bicubic shrinking.

    Args:
        config: without options.
        scale: how many times larger the target is.
    """

    def __init__(self, config: BicubicConfig, *, scale: int = 1) -> None:
        self.scale = scale

    def __call__(self, sample: Sample) -> Sample:
        """Adds ``source`` of the type of ``target``, which is cut to a multiple; a sample with a source stays as it is.

        Raises:
            i2i.DataError: the target is smaller than the scale.
        """
        return _with_source(sample, self.scale, lambda target: imresize(target, self.scale))


class Real:
    """Makes ``source`` of ``target`` by the degradations of Real-ESRGAN, a model of how photographs lose quality.

    Two rounds of blur, resizing, noise and JPEG, and a sinc filter (Wang et al. 2021, arXiv:2107.10833, section 3).

    Random numbers come from ``numpy.random``. Images of other than three channels are compressed channel by channel.

    Args:
        config: the options.
        scale: how many times larger the target is.
    """

    def __init__(self, config: RealConfig, *, scale: int = 1) -> None:
        self.config, self.scale = config, scale

    def __call__(self, sample: Sample) -> Sample:
        """Adds ``source`` of the type of ``target``, which is cut to a multiple; a sample with a source stays as it is.

        Raises:
            i2i.DataError: the target is smaller than the scale.
        """
        return _with_source(sample, self.scale, self._degraded)

    def _degraded(self, target: np.ndarray) -> np.ndarray:
        """The source for a target ``(H, W, C)``, of the same type and range."""
        peak = 1.0 if target.dtype.kind == "f" else float(np.iinfo(target.dtype).max)
        source = self._photographed((target / peak).astype(np.float32)) * peak
        source = source if target.dtype.kind == "f" else np.rint(source)
        return source.astype(target.dtype)

    def _photographed(self, image: np.ndarray) -> np.ndarray:
        """Both rounds of degradation of ``(H, W, C)`` float32 in [0, 1], and the last filter and compression."""
        first, second = self.config.first, self.config.second
        size = image.shape[0] // self.scale, image.shape[1] // self.scale
        image = _jpeg(_round(image, first, (image.shape[0], image.shape[1])), first.jpeg)
        image = _round(image, second, size)
        if np.random.random() < 0.5:
            image = _jpeg(self._finished(image, size), second.jpeg)
        else:
            image = self._finished(_jpeg(image, second.jpeg), size)
        return np.clip(image, 0, 1)

    def _finished(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The image at its final (height, width), sometimes with the ringing of a sinc filter."""
        image = _resized(image, size)
        if np.random.random() < self.config.final_sinc:
            kernel_size = _odd(self.config.second.kernel_size)
            image = _filtered(image, sinc_kernel(kernel_size, np.random.uniform(math.pi / 3, math.pi)))
        return image


def _with_source(sample: Sample, scale: int, degrade: Callable[[np.ndarray], np.ndarray]) -> Sample:
    """Adds a source to a sample that has none: the degraded target, which is cut to a multiple of the scale."""
    if "source" in sample:
        return sample
    target = cut_to_multiple(sample["target"], scale)
    return sample | {"source": degrade(target), "target": target}


def _round(image: np.ndarray, config: StageConfig, size: tuple[int, int]) -> np.ndarray:
    """Blur, resizing to a random multiple of the (height, width), and noise."""
    if np.random.random() < config.blur:
        image = _filtered(image, _random_kernel(config))
    low, high = config.resize_range
    factor = (np.random.uniform(1, high), np.random.uniform(low, 1), 1.0)[_choice(config.resize)]
    image = _resized(image, (max(1, round(size[0] * factor)), max(1, round(size[1] * factor))))
    return np.clip(image + _noise(image, config), 0, 1)


def _random_kernel(config: StageConfig) -> np.ndarray:
    size = _odd(config.kernel_size)
    if np.random.random() < config.sinc:
        return sinc_kernel(size, np.random.uniform(math.pi / (3 if size < 13 else 5), math.pi))
    kind = _choice(config.kernels)
    sigma = (np.random.uniform(*config.sigma), np.random.uniform(*config.sigma))
    angle = np.random.uniform(-math.pi, math.pi)
    if np.random.random() >= config.anisotropic[kind]:
        sigma = (sigma[0], sigma[0])
    low, high = ((1.0, 1.0), config.generalized_beta, config.plateau_beta)[kind]
    beta = np.random.uniform(low, 1) if np.random.random() < 0.5 else np.random.uniform(1, high)
    return blur_kernel(size, profile=PROFILES[kind], sigma=sigma, angle=angle, beta=beta)


def _choice(weights: tuple[float, float, float]) -> int:
    return int(np.random.choice(3, p=np.array(weights) / sum(weights)))


def _odd(limits: tuple[int, int]) -> int:
    return 2 * np.random.randint(limits[0] // 2, limits[1] // 2 + 1) + 1


def _filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101).reshape(image.shape)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    method = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[np.random.randint(3)]
    return cv2.resize(image, size[::-1], interpolation=method).reshape(*size, image.shape[2])


def _noise(image: np.ndarray, config: StageConfig) -> np.ndarray:
    """Noise to be added to ``(H, W, C)`` in [0, 1]."""
    channels = 1 if np.random.random() < config.grey else image.shape[2]
    if np.random.random() < config.gaussian:
        sigma = np.random.uniform(*config.gaussian_sigma) / 255
        return (sigma * np.random.standard_normal((*image.shape[:2], channels))).astype(np.float32)
    light = np.clip(image.mean(axis=2, keepdims=True) if channels == 1 else image, 0, 1)
    scale = np.random.uniform(*config.poisson_scale)
    return (scale * (np.random.poisson(light * 255) / 255 - light)).astype(np.float32)


def _jpeg(image: np.ndarray, limits: tuple[int, int]) -> np.ndarray:
    """Compressed and read again: three channels as colour, which loses half of its resolution, others one by one."""
    quality = np.random.randint(limits[0], limits[1] + 1)
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    if pixels.shape[2] == 3:
        pixels = _compressed(pixels[..., ::-1], quality)[..., ::-1]
    else:
        pixels = np.stack([_compressed(plane, quality) for plane in np.moveaxis(pixels, 2, 0)], axis=2)
    return pixels.astype(np.float32) / 255


def _compressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    """BGR ``(H, W, 3)`` or grey ``(H, W)`` uint8 -> the same shape."""
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    return decoded
