"""Pix2Pix: image-to-image translation with conditional adversarial networks (Isola et al. 2017, arXiv:1611.07004).

The discriminator sees source and image together and learns first; the generator minimises its non-saturating loss plus
lambda times the mean absolute error (equation 4). The paper draws its noise by dropout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

import i2i

if TYPE_CHECKING:
    from torch import Tensor, nn


class Pix2PixConfig(i2i.Config):
    """Pix2Pix: generator, discriminator and the weights of their losses."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("unet")
    """Network that translates: unet or resnet, or any other generator."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("patch")
    """Network that judges source and image together: patch or pixel, or any other discriminator."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(discriminator_weight=0.5)
    """The adversarial game; the paper halves the discriminator's loss to slow it down."""
    l1: Annotated[float, Field(ge=0)] = 100.0
    """Weight of the mean absolute error (lambda in equation 4), images in [-1, 1]."""


class Pix2Pix(i2i.Recipe):
    """Pix2Pix: a conditional GAN and the mean absolute error on pairs (Isola et al. 2017, arXiv:1611.07004)."""

    paired = True

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator and conditional discriminator."""
        source, target = sample["source"].shape[1], sample["target"].shape[1]
        self.adversary = i2i.Adversary(self.config.adversary, build, paired=True)
        return {
            "generator": build.generator(
                self.config.generator, in_channels=source, out_channels=target, inputs=("image",)
            ),
            "discriminator": self.adversary.discriminator(self.config.discriminator, in_channels=source + target),
        }

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator first, then the generator."""
        return [
            self.config.adversary.phase("discriminator", trains=("discriminator",)),
            i2i.Phase("generator", trains=("generator",)),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """The translated image serves both phases, for the generator does not change in between."""
        return {"fake": nets["generator"](batch["source"])}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equations 1 and 4 of the paper: ``adversarial`` for both players, and the generator's ``l1``."""
        import torch

        def critic(image: Tensor, source: Tensor) -> Any:
            return nets["discriminator"](torch.cat([source, image], 1))

        real, fake = batch["target"], batch["fake"]
        if phase == "discriminator":
            return self.adversary.discriminator_losses(critic, real, fake, ctx, batch["source"])
        return {
            **self.adversary.generator_losses(critic, real, fake, ctx, batch["source"]),
            "l1": self.config.l1 * (fake - real).abs().mean(),
        }

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator."""
        return {"default": i2i.Translator(module=nets["generator"], example={"image": sample["source"][:1]})}


REFERENCE: dict[str, Any] = {
    "train": {
        "epochs": 200,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear-epochs", "hold": 0.5},
    },
}
# The paper says nothing of a schedule; the authors' code lets the rate fall over the second hundred epochs.
PAPER: dict[str, Any] = {
    "train": {"schedule": {"name": "constant"}},
    "pix2pix": {"generator": {"name": "unet", "dropout_layers": [1, 2, 3]}},
}
# Restoration: the source is the target, spoiled, so any folder of photographs will do. Crops at their full resolution.
DENOISE: dict[str, Any] = {"data": {"degrade": "noise", "resize": "none"}}
DEBLUR: dict[str, Any] = {"data": {"degrade": "blur", "resize": "none"}}
SAMPLES: dict[str, Any] = {
    "data": {"size": 128, "layout": "facades"},
    "train": {
        "batch_size": 2,
        "steps": 800,
        "schedule": {"name": "linear"},
        "sample_every": 200,
        "checkpoint_every": 200,
    },
    "pix2pix": {"generator": {"filters": 32}, "discriminator": {"filters": 32}},
}


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipe `pix2pix`."""
    presets = {"reference": REFERENCE, "paper": PAPER, "denoise": DENOISE, "deblur": DEBLUR, "samples": SAMPLES}
    return [i2i.Component("pix2pix", Pix2Pix, Pix2PixConfig, "Paired translation: conditional GAN plus L1", presets)]
