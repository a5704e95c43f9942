"""The recipe `spade` (Park et al. 2019, arXiv:1903.07291, section 3 and appendix A).

The discriminator sees label map and image together and learns first, by the hinge loss; the generator adds feature
matching and a perceptual loss to its own. With `style`, an encoder gives the noise that the generator begins with: the
two are a variational autoencoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import i2i
from i2i_spade.encoder import StyleEncoder, divergence, drawn_style
from i2i_spade.options import SpadeConfig


class FromLabels(nn.Module):
    """A generator as it is exported: it takes numbers of classes, and the numbers of instances if it sees borders.

    Args:
        generator: makes images of a channel for each class, and of noise if there are styles.
        config: the recipe's options.
        encoder: makes the noise of an image whose style is taken; None: it is given, if there are styles.

    Attributes:
        multiple: what height and width must be divisible by.
        minimum: the least of both.
        size: the only (height, width) of its images; None: any.
    """

    def __init__(self, generator: nn.Module, config: SpadeConfig, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.generator, self.config, self.encoder = generator, config, encoder
        self.multiple, self.minimum = getattr(generator, "multiple", 1), getattr(generator, "minimum", 1)
        self.size = getattr(generator, "size", None)

    def forward(self, labels: Tensor, *more: Tensor) -> Tensor:
        """Label map ``(N, H, W)``, instances ``(N, H, W)``, then noise or a styled image -> images ``(N, C, H, W)``."""
        instances, rest = (more[0], more[1:]) if self.config.edges else (None, more)
        if self.encoder is not None:
            rest = (self.encoder(rest[0])[0],)
        return self.generator(condition(self.config, labels, instances), *rest)


class Spade(i2i.Recipe):
    """SPADE: label maps to photographs (Park et al. 2019, arXiv:1903.07291)."""

    paired = True

    def __init__(self, config: SpadeConfig) -> None:
        super().__init__(config)
        self.needs = frozenset({"source", "target"} | ({"instance"} if config.edges else set()))
        self.kinds = dict.fromkeys(self.needs - {"target"}, "labels")

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, discriminator, and for styles the encoder, for a perceptual loss the feature network."""
        config = self.config
        self.adversary = i2i.Adversary(config.adversary, build, paired=True)
        channels, *size = sample["target"].shape[1:]
        noise = {"noise": config.style_size} if config.style else {}
        networks: dict[str, nn.Module] = {
            "generator": build.generator(
                config.generator,
                in_channels=config.channels,
                out_channels=channels,
                inputs=("image", "noise") if config.style else ("image",),
                **noise,
            ),
            "discriminator": self.adversary.discriminator(config.discriminator, in_channels=config.channels + channels),
        }
        if config.style:
            networks["encoder"] = StyleEncoder(channels, config.encoder_filters, config.style_size, (size[0], size[1]))
        if config.compares_features:
            networks["features"] = self._features(build, sample["target"][:1])
        return networks

    def _features(self, build: i2i.Build, image: Tensor) -> nn.Module:
        """The feature network, tried on an image.

        Raises:
            ConfigError: it cannot see such images, or gives another number of maps than there are weights.
        """
        assert self.config.features is not None
        features = build.features(self.config.features)
        try:
            maps = features(image)
        except (RuntimeError, ValueError) as error:
            shape = "x".join(map(str, image.shape[1:]))
            what = f"features '{self.config.features.name}' cannot see images of {shape}"
            raise i2i.ConfigError(f"{what}: set features=null, or a larger data.size") from error
        if maps is not None and len(maps) != len(self.config.layer_weights):
            raise i2i.ConfigError(
                f"features '{self.config.features.name}' gives {len(maps)} maps, and layer_weights has "
                f"{len(self.config.layer_weights)} numbers: give one for each"
            )
        return features

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator first, then the generator, together with the encoder if there is one."""
        made = ("generator", "encoder") if self.config.style else ("generator",)
        rate = {"lr": self.config.discriminator_lr} if self.config.discriminator_lr else {}
        return [
            self.config.adversary.phase("discriminator", trains=("discriminator",), optimizer=rate),
            i2i.Phase("generator", trains=made),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """The channels of the label map, and the image made of them, which serves both phases."""
        labels = condition(self.config, batch["source"], batch.get("instance")).to(batch["target"].dtype)
        if not self.config.style:
            return {"condition": labels, "fake": nets["generator"](labels)}
        mean, log_variance = nets["encoder"](batch["target"])
        style = drawn_style(mean, log_variance, ctx.randn(*mean.shape))
        made = nets["generator"](labels, style)
        return {"condition": labels, "fake": made, "style_mean": mean, "style_log_variance": log_variance}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Losses of both players, weighted.

        ``adversarial`` is that of the game, the mean over the scales, ``features`` its feature matching, ``perceptual``
        the distance of the feature network's maps, and ``kl`` the divergence of styles from N(0, 1).
        """

        def critic(image: Tensor, labels: Tensor) -> Any:
            return nets["discriminator"](torch.cat([labels, image], 1))

        real, fake, labels = batch["target"], batch["fake"], batch["condition"]
        if phase == "discriminator":
            return self.adversary.discriminator_losses(critic, real, fake, ctx, labels)
        losses = self.adversary.generator_losses(critic, real, fake, ctx, labels)
        if self.config.compares_features:
            losses["perceptual"] = self.config.perceptual * self._perceptual(nets["features"], fake, real)
        if self.config.style:
            losses["kl"] = self.config.kl * divergence(batch["style_mean"], batch["style_log_variance"])
        return losses

    def _perceptual(self, features: Any, fake: Tensor, real: Tensor) -> Tensor:
        """Weighted sum over layers of the mean absolute difference (Johnson et al. 2016, arXiv:1603.08155)."""
        with torch.no_grad():
            of_real = features(real)
        layers = zip(self.config.layer_weights, features(fake), of_real, strict=True)
        return torch.stack([weight * (made - true).abs().mean() for weight, made, true in layers]).sum()

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator; with styles one that takes noise, and ``styled``, which takes the style of an image."""
        config = self.config
        example = {"image": sample["source"][:1]}
        inputs: dict[str, Any] = {"image": i2i.LabelMapInput(config.labels.count, ignore=config.labels.ignore)}
        if config.edges:
            example["instance"] = sample["instance"][:1]
            inputs["instance"] = i2i.LabelMapInput(256)
        if not config.style:
            return {"default": i2i.Translator(FromLabels(nets["generator"], config), example, inputs=inputs)}
        image = sample["target"][:1]
        noise, style = {"noise": image.new_zeros(1, config.style_size)}, {"style": image}
        of_style = inputs | {"style": i2i.ImageInput(key="target", own_size=True)}
        styled = FromLabels(nets["generator"], config, nets["encoder"])
        return {
            "default": i2i.Translator(FromLabels(nets["generator"], config), example | noise, inputs=inputs),
            "styled": i2i.Translator(styled, example | style, inputs=of_style),
        }


def condition(config: SpadeConfig, labels: Tensor, instances: Tensor | None) -> Tensor:
    """The channels of a label map, and of the borders between instances if they are shown.

    Args:
        config: the recipe's options.
        labels: ``(N, H, W)`` int64.
        instances: ``(N, H, W)`` int64; needed with `SpadeConfig.edges`.

    Returns:
        Tensor ``(N, SpadeConfig.channels, H, W)``, 0 and 1.
    """
    channels = i2i.label_channels(labels, config.labels.count, config.labels.ignore)
    if not config.edges or instances is None:
        return channels
    return torch.cat([channels, i2i.instance_edges(instances)], 1)
