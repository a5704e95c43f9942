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
    adversarial: i2i.LossChoice = i2i.LossChoice("vanilla")
    """Adversarial loss: vanilla or lsgan."""
    l1: Annotated[float, Field(ge=0)] = 100.0
    """Weight of the mean absolute error (lambda in equation 4), images in [-1, 1]."""
    gan: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the generator's adversarial loss; 0 leaves a plain regression."""
    discriminator_weight: Annotated[float, Field(gt=0)] = 0.5
    """Factor of the discriminator's loss; the paper halves it to slow the discriminator down."""


class Pix2Pix(i2i.Recipe):
    """The training method; see the module's header."""

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, conditional discriminator and the adversarial loss."""
        source, target = sample["source"].shape[1], sample["target"].shape[1]
        return {
            "generator": build.generator(self.config.generator, in_channels=source, out_channels=target),
            "discriminator": build.discriminator(self.config.discriminator, in_channels=source + target),
            "adversarial": build.loss(self.config.adversarial),
        }

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator first, then the generator."""
        return [i2i.Phase("discriminator", trains=("discriminator",)), i2i.Phase("generator", trains=("generator",))]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """The translated image serves both phases, for the generator does not change in between."""
        return {"fake": nets["generator"](batch["source"])}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equations 1 and 4 of the paper."""
        import torch

        def logits(image: Tensor) -> Tensor:
            judged = nets["discriminator"](torch.cat([batch["source"], image], 1))
            return judged[0] if isinstance(judged, tuple) else judged

        if phase == "discriminator":
            loss = nets["adversarial"](phase, real=logits(batch["target"]), fake=logits(batch["fake"].detach()))
            return {"adversarial": self.config.discriminator_weight * loss}
        error = (batch["fake"] - batch["target"]).abs().mean()
        return {
            "adversarial": self.config.gan * nets["adversarial"](phase, fake=logits(batch["fake"])),
            "l1": self.config.l1 * error,
        }

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator."""
        return {"default": i2i.Translator(module=nets["generator"], example={"image": sample["source"][:1]})}


REFERENCE: dict[str, Any] = {
    "train": {
        "epochs": 200,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear", "hold": 0.5},
    },
}
PAPER: dict[str, Any] = {
    "train": {"schedule": {"name": "constant"}},
    "pix2pix": {"generator": {"name": "unet", "dropout_layers": [1, 2, 3]}},
}
SAMPLES: dict[str, Any] = {
    "data": {"size": 128},
    "train": {"batch_size": 2, "steps": 800, "sample_every": 200, "checkpoint_every": 200},
    "pix2pix": {"generator": {"filters": 32}, "discriminator": {"filters": 32}},
}


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipe `pix2pix`."""
    presets = {"reference": REFERENCE, "paper": PAPER, "samples": SAMPLES}
    return [i2i.Component("pix2pix", Pix2Pix, Pix2PixConfig, "Paired translation: conditional GAN plus L1", presets)]
