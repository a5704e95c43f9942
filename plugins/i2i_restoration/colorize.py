"""Colourisation: a and b of CIE Lab from L (Isola et al. 2017, arXiv:1611.07004, section 4.2 and appendix 6.2).

A conditional GAN and the mean absolute error, as in pix2pix, of which the generator sees L and gives a and b, and the
discriminator sees all three; Nazeri et al. 2018 (arXiv:1803.05400) do the same, with one-sided label smoothing
(``adversary.loss.smoothing=0.1``). Colour spaces are part of the exported graph, which takes colour images or grey
ones and gives colour images of the same L. As the authors' code does, L is brought to [-1, 1] and a and b are divided
by 110.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import i2i
from i2i_restoration.lab import from_lab, to_lab
from i2i_restoration.options import ColorizeConfig


class Colorizer(nn.Module):
    """A generator of colours with the colour spaces around it.

    Args:
        generator: lightness ``(N, 1, H, W)`` -> colour ``(N, 2, H, W)``, both in [-1, 1].
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self.multiple = getattr(generator, "multiple", 1)
        self.minimum = getattr(generator, "minimum", 1)

    def forward(self, image: Tensor) -> Tensor:
        """SRGB ``(N, 3, H, W)`` in [-1, 1], of which only the lightness counts -> sRGB of the same lightness."""
        light, _ = to_lab(image)
        return from_lab(light, self.generator(light))


class Colorize(i2i.Recipe):
    """Colourisation of grey images; any folder of colour images is training data."""

    config: ColorizeConfig
    needs = frozenset({"target"})

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, and discriminator if one is asked for.

        Raises:
            ConfigError: the images have other than three channels.
        """
        channels = sample["target"].shape[1]
        if channels != 3:
            raise i2i.ConfigError(
                f"colours are learned from images of 3 channels, and these have {channels}: give colour images, and "
                "data.target_channels=3 for those with alpha"
            )
        self.adversary = i2i.Adversary(self.config.adversary, build, paired=True)
        networks = {
            "generator": build.generator(self.config.generator, in_channels=1, out_channels=2, inputs=("image",))
        }
        if self.config.discriminator is not None:
            networks["discriminator"] = self.adversary.discriminator(self.config.discriminator, in_channels=3)
        return networks

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator first, if there is one, then the generator."""
        generator = i2i.Phase("generator", trains=("generator",))
        if self.config.discriminator is None:
            return [generator]
        return [self.config.adversary.phase("discriminator", trains=("discriminator",)), generator]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """Lightness, colours and the generator's colours serve both phases."""
        light, colour = to_lab(batch["target"])
        return {"light": light, "colour": colour, "made": nets["generator"](light)}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equations 1 and 4 of the paper: ``adversarial`` for both players, and the generator's ``l1`` of a and b."""
        real, fake = (torch.cat([batch["light"], batch[key]], 1) for key in ("colour", "made"))
        if phase == "discriminator":
            return self.adversary.discriminator_losses(nets["discriminator"], real, fake, ctx)
        losses = {}
        if self.config.discriminator is not None:
            losses = self.adversary.generator_losses(nets["discriminator"], real, fake, ctx)
        if self.config.l1:
            losses["l1"] = self.config.l1 * (batch["made"] - batch["colour"]).abs().mean()
        return losses

    def grid(self, nets: Mapping[str, Any], batch: dict[str, Tensor]) -> Mapping[str, Tensor]:
        """The grey image, the coloured one and the real one."""
        light, colour = to_lab(batch["target"])
        grey = from_lab(light, torch.zeros_like(colour))
        return {"grey": grey, "coloured": from_lab(light, nets["generator"](light)), "real": batch["target"]}

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator with the colour spaces around it."""
        example = {"image": sample["target"][:1]}
        return {"default": i2i.Translator(Colorizer(nets["generator"]), example, "target", "target")}
