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

from i2i_srgan.degradations.imresize import cut_to_multiple, imresize
from i2i_srgan.degradations.jpeg import jpeg_losses
from i2i_srgan.degradations.kernels import Profile, blur_kernel, sinc_kernel
from i2i_srgan.degradations.noise import gaussian_noise, poisson_noise
from i2i_srgan.degradations.options import BicubicConfig, RealConfig, StageConfig

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

    Two rounds of blur, resizing, noise and JPEG, and a sinc filter (Wang et al. 2021, arXiv:2107.10833, section 3),
    with the steps, methods and defaults of the authors' training code. There a batch shares factors and noise, for
    which a pool mixes the pairs of several batches again; here each sample has its own. There images of 400 pixels are
    degraded and then cropped; here the training crop is, so that its border is mirrored.

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
        if self.config.sharpen:
            image = _sharpened(image)
        image = _jpeg(_round(image, first), first.jpeg)
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


def _round(image: np.ndarray, config: StageConfig, size: tuple[int, int] | None = None) -> np.ndarray:
    """Blur, resizing to a random multiple of the (height, width), or of the image's own, and noise."""
    if np.random.random() < config.blur:
        image = _filtered(image, _random_kernel(config))
    low, high = config.resize_range
    factor = (np.random.uniform(1, high), np.random.uniform(low, 1), 1.0)[_choice(config.resize)]
    height, width = size or image.shape[:2]
    wanted = max(1, int(height * factor)), max(1, int(width * factor))
    image = _resized(image, wanted, factor=None if size else factor)
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


def _resized(image: np.ndarray, size: tuple[int, int], factor: float | None = None) -> np.ndarray:
    """At another (height, width), by a method drawn at random.

    torch's methods are those of the authors' code. Area is the mean of whole pixels, and the other two do not blur
    before they shrink: the image gets aliased, as by careless software. With the factor, positions are spaced by it
    exactly, and not by the quotient of the sizes, which are rounded down.
    """
    import torch

    method = ("area", "bilinear", "bicubic")[np.random.randint(3)]
    if image.shape[:2] == size:
        return image
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
    exact = factor is not None and min(image.shape[:2]) * factor >= 1
    where: dict[str, Any] = {"scale_factor": factor} if exact else {"size": size}
    made = torch.nn.functional.interpolate(planes, **where, mode=method)
    return np.ascontiguousarray(made[0].numpy().transpose(1, 2, 0))


def _noise(image: np.ndarray, config: StageConfig) -> np.ndarray:
    """Noise to be added to ``(H, W, C)`` in [0, 1]."""
    grey = np.random.random() < config.grey
    if np.random.random() < config.gaussian:
        return gaussian_noise(image.shape, np.random.uniform(*config.gaussian_sigma) / 255, grey=grey)
    return poisson_noise(image, np.random.uniform(*config.poisson_scale), grey=grey)


def _jpeg(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """With the losses of compression, of any quality between the limits."""
    return jpeg_losses(np.clip(image, 0, 1), np.random.uniform(*limits))


def _sharpened(image: np.ndarray) -> np.ndarray:
    """``(H, W, C)`` float32 in [0, 1] with stronger edges."""
    import torch

    from i2i_srgan.sharpening import sharpened

    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return np.ascontiguousarray(sharpened(planes[None])[0].numpy().transpose(1, 2, 0))
