"""Options of the networks. They need no torch, so that tables of components are had at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

import i2i

Scale = Literal[1, 2, 3, 4, 8]


def _two_limits(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError(f"the lower of two limits comes first, got {limits[0]}, {limits[1]}")
    return limits


NetworkRange = Annotated[tuple[float, float], AfterValidator(_two_limits)]

VGG19_CONVOLUTIONS = (2, 2, 4, 4, 4)
"""Convolutions of each block of VGG19; each is followed by a ReLU, each block by a pooling layer."""

VGG19_LAYERS = tuple(
    name
    for block, count in enumerate(VGG19_CONVOLUTIONS, start=1)
    for name in (
        *(f"{kind}{block}_{index}" for index in range(1, count + 1) for kind in ("conv", "relu")),
        f"pool{block}",
    )
)
"""Names of the layers of VGG19 in their order, from ``conv1_1`` to ``pool5``."""


class SRResNetConfig(i2i.Config):
    """Options of SRResNet."""

    scale: Scale = 4
    """How many times larger the output is; the recipe sets it."""
    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of all inner layers."""
    blocks: Annotated[int, Field(ge=0)] = 16
    """Residual blocks."""
    kernel: Literal[1, 3, 5, 7, 9] = 9
    """Kernel of the first and the last convolution."""
    norm: Literal["batch", "none"] = "batch"
    """Normalisation in the blocks; none trains fine and does not depend on the batch (EDSR, arXiv:1707.02921)."""
    residual_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of what a block adds; EDSR has 0.1 for wide networks without normalisation."""
    upsample: Literal["shuffle", "resize"] = "shuffle"
    """Pixel shuffle as in the paper, or nearest-neighbour resizing and a convolution."""
    interpolate: bool = False
    """Add the output to the bicubically enlarged input: small networks learn far faster."""
    value_range: NetworkRange = (-1.0, 1.0)
    """What black and white are inside the network; 0, 1 for weights of BasicSR and Real-ESRGAN."""


class RRDBConfig(i2i.Config):
    """Options of RRDBNet."""

    scale: Scale = 4
    """How many times larger the output is; the recipe sets it."""
    filters: Annotated[int, Field(ge=1)] = 64
    """Channels between the blocks."""
    growth: Annotated[int, Field(ge=1)] = 32
    """Channels that each convolution of a dense block adds."""
    blocks: Annotated[int, Field(ge=0)] = 23
    """Residual in residual dense blocks."""
    residual_scale: Annotated[float, Field(gt=0)] = 0.2
    """Factor beta of every residual."""
    unshuffle: bool = False
    """At scale 2 make channels of 2x2 pixels first, at scale 1 of 4x4, as Real-ESRGAN does: far less work."""
    init_scale: Annotated[float, Field(gt=0)] = 0.1
    """Factor of the blocks' initial weights, drawn as He et al. 2015 do (arXiv:1502.01852)."""
    interpolate: bool = False
    """Add the output to the bicubically enlarged input: small networks learn far faster."""
    value_range: NetworkRange = (-1.0, 1.0)
    """What black and white are inside the network; 0, 1 for weights of BasicSR and Real-ESRGAN."""


class SRVGGConfig(i2i.Config):
    """Options of SRVGGNetCompact."""

    scale: Scale = 4
    """How many times larger the output is; the recipe sets it."""
    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of all inner layers."""
    blocks: Annotated[int, Field(ge=0)] = 16
    """Convolutions between the first and the last: 16 in the model for videos, 32 in the general one."""
    activation: Literal["prelu", "relu", "leaky-relu"] = "prelu"
    """After each convolution but the last: prelu with a slope a channel, relu, or leaky-relu of 0.1."""
    value_range: NetworkRange = (-1.0, 1.0)
    """What black and white are inside the network; 0, 1 for weights of BasicSR and Real-ESRGAN."""


class MSRResNetConfig(i2i.Config):
    """Options of MSRResNet."""

    scale: Scale = 4
    """How many times larger the output is; the recipe sets it."""
    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of all inner layers."""
    blocks: Annotated[int, Field(ge=0)] = 16
    """Residual blocks."""
    residual_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of what a block adds."""
    init_scale: Annotated[float, Field(gt=0)] = 0.1
    """Factor of the initial weights, drawn as He et al. 2015 do (arXiv:1502.01852)."""
    value_range: NetworkRange = (-1.0, 1.0)
    """What black and white are inside the network; 0, 1 for weights of BasicSR and Real-ESRGAN."""


class UNetDiscriminatorConfig(i2i.Config):
    """Options of the U-Net discriminator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels at full size; they double with each of three halvings."""
    skips: bool = True
    """Add the maps on the way down to those of the same size on the way up."""
    features: bool = False
    """Return the nine inner maps too, for feature matching; the recipe sets it."""
    value_range: NetworkRange = (-1.0, 1.0)
    """What black and white are inside the network; 0, 1 for weights of BasicSR and Real-ESRGAN."""


class VGGDiscriminatorConfig(i2i.Config):
    """Options of SRGAN's discriminator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double up to eight times that."""
    dense: Annotated[int, Field(ge=1)] = 1024
    """Units of the dense layer before the last."""
    norm: Literal["batch", "instance", "none"] = "batch"
    """Normalisation of all convolutions but the first; batch norm does not go with gradient penalties."""
    minibatch: Literal["none", "std", "discrimination"] = "none"
    """Statistics over the batch before the dense layers, against mode collapse."""
    features: bool = False
    """Return what each of the eight convolutions gives too, for feature matching; the recipe sets it."""


class VGG19Config(i2i.Config):
    """Options of the feature network."""

    layers: tuple[str, ...] = ("conv5_4",)
    """Layers whose outputs are compared: conv5_4 is before its activation, relu5_4 after it; also pool1 to pool5."""
    rescale: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the features; SRGAN has 1/12.75 = 0.0784, which brings the loss to the range of a pixel loss."""
    weights: Literal["imagenet", "random"] = "imagenet"
    """imagenet: torchvision's, 548 MB, downloaded when first used; random: untrained, to try things without them."""

    @field_validator("layers")
    @classmethod
    def _known(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in layers if name not in VGG19_LAYERS]
        if unknown or not layers:
            raise ValueError(
                f"unknown layer '{unknown[0]}': {', '.join(VGG19_LAYERS)}"
                if unknown
                else "at least one layer is needed"
            )
        return layers
