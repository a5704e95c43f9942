"""Inpainting: what a mask covers is filled, and every known pixel stays as it is.

One recipe for two methods. With the generator `gated`: the mean absolute error of the coarse and of the fine result
and SN-PatchGAN, which judges the filled image together with the mask (Yu et al. 2019, arXiv:1806.03589, section 3.3).
With the generator `partial`: errors in the hole and outside of it, perceptual loss, style loss and total variation,
without a discriminator (Liu et al. 2018, arXiv:1804.07723, section 3.3). All of these go with both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i_restoration.hole_losses import hole_and_valid, perceptual_and_style, total_variation
from i2i_restoration.options import InpaintConfig


class Filled(nn.Module):
    """A generator as it is exported: the image, with the generator's pixels in the hole and nowhere else.

    Args:
        generator: from image and mask to image.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.multiple = getattr(generator, "multiple", 1)
        self.minimum = getattr(generator, "minimum", 1)
        self.sees_whole_image = getattr(generator, "sees_whole_image", False)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """``(N, C, H, W)`` in [-1, 1] and ``(N, 1, H, W)``, 1 in the holes -> the filled image."""
        return composed(self.generator(image * (1 - mask), mask), image, mask)


class Inpaint(i2i.Recipe):
    """Inpainting with gated or partial convolutions; the data need a mask, which ``data.degrade=holes`` makes."""

    config: InpaintConfig
    kinds = {"mask": "mask"}  # noqa: RUF012  never changed
    paired = True

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, and where they are asked for discriminator and feature network.

        Raises:
            ConfigError: the samples have no mask, or the feature network cannot see such images.
        """
        if "mask" not in sample:
            raise i2i.ConfigError(
                "the samples have no mask: set data.degrade=holes with data.layout=images, or take a dataset that "
                "gives source, target and mask"
            )
        image = sample["target"]
        channels = image.shape[1]
        self.adversary = i2i.Adversary(self.config.adversary, build, paired=True)
        networks = {
            "generator": build.generator(
                self.config.generator, in_channels=channels, out_channels=channels, inputs=("image", "mask")
            )
        }
        if self.config.discriminator is not None:
            networks["discriminator"] = self.adversary.discriminator(
                self.config.discriminator, in_channels=channels + 1
            )
        if self.config.features is not None and (self.config.perceptual or self.config.style):
            networks["features"] = _features(self.config.features, build, image)
        return networks

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator first, if there is one, then the generator."""
        generator = i2i.Phase("generator", trains=("generator",))
        if self.config.discriminator is None:
            return [generator]
        return [self.config.adversary.phase("discriminator", trains=("discriminator",)), generator]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """The generator's images, and the filled ones, serve both phases."""
        generator, mask = nets["generator"], batch["mask"]
        given = batch["target"] * (1 - mask)
        stages = getattr(generator, "stages", None)
        made = stages(given, mask) if callable(stages) else [generator(given, mask)]
        early = {f"stage{number}": image for number, image in enumerate(made[:-1])}
        return {**early, "made": made[-1], "filled": composed(made[-1], batch["target"], mask)}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """The ``adversarial`` loss of both players, and the generator's others.

        ``hole`` and ``valid`` are of all stages, as both stages are compared with the image in Yu et al. 2019;
        ``perceptual``, ``style`` and ``total_variation`` of the last one.
        """
        real, mask, filled = batch["target"], batch["mask"], batch["filled"]

        def critic(image: Tensor, condition: Tensor) -> Any:
            return nets["discriminator"](torch.cat([image, condition], 1))

        if phase == "discriminator":
            return self.adversary.discriminator_losses(critic, real, filled, ctx, mask)
        config, losses = self.config, {}
        if config.discriminator is not None:
            losses = self.adversary.generator_losses(critic, real, filled, ctx, mask)
        stages = [batch[key] for key in batch if key.startswith("stage")] + [batch["made"]]
        errors = [hole_and_valid(made, real, mask) for made in stages]
        losses["hole"] = config.hole * torch.stack([hole for hole, _ in errors]).sum()
        if config.valid:
            losses["valid"] = config.valid * torch.stack([valid for _, valid in errors]).sum()
        if "features" in nets:
            perceptual, style = perceptual_and_style(self._compared(nets["features"]), batch["made"], filled, real)
            losses |= {"perceptual": config.perceptual * perceptual, "style": config.style * style}
        if config.total_variation:
            losses["total_variation"] = config.total_variation * total_variation(filled, mask)
        return losses

    def _compared(self, features: Any) -> Callable[[Tensor], list[Tensor]]:
        """The feature maps that are compared, as a function of images."""

        def maps(images: Tensor) -> list[Tensor]:
            found = features(images)[: self.config.feature_maps]
            return [F.max_pool2d(one, 2) for one in found] if self.config.pool_features else found

        return maps

    def evaluate(self, nets: Mapping[str, Any], batches: Iterator[dict[str, Tensor]]) -> Mapping[str, float] | None:
        """PSNR in dB in the holes alone: of the generator, and of the mean colour of each image's known pixels."""
        filler, errors, values = Filled(nets["generator"]), [0.0, 0.0], 0.0
        for batch in batches:
            image, mask = batch["target"], batch["mask"]
            known = 1 - mask
            mean = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1)
            for place, made in enumerate((filler(image, mask), mean)):
                errors[place] += float((mask * (made.clamp(-1, 1) - image).square()).sum())
            values += float(mask.sum()) * image.shape[1]
        if not values:
            return None
        generator, mean_fill = (10 * math.log10(4 * values / max(error, 1e-12)) for error in errors)
        return {"hole_psnr": generator, "mean_fill_psnr": mean_fill}

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator, with the known pixels put back."""
        example = {"image": sample["source"][:1], "mask": sample["mask"][:1]}
        return {"default": i2i.Translator(Filled(nets["generator"]), example, inputs={"mask": i2i.MaskInput()})}


def composed(made: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """The generator's pixels where the mask is 1, those of the image, bit by bit, elsewhere."""
    return torch.where(mask > 0.5, made, image)


def _features(choice: i2i.FeaturesChoice, build: i2i.Build, image: Tensor) -> nn.Module:
    """The feature network.

    Raises:
        ConfigError: it cannot see images like that.
    """
    if image.shape[1] not in (1, 3):
        raise i2i.ConfigError(f"the feature network sees 1 or 3 channels, not {image.shape[1]}: set features=null")
    features = build.features(choice)
    try:
        features(image[:1])
    except (RuntimeError, ValueError, i2i.DataError) as error:
        what = f"features '{choice.name}' cannot see images of {image.shape[2]}x{image.shape[3]}"
        raise i2i.ConfigError(f"{what}: set a larger data.size, or features=null") from error
    return features
