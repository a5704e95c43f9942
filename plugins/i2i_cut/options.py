"""Options of CUT and FastCUT. They need no torch: tables of components are had at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

import i2i

Weight = Annotated[float, Field(ge=0)]
ANTIALIASED: dict[str, Any] = {"antialias": True, "init": "xavier"}


class CUTConfig(i2i.Config):
    """CUT: generator, discriminator, and the contrastive losses on patches."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("resnet", {**ANTIALIASED, "upsample": "bilinear", "blocks": 9})
    """Network that translates: resnet, or any other generator that has features."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("patch", {**ANTIALIASED, "norm": "instance"})
    """Network that judges images: patch or pixel, or any other discriminator."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(loss=i2i.LossChoice("lsgan"), discriminator_weight=0.5)
    """The adversarial game."""
    nce: Weight = 1.0
    """Weight of the contrastive loss between a source and its translation (lambda_X in the paper); 0: off."""
    nce_identity: Weight = 1.0
    """Weight of the contrastive loss between a target and its own translation (lambda_Y in the paper); 0: off."""
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = (0, 4, 8, 12, 16)
    """Layers of the generator's encoder whose patches are compared, by number: in the antialiased resnet the padded
    image, both halving convolutions, the first and the fifth block. null: what its `features` gives unasked."""
    patches: Annotated[int, Field(ge=2)] = 256
    """Places of an image that are compared in each layer; fewer where the layer has fewer."""
    temperature: Annotated[float, Field(gt=0)] = 0.07
    """Divisor of the similarities before the softmax (tau in the paper)."""
    features: Annotated[int, Field(ge=1)] = 256
    """Units of both layers of the projection, a small network for each layer that is compared."""
    negatives: Literal["image", "batch"] = "image"
    """Which places are told apart: those of the same image, or those of the whole batch, as for crops of one."""
    flip: bool = False
    """Translate half of the images mirrored, and compare them with the patches of the image as it was."""
    identity: Weight = 0.0
    """Weight of the mean absolute change to a target that is translated; images in [-1, 1]."""


class FastCUTConfig(CUTConfig):
    """FastCUT: as CUT, without translations of targets, and with mirrored images."""

    nce: Weight = 10.0
    """Weight of the contrastive loss between a source and its translation (lambda_X in the paper); 0: off."""
    nce_identity: Weight = 0.0
    """Weight of the contrastive loss between a target and its own translation (lambda_Y in the paper); 0: off."""
    flip: bool = True
    """Translate half of the images mirrored, and compare them with the patches of the image as it was."""
