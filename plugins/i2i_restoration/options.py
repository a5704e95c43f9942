"""Options of networks and recipes. They need no torch, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

import i2i

Weight = Annotated[float, Field(ge=0)]


class GatedConfig(i2i.Config):
    """Options of the network of gated convolutions."""

    filters: Annotated[int, Field(ge=1)] = 24
    """Channels of the first layer, after gating; they double twice. The authors' code has 24 (48 before gating)."""
    blocks: Annotated[int, Field(ge=0, le=6)] = 4
    """Dilated convolutions in the middle of each stage, of rates 2, 4, 8, ..."""
    attention: bool = True
    """A branch of the second stage copies features of known places (Yu et al. 2018). Its memory grows with the square
    of the number of pixels, and images cannot be cut into tiles: set false for large photographs."""


class PartialConfig(i2i.Config):
    """Options of the U-Net of partial convolutions."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double up to eight times that."""
    depth: Annotated[int, Field(ge=2, le=10)] | None = None
    """Number of halvings; null: down to 2x2 for the training size, at most 8."""
    frozen_norm: bool = False
    """The encoder's batch norm goes on with the statistics that it has: for fine-tuning, as in the paper."""


class SNPatchConfig(i2i.Config):
    """Options of the discriminator; spectral norm comes from `adversary.spectral_norm`."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double twice."""
    layers: Annotated[int, Field(ge=1, le=8)] = 6
    """Layers, each of which halves the size."""
    features: bool = False
    """Return the activations beside the logits, for feature matching; the recipe sets it."""


class InpaintConfig(i2i.Config):
    """Inpainting: generator, discriminator and the weights of the losses."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("gated")
    """Network from image and mask to image: gated or partial, or any generator that takes both."""
    discriminator: i2i.DiscriminatorChoice | None = i2i.DiscriminatorChoice("sn-patch")
    """Network that judges the filled image together with the mask; null: none, and no adversarial loss."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(loss=i2i.LossChoice("hinge"), spectral_norm=True)
    """The adversarial game."""
    hole: Annotated[float, Field(gt=0)] = 1.0
    """Weight of the absolute error in the hole, a mean over all pixels of the image, in [-1, 1]."""
    valid: Weight = 1.0
    """Weight of the absolute error outside of it, a mean over all pixels too; both at 1 are the mean absolute error."""
    features: i2i.FeaturesChoice | None = None
    """Feature network of the perceptual and the style loss; null: neither of them."""
    feature_maps: Annotated[int, Field(ge=1)] = 3
    """How many of its feature maps are compared, the first ones."""
    pool_features: bool = True
    """Halve each of them by max pooling: of vgg16's ReLUs these are pool1, pool2 and pool3, as in the paper."""
    perceptual: Weight = 0.05
    """Weight of the distance between features."""
    style: Weight = 120.0
    """Weight of the distance between the correlations of features."""
    total_variation: Weight = 0.0
    """Weight of the absolute differences of neighbouring pixels in and around the hole."""


class ColorizeConfig(i2i.Config):
    """Colourisation: generator, discriminator and the weight of the pixel loss."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("unet")
    """Network from lightness (1 channel) to colour (2 channels): unet or resnet, or any other generator."""
    discriminator: i2i.DiscriminatorChoice | None = i2i.DiscriminatorChoice("patch")
    """Network that judges lightness and colour together; null: none, and no adversarial loss."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(discriminator_weight=0.5)
    """The adversarial game; the paper halves the discriminator's loss to slow it down."""
    l1: Weight = 100.0
    """Weight of the mean absolute error of a and b, both divided by 110."""

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if self.discriminator is None and not self.l1:
            raise ValueError("without a discriminator nothing is learned: set l1 above 0")
        return self
