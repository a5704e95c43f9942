"""Recipes for super-resolution: a generator trained by a pixel loss alone, or by that first and then by a GAN.

`SRResNet` is the first stage of SRGAN (Ledig et al. 2017, arXiv:1609.04802); `SRGAN` adds the adversarial stage, and
with other options is ESRGAN (Wang et al. 2018, arXiv:1809.00219). Real-ESRNet and Real-ESRGAN (Wang et al. 2021,
arXiv:2107.10833, section 4.1) are the same two on degraded sources, with losses that see sharpened targets. There the
generator learns before the discriminator in each step, here after it, from the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

import i2i

if TYPE_CHECKING:
    from torch import Tensor, nn

Weight = Annotated[float, Field(ge=0)]
Distance = Literal["l1", "l2"]


class SRResNetConfig(i2i.Config):
    """Super-resolution by a pixel loss, the choice where PSNR counts."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("srresnet")
    """Network that enlarges: srresnet, msrresnet, rrdb, srvgg, or any generator with an option `scale`."""
    distance: Distance = "l2"
    """Pixel loss: l1, mean absolute error, or l2, mean squared error as in the paper; images in [-1, 1]."""
    sharpen: bool = False
    """Compare with the sharpened target, as Real-ESRNet does."""


class SRGANConfig(i2i.Config):
    """Super-resolution by a pixel loss first, then a GAN, the choice where looks count."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("srresnet")
    """Network that enlarges: srresnet, msrresnet, rrdb, srvgg, or any generator with an option `scale`."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("vgg")
    """Network that judges large images: vgg, unet-sn as in Real-ESRGAN, patch, or any other discriminator."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(weight=1e-3)
    """The adversarial game of the second stage."""
    pretrain: Annotated[float, Field(ge=0, lt=1)] = 0.8333
    """Share of the run that is the first stage: the pixel loss alone. 10^6 of 1.2 * 10^6 steps in the paper."""
    pretrain_lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of the first stage; null: that of `train.optimizer`."""
    distance: Distance = "l2"
    """Pixel loss of both stages: l1, mean absolute error, or l2, mean squared error; images in [-1, 1]."""
    pixel: Weight = 0.0
    """Weight of the pixel loss in the second stage."""
    features: i2i.FeaturesChoice | None = i2i.FeaturesChoice("vgg19", {"layers": ["relu5_4"], "rescale": 1 / 12.75})
    """Feature network of the perceptual loss; null: none, which needs `pixel` above 0 (SRGAN-MSE in the paper)."""
    perceptual: Weight = 1.0
    """Weight of the distance between features."""
    perceptual_distance: Distance = "l2"
    """Distance between features: l1 as in ESRGAN, or l2 as in SRGAN."""
    perceptual_weights: tuple[Weight, ...] | None = None
    """Weight of each feature map's distance in their sum, in the order of the layers; null: their mean."""
    sharpen: tuple[Literal["pixel", "perceptual", "adversarial"], ...] = ()
    """Losses that compare with the sharpened target: pixel and perceptual in Real-ESRGAN."""

    @property
    def compares_features(self) -> bool:
        """Whether there is a perceptual loss."""
        return self.features is not None and self.perceptual > 0

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not self.compares_features and not self.pixel:
            raise ValueError("without features nothing ties the output to its input: set pixel above 0")
        return self


class SRResNet(i2i.Recipe):
    """Super-resolution by a pixel loss alone; the target is ``data.scale`` times as large as the source."""

    paired = True

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """The generator."""
        return {"generator": _generator(self.config.generator, build, sample)}

    def phases(self) -> Sequence[i2i.Phase]:
        """One phase, which trains the generator."""
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equation 4 of the SRGAN paper, or the mean absolute error; for Real-ESRNet of the sharpened target."""
        target = _sharpened(batch["target"]) if self.config.sharpen else batch["target"]
        return {"pixel": _distance(nets["generator"](batch["source"]), target, self.config.distance)}

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator."""
        return _translators(nets, sample)


class SRGAN(i2i.Recipe):
    """Super-resolution by a pixel loss, then by a GAN: two stages of one run, which train the same generator."""

    paired = True

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, discriminator and, for a perceptual loss, the feature network.

        Raises:
            ConfigError: the feature network cannot see such images.
        """
        self.adversary = i2i.Adversary(self.config.adversary, build, paired=True)
        channels, *size = sample["target"].shape[1:]
        networks = {
            "generator": _generator(self.config.generator, build, sample),
            "discriminator": self.adversary.discriminator(
                self.config.discriminator, in_channels=channels, size=(size[0], size[1])
            ),
        }
        if not self.config.compares_features:
            return networks
        if channels not in (1, 3):
            raise i2i.ConfigError(f"the feature network sees 1 or 3 channels, not {channels}: set features=null")
        features = build.features(self.config.features)
        try:  # now, and not when the second stage begins
            maps = features(sample["target"][:1])
        except (RuntimeError, ValueError) as error:
            what = f"features '{self.config.features.name}' cannot see images of {size[0]}x{size[1]}"
            raise i2i.ConfigError(f"{what}: set a larger data.size") from error
        weights = self.config.perceptual_weights
        if weights is not None and len(weights) != len(maps):
            what = f"perceptual_weights has {len(weights)} weights for {len(maps)} feature maps"
            raise i2i.ConfigError(f"{what}: set one for each of features.layers, or null")
        return networks | {"features": features}

    def phases(self) -> Sequence[i2i.Phase]:
        """The pixel loss alone in the first stage, then discriminator and generator."""
        begin = self.config.pretrain
        rate = {"lr": self.config.pretrain_lr} if self.config.pretrain_lr else {}
        first = [i2i.Phase("pixel", trains=("generator",), stop=begin, optimizer=rate)] if begin else []
        return [
            *first,
            self.config.adversary.phase("discriminator", trains=("discriminator",), start=begin),
            i2i.Phase("generator", trains=("generator",), start=begin),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """The enlarged image and the sharpened target serve every phase."""
        shared = {"fake": nets["generator"](batch["source"])}
        return shared | {"sharp": _sharpened(batch["target"])} if self.config.sharpen else shared

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equation 3 of the SRGAN paper; equation 3 of ESRGAN with its options."""
        fake = batch["fake"]
        pixel, perceptual, adversarial = (
            batch["sharp" if loss in self.config.sharpen else "target"]
            for loss in ("pixel", "perceptual", "adversarial")
        )
        if phase == "pixel":
            return {"pixel": _distance(fake, pixel, self.config.distance)}
        if phase == "discriminator":
            return self.adversary.discriminator_losses(nets["discriminator"], adversarial, fake, ctx)
        losses = self.adversary.generator_losses(nets["discriminator"], adversarial, fake, ctx)
        if self.config.pixel:
            losses["pixel"] = self.config.pixel * _distance(fake, pixel, self.config.distance)
        if self.config.compares_features:
            losses["perceptual"] = self.config.perceptual * self._perceptual(nets["features"], fake, perceptual)
        return losses

    def _perceptual(self, features: Any, fake: Tensor, real: Tensor) -> Tensor:
        """Distance of the features, their mean or weighted sum over the layers (equation 5 of the SRGAN paper)."""
        import torch

        with torch.no_grad():
            of_real = features(real)
        pairs = zip(features(fake), of_real, strict=True)
        distances = torch.stack([_distance(made, true, self.config.perceptual_distance) for made, true in pairs])
        weights = self.config.perceptual_weights
        return distances.mean() if weights is None else (distances * distances.new_tensor(weights)).sum()

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator."""
        return _translators(nets, sample)


def _generator(choice: i2i.GeneratorChoice, build: i2i.Build, sample: dict[str, Tensor]) -> nn.Module:
    source, target = sample["source"], sample["target"]
    scale = target.shape[2] // source.shape[2]
    a, b = source.shape[1], target.shape[1]
    return build.generator(choice, in_channels=a, out_channels=b, inputs=("image",), scale=scale)


def _distance(image: Tensor, other: Tensor, name: Distance) -> Tensor:
    difference = image - other
    return difference.abs().mean() if name == "l1" else difference.square().mean()


def _sharpened(images: Tensor) -> Tensor:
    """``(N, C, H, W)`` in [-1, 1] with stronger edges."""
    from i2i_srgan.sharpening import sharpened

    return sharpened((images + 1) / 2) * 2 - 1


def _translators(nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
    return {"default": i2i.Translator(module=nets["generator"], example={"image": sample["source"][:1]})}
