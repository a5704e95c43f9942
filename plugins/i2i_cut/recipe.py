"""CUT and FastCUT: contrastive learning for unpaired translation (Park et al. 2020, arXiv:2007.15651).

One generator and one discriminator: what keeps an output's content is that each of its patches is recognised, among
the patches of the input, by features of the generator's own encoder (`patches`). The losses are those of section 3;
with ``identity``, those of the variant for a single pair of images.

The features of the inputs come from the pass that translates them, for nothing is learned through them (section 3),
and the generator does not change before its phase. Only mirrored images need a pass of the encoder of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import i2i
from i2i_cut.patches import Projection, draw_places, encoded, patch_nce, patches_at, translated

PROJECTION = "projection"


class CUT(i2i.Recipe):
    """CUT on unpaired images: from source to target, one way (Park et al. 2020, arXiv:2007.15651)."""

    paired = False

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, discriminator, and the projection of the generator's features, whose sizes follow from it.

        Raises:
            ConfigError: the two sides differ in channels, or the generator does not have the features that are
                compared.
        """
        source, target = sample["source"], sample["target"]
        channels = source.shape[1]
        if channels != target.shape[1]:
            raise i2i.ConfigError(
                f"the generator looks at its own outputs ({target.shape[1]} channels) as at its inputs ({channels}): "
                "set data.source_channels and data.target_channels to the same number"
            )
        self.adversary = i2i.Adversary(self.config.adversary, build)
        generator = build.generator(
            self.config.generator, in_channels=channels, out_channels=channels, inputs=("image",)
        )
        networks = {
            "generator": generator,
            "discriminator": self.adversary.discriminator(self.config.discriminator, in_channels=channels),
        }
        if self._contrasts:
            networks[PROJECTION] = Projection(self._widths(generator, source[:1]), self.config.features)
        return networks

    @property
    def _contrasts(self) -> bool:
        return bool(self.config.nce or self.config.nce_identity)

    @property
    def _translates_targets(self) -> bool:
        return bool(self.config.nce_identity or self.config.identity)

    def _widths(self, generator: nn.Module, image: Tensor) -> list[int]:
        """Channels of the feature maps that are compared."""
        name, layers = self.config.generator.name, self.config.layers
        features = getattr(generator, "features", None)
        if not callable(features):
            raise i2i.ConfigError(
                f"generator '{name}' has no features to compare: choose another, such as resnet, or set nce=0 and "
                "nce_identity=0"
            )
        if layers is not None and "layers" not in inspect.signature(features).parameters:
            raise i2i.ConfigError(f"the features of generator '{name}' have no numbers: set layers=null")
        learning = generator.training
        generator.eval()  # statistics of batch norm stay as they are
        try:
            with torch.no_grad():
                maps = encoded(generator, torch.zeros_like(image, device="cpu"), layers)
        except ValueError as error:
            raise i2i.ConfigError(f"layers={list(layers or ())} with generator '{name}': {error}") from error
        finally:
            generator.train(learning)
        return [x.shape[1] for x in maps]

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator first, then generator and projection."""
        learning = ("generator", PROJECTION) if self._contrasts else ("generator",)
        return [
            self.config.adversary.phase("discriminator", trains=("discriminator",)),
            i2i.Phase("generator", trains=learning),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """Translations of sources, and of targets where a loss needs them; and what their patches are compared with."""
        config, generator, count = self.config, nets["generator"], len(batch["source"])
        real = torch.cat([batch["source"], batch["target"]]) if self._translates_targets else batch["source"]
        found = {"shown": real}
        if config.flip:
            flipped = (ctx.rand(count) < 0.5).repeat(len(real) // count)
            found = {"shown": torch.where(flipped[:, None, None, None], real.flip(3), real), "flipped": flipped}
        if not self._contrasts:
            return found | {"made": generator(found["shown"])}
        found["made"], maps = translated(generator, found["shown"], config.layers)
        with torch.no_grad():
            if config.flip and flipped.any():
                maps = encoded(generator, real, config.layers)
            places = draw_places([x.shape for x in maps], config.patches, count, ctx)
            keys = patches_at(maps, places)
        for number, (place, key) in enumerate(zip(places, keys, strict=True)):
            found |= {f"places_{number}": place, f"keys_{number}": key}
        return found

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """The final objective of the paper (section 3).

        ``adversarial`` is of both players. The generator's others: ``nce``, the cross-entropy of recognising patches
        of the source in its translation, the mean over layers; ``nce_identity``, the same of targets and their own
        translations; ``identity``, the mean absolute change to targets.
        """
        count = len(batch["source"])
        critic, fake = nets["discriminator"], batch["made"][:count]
        if phase == "discriminator":
            return self.adversary.discriminator_losses(critic, batch["target"], fake, ctx)
        losses = self.adversary.generator_losses(critic, batch["target"], fake, ctx)
        if self._contrasts:
            losses |= self._contrastive(nets, batch, count)
        if self.config.identity:
            change = (batch["made"][count:] - batch["shown"][count:]).abs().mean()
            losses["identity"] = self.config.identity * change
        return losses

    def _contrastive(self, nets: Mapping[str, Any], batch: dict[str, Tensor], count: int) -> dict[str, Tensor]:
        """The losses ``nce`` and ``nce_identity``."""
        config = self.config
        length = 2 * count if config.nce_identity else count
        maps = encoded(nets["generator"], batch["made"][:length], config.layers)
        places = [batch[f"places_{number}"][:length] for number in range(len(maps))]
        flipped = batch["flipped"][:length] if config.flip else None
        queries = nets[PROJECTION](patches_at(maps, places, flipped))
        with torch.no_grad():
            keys = nets[PROJECTION]([batch[f"keys_{number}"][:length] for number in range(len(maps))])
        losses = {}
        parts = {"nce": (config.nce, slice(count)), "nce_identity": (config.nce_identity, slice(count, length))}
        for name, (weight, part) in parts.items():
            if weight:
                options = {"temperature": config.temperature, "negatives": config.negatives}
                each = [patch_nce(q[part], k[part], **options) for q, k in zip(queries, keys, strict=True)]
                losses[name] = weight * torch.stack(each).mean()
        return losses

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator; unpaired images have no target to compare with."""
        return {"default": i2i.Translator(nets["generator"], {"image": sample["source"][:1]}, target=None)}
