"""From a raw sample to training tensors: direction, channels, resizing, cropping, augmentation, degradation.

Everything random is drawn from ``numpy.random``, which the loader seeds for each sample.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

import cv2
import numpy as np

from i2i.api import Transform
from i2i.config import DataConfig
from i2i.data.checks.value_ranges import range_problem
from i2i.data.options import AugmentConfig
from i2i.data.reading.bands import Bands
from i2i.errors import ConfigError, DataError, ErrorKind
from i2i.images import ValueRange, apply_alpha, label_map, to_channels, to_dtype
from i2i.images.errors import errors_about
from i2i.images.pixels import split_alpha
from i2i.images.values import colours, extremes
from i2i.kinds import PICKED, ValueKind

if TYPE_CHECKING:
    from albumentations import Compose

Sample = dict[str, Any]


class Augment:
    """Flips, rotates and changes brightness and contrast, with the same parameters for every image of a sample.

    Args:
        config: see `AugmentConfig`.
        kinds: what the images stand for, by key; only pictures change in brightness and contrast.
    """

    def __init__(self, config: AugmentConfig, kinds: Mapping[str, ValueKind] | None = None) -> None:
        albumentations = _albumentations()
        flips = [albumentations.HorizontalFlip(p=config.flip), albumentations.VerticalFlip(p=config.vertical_flip)]
        both = [albumentations.HorizontalFlip(p=1), albumentations.VerticalFlip(p=1)]
        half_turn = albumentations.Sequential(both, p=config.rotate90 / 2)  # the other half turns by 0 degrees
        # the images of a pair for super-resolution have two sizes
        self.moves = _compose([*flips, albumentations.RandomRotate90(p=config.rotate90)], equal_sizes=False)
        self.moves_of_oblongs = _compose([*flips, half_turn], equal_sizes=False)
        self.light = None
        if config.brightness or config.contrast:
            light = albumentations.RandomBrightnessContrast(config.brightness, config.contrast, p=0.5)
            self.light = _compose([light], equal_sizes=False)
        self.no_pictures = {key for key, kind in (kinds or {}).items() if kind != "image"}

    def __call__(self, sample: Sample) -> Sample:
        """Images ``(H, W, C)`` -> the same keys, the same dtypes except uint16 -> float32."""
        square = all(v.shape[0] == v.shape[1] for v in sample.values() if is_image(v))
        sample = _apply(self.moves if square else self.moves_of_oblongs, sample)
        if self.light is None:
            return sample
        pictures = {key: v for key, v in sample.items() if is_image(v) and key not in self.no_pictures}
        floats = np.dtype(np.float32)  # albumentations does not know 16 bits there
        pictures = {key: to_dtype(v, floats) if v.dtype == np.uint16 else v for key, v in pictures.items()}
        return sample | _apply(self.light, pictures)


@dataclass
class SamplePipeline:
    """From a dataset's samples to those of training: images become uint8 or float32 tensors ``(C, H, W)``.

    uint8 stays uint8 (the engine scales it on the device); other types become float32 in [-1, 1].

    Attributes:
        config: the data section.
        bands: what is taken of the images, by key.
        augment: augmentation of training samples; None for validation, which uses the image's centre, or all of it.
        degrade: makes the source of samples that have none; None: samples are left without one.
        paired: whether the images of a sample share their random parameters.
        values: the ranges of values of the images, by key.
        kinds: what the images stand for, by key; those that are not there are pictures.
        needed: the kinds that the recipe needs, by key: label maps become numbers, masks 0 and 1.
    """

    config: DataConfig
    bands: Mapping[str, Bands]
    augment: Transform | None
    degrade: Transform | None = None
    paired: bool = True
    values: Mapping[str, ValueRange] = field(default_factory=dict)
    kinds: Mapping[str, ValueKind] = field(default_factory=dict)
    needed: Mapping[str, ValueKind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        picked = frozenset(key for key, kind in self.kinds.items() if kind in PICKED)
        self.geometry = _geometry(self.config, picked, random=self.augment is not None)

    def __call__(self, sample: Sample) -> Sample:
        """Applies all steps to one sample.

        Raises:
            DataError: an image has floats beyond [0, 1], and no range is set; or a label map has other channels.
        """
        sample = swapped(sample, self.config.direction)
        sample = {key: self._with_bands(key, v) if is_image(v) else v for key, v in sample.items()}
        if self.paired:
            sample = self._changed(sample)
        else:
            sample |= {key: self._changed({key: value})[key] for key, value in sample.items() if is_image(value)}
        if self.degrade is not None and "source" not in sample:
            sample = self.degrade(sample)
            if "source" not in sample and self.config.degrade is not None:
                raise ConfigError(f"data.degrade={self.config.degrade.name} makes no source: choose a degradation")
        return {key: _to_tensor(v, self.needed.get(key)) if is_image(v) else v for key, v in sample.items()}

    def _with_bands(self, key: str, image: np.ndarray) -> np.ndarray:
        """The bands that are taken; of colours, which are converted, those with alpha become what ``data.alpha`` says.

        Raises:
            DataError: the image has another number of bands.
        """
        rule = self.bands[key]
        if self.kinds.get(key) == "labels":
            with errors_about(key):
                return label_map(image, channels=rule.channels)
        is_colour = not rule.of
        taken = self._in_range(key, rule.take(image), has_alpha=is_colour and image.shape[2] == 4)
        if not is_colour:
            return taken
        wanted = self.config.alpha
        pixels, alpha = apply_alpha(*split_alpha(taken), "keep" if wanted == "bleed" or wanted == "channel" else wanted)
        return to_channels(pixels, rule.channels, alpha)

    def _in_range(self, key: str, image: np.ndarray, *, has_alpha: bool) -> np.ndarray:
        """The image with the values of its range, if it has one, mapped to [0, 1]; alpha stays."""
        values = self.values.get(key)
        if values is None or values.bounds is None:
            if image.dtype == np.float32 and (
                problem := range_problem(self.config, key, "float32", extremes(image, has_alpha))
            ):
                raise DataError(problem, kind=ErrorKind.OUT_OF_RANGE)
            return image
        mapped = values.to_unit(colours(image, has_alpha))
        alpha = image[..., mapped.shape[2] :]
        return np.concatenate([mapped, to_dtype(alpha, np.float32)], axis=2) if alpha.size else mapped

    def _changed(self, sample: Sample) -> Sample:
        sample = self.geometry(sample)
        return sample if self.augment is None else self.augment(sample)


def is_image(value: Any) -> TypeGuard[np.ndarray]:
    """Whether a sample's value is an image array."""
    return isinstance(value, np.ndarray) and value.ndim == 3


def swapped(sample: Sample, direction: str) -> Sample:
    """Source and target exchanged when the direction is BtoA."""
    if direction == "AtoB" or not {"source", "target"} <= sample.keys():
        return sample
    return sample | {"source": sample["target"], "target": sample["source"]}


def _geometry(config: DataConfig, picked: frozenset[str], *, random: bool) -> Transform:
    """Resize and random crop for training; the whole image (or its centre) at the crop's size for validation.

    Args:
        config: the data section.
        picked: keys of the images that are resized by the nearest pixel.
        random: whether the crop is a random one.
    """
    if config.val_whole and not random:
        return partial(_cut_to_multiple, scale=config.scale)
    a = _albumentations()
    size = config.height_width
    method = {"interpolation": cv2.INTER_CUBIC, "area_for_downscale": "image"}
    method["mask_interpolation"] = cv2.INTER_NEAREST_EXACT  # INTER_NEAREST takes the upper left pixel of each cell
    crop = a.RandomCrop(*size, pad_if_needed=True, border_mode=cv2.BORDER_REFLECT_101)
    if not random:
        crop = a.CenterCrop(*size, pad_if_needed=True, border_mode=cv2.BORDER_REFLECT_101)
    resized = config.resized if random else size
    if config.resize == "stretch":
        compose = _compose([a.Resize(*resized, **method), crop])
    elif config.resize == "shorter":
        compose = _compose([a.SmallestMaxSize(max_size_hw=resized, **method), crop])
    else:
        compose = _compose([crop])
    if config.scale == 1:
        return partial(_apply, compose, picked=picked)
    return partial(_scaled, compose, size, config.scale, random)


def _scaled(compose: Compose, size: tuple[int, int], scale: int, random: bool, sample: Sample) -> Sample:
    if is_image(sample.get("source")) and is_image(sample.get("target")):
        return aligned_crop(sample, size, scale, random=random)
    return _apply(compose, sample)


def aligned_crop(sample: Sample, size: tuple[int, int], scale: int, *, random: bool) -> Sample:
    """Cuts the same place out of a source and a target `scale` times as large.

    Args:
        sample: has ``source`` and ``target``, arrays ``(H, W, C)``.
        size: height and width of the target's crop.
        scale: target size over source size.
        random: whether the place is drawn from `numpy.random`; otherwise it is the middle.

    Raises:
        DataError: the target is not that much larger.
    """
    sample = _cut_to_multiple(sample, scale)
    source, target = sample["source"], sample["target"]
    height, width = (side // scale for side in size)
    short = [max(0, height - source.shape[0]), max(0, width - source.shape[1])]
    source, target = (
        np.pad(image, ((0, short[0] * by), (0, short[1] * by), (0, 0)), "symmetric")
        for image, by in ((source, 1), (target, scale))
    )
    free = [source.shape[0] - height, source.shape[1] - width]
    row, column = ([np.random.randint(f + 1) for f in free]) if random else [f // 2 for f in free]
    return sample | {
        "source": source[row : row + height, column : column + width],
        "target": target[row * scale : (row + height) * scale, column * scale : (column + width) * scale],
    }


def _cut_to_multiple(sample: Sample, scale: int) -> Sample:
    """Cuts the rest of the division by the scale off the target's right and lower side."""
    target = sample.get("target")
    if scale == 1 or not is_image(target):
        return sample
    height, width = target.shape[0] // scale, target.shape[1] // scale
    source = sample.get("source")
    if is_image(source) and source.shape[:2] != (height, width):
        raise DataError(
            f"the target ({target.shape[1]}x{target.shape[0]}) must be {scale} times as large as the source "
            f"({source.shape[1]}x{source.shape[0]}): exchange them with data.direction, or set another data.scale"
        )
    return sample | {"target": target[: height * scale, : width * scale]}


def _albumentations() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network at import
    import albumentations

    return albumentations


def _compose(steps: list[Any], *, equal_sizes: bool = True) -> Compose:
    return _albumentations().Compose(steps, seed=0, is_check_shapes=equal_sizes)


def _apply(compose: Compose, sample: Sample, picked: frozenset[str] = frozenset()) -> Sample:
    """Runs albumentations with one set of random parameters over all images of a sample.

    Args:
        compose: the steps.
        sample: the sample.
        picked: keys of the images whose values are picked, not blended: masks to albumentations.
    """
    images = {key: value for key, value in sample.items() if is_image(value)}
    if not images:
        return sample
    first = next((key for key in images if key not in picked), next(iter(images)))
    given = {key: image for key, image in images.items() if key != first or key in picked}
    new = {key: "mask" if key in picked else "image" for key in given if key not in compose.additional_targets}
    compose.add_targets(new)
    compose.set_random_seed(int(np.random.randint(2**31)))
    result = compose(image=images[first], **given)  # there must be an `image`, if only one to be thrown away
    return sample | {key: result[key if key in given else "image"] for key in images}


def _to_tensor(image: np.ndarray, kind: ValueKind | None = None) -> Any:
    """An image ``(H, W, C)`` as a tensor: of labels their numbers ``(H, W)``, of a mask 0 and 1 ``(1, H, W)``."""
    import torch

    if kind == "labels":
        return torch.from_numpy(image[..., 0].copy())
    if kind == "mask":
        white = to_dtype(to_channels(image, 1), np.dtype(np.float32)) > 0.5
        return torch.from_numpy(white.transpose(2, 0, 1).astype(np.float32))
    if image.dtype != np.uint8:
        image = np.clip(to_dtype(image, np.dtype(np.float32)), 0, 1) * 2 - 1  # bicubic resizing overshoots
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))  # a copy: cached images are read-only
