"""Options of the networks. They need no torch, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

import i2i


class CodedUNetConfig(i2i.Config):
    """Options of the U-Net with a code."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double up to eight times that."""
    depth: Annotated[int, Field(ge=2, le=12)] | None = None
    """Number of halvings; null: down to 1x1 for the training size, at most 8."""
    code: Annotated[int, Field(ge=1)] = 8
    """Length of the code z."""
    add_to_input: bool = False
    """Put the code beside the image only; false: beside the input of every layer of the encoder."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance that dropout zeroes a value of the inner decoder layers during training; 0.5 in the authors' scripts."""
    init_gain: Annotated[float, Field(gt=0)] = 0.02
    """Factor of the initial weights' standard deviation as Glorot and Bengio have it."""


class AdaINGeneratorConfig(i2i.Config):
    """Options of StarGAN v2's generator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels at the full size; they double with each halving, up to `max_filters`."""
    max_filters: Annotated[int, Field(ge=1)] = 512
    """Most channels of a layer."""
    halvings: Annotated[int, Field(ge=1, le=8)] | None = None
    """How often the size is halved; null: down to 16 pixels for the training size, at least once."""
    blocks: Annotated[int, Field(ge=1)] = 2
    """Residual blocks at the smallest size: so many with instance norm, and as many with the style."""
    style: Annotated[int, Field(ge=1)] = 64
    """Length of the style vector; the recipe sets it."""
    tanh: bool = True
    """End in a tanh; false: in a convolution, as in the paper, whose values beyond [-1, 1] are cut off in files."""


class DomainDiscriminatorConfig(i2i.Config):
    """Options of StarGAN v2's discriminator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels at the full size; they double with each halving, up to `max_filters`."""
    max_filters: Annotated[int, Field(ge=1)] = 512
    """Most channels of a layer."""
    classes: Annotated[int, Field(ge=0)] = 0
    """Number of domains, each with a logit of its own; the recipe sets it. 0: one logit for all images."""
    features: bool = False
    """Return the residual blocks' outputs too, for feature matching."""
