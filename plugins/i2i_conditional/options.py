"""Options of the networks. They need no torch, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

import i2i


class DCGANGeneratorConfig(i2i.Config):
    """Options of the DCGAN generator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the last hidden layer; they double towards the noise, up to eight times that."""
    classes: Annotated[int, Field(ge=0)] = 0
    """Number of classes; the recipe sets it. 0: images without labels."""
    condition: Literal["norm", "concat"] = "norm"
    """How the label enters: norm gives batch norm a scale and shift a class, concat puts it beside the noise."""
    upsample: Literal["deconv", "resize"] = "deconv"
    """deconv as in the paper, or resize, which leaves no checkerboard."""
    init_std: Annotated[float, Field(gt=0)] = 0.02
    """Standard deviation of the initial weights."""


class DCGANDiscriminatorConfig(i2i.Config):
    """Options of the DCGAN discriminator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double up to eight times that."""
    norm: Literal["batch", "none"] = "none"
    """Normalisation of all layers but the first and the last: batch as in the paper, or none."""
    classes: Annotated[int, Field(ge=0)] = 0
    """Number of classes; the recipe sets it. 0: images without labels."""
    condition: Literal["projection", "concat"] = "projection"
    """How the label enters: projection compares it with the features, concat puts it beside the image."""
    features: bool = False
    """Return the hidden layers' outputs too, for feature matching."""
    minibatch: Literal["none", "std", "discrimination"] = "none"
    """What the last layer sees of the rest of the batch."""
    init_std: Annotated[float, Field(gt=0)] = 0.02
    """Standard deviation of the initial weights."""


class StarGANGeneratorConfig(i2i.Config):
    """Options of the StarGAN generator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double with each halving of the size."""
    halvings: Annotated[int, Field(ge=0, le=4)] = 2
    """How often the size is halved before the residual blocks; fewer keep more detail of small images."""
    blocks: Annotated[int, Field(ge=0)] = 6
    """Residual blocks."""


class StarGANDiscriminatorConfig(i2i.Config):
    """Options of the StarGAN discriminator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; each layer has twice as many as the one before."""
    layers: Annotated[int, Field(ge=1, le=8)] | None = None
    """Stride-2 layers; null: down to 2 or 3 pixels for the training size, at most 6."""
    classes: Annotated[int, Field(ge=0)] = 0
    """Number of classes; the recipe sets it. 0: no class logits."""
    minibatch: Literal["none", "std", "discrimination"] = "none"
    """Statistics over the batch for the judgement of what is real, against mode collapse."""
    features: bool = False
    """Return the activations too, for feature matching."""
