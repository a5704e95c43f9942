"""StarGAN v2: several images in each of several domains (Choi et al. 2020, arXiv:1912.01865, equation 6).

A style says how an image of a domain looks. It comes from noise by a mapping network, or from a reference image by a
style encoder; one generator gives it to any image. Generator, mapping network and encoder minimise the adversarial loss
under the wanted domain (equation 1), the error of the style that the encoder finds in the result (equation 2) and that
of the way back with the image's own style (equation 4), and maximise the distance of two results of two styles
(equation 3), whose weight falls to 0.

As in the authors' code (github.com/clovaai/stargan-v2) a step is four: the discriminator on styles of noise and of
references, then all other networks on styles of noise, and the generator alone on those of references. The second of
the two results has no gradient, the mapping network learns at a hundredth of the rate, and the generator's two steps
share one optimiser. The heat maps that keep the outlines of aligned faces there are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

import i2i

if TYPE_CHECKING:
    from torch import Tensor, nn

Weight = Annotated[float, Field(ge=0)]


class StarGANv2Config(i2i.Config):
    """StarGAN v2: its networks and the weights of their losses."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("adain")
    """Network from image and style to image: adain, or any other generator of image and noise."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("domains")
    """Network that judges an image of a domain: domains, or any other discriminator of image and label."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(
        loss=i2i.LossChoice("vanilla"), penalty=i2i.LossChoice("r1", weight=1.0, every=1)
    )
    """The adversarial game: loss, penalties, stabilisers."""
    noise: Annotated[int, Field(ge=1)] = 16
    """Length of the noise that becomes a style; its values are drawn from N(0, 1)."""
    style: Annotated[int, Field(ge=1)] = 64
    """Length of a style."""
    hidden: Annotated[int, Field(ge=1)] = 512
    """Length of the mapping network's layers."""
    encoder_filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the style encoder at the full size; they double with each halving, up to eight times that."""
    mapping_rate: Annotated[float, Field(gt=0)] = 0.01
    """Learning rate of the mapping network, relative to the generator's."""
    discriminator_rate: Annotated[float, Field(gt=0)] = 1.0
    """Learning rate of the discriminator, relative to the generator's."""
    style_reconstruction: Weight = 1.0
    """Weight of the mean absolute error of the style found in a result (lambda_sty)."""
    diversity: Weight = 1.0
    """Weight of the mean absolute difference of two results at the start (lambda_ds); 2 for AFHQ in the paper."""
    diversity_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps over which that weight falls linearly to 0; null: the whole run."""
    cycle: Weight = 1.0
    """Weight of the mean absolute error after the way back (lambda_cyc), images in [-1, 1]."""


class StarGANv2(i2i.Recipe):
    """StarGAN v2: image, domain and style to image (Choi et al. 2020, arXiv:1912.01865, section 2)."""

    needs = frozenset({"target", "label", "target_label", "reference", "second_reference"})

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, mapping network, style encoder and discriminator.

        Raises:
            ConfigError: the images are too small.
            DataError: the data has one class, or does not name its classes.
        """
        from i2i_multimodal.starganv2_networks import MappingNetwork, StyleEncoder, check_trunk

        config, (_, channels, height, width) = self.config, sample["target"].shape
        self.labels, self.size = build.labels, (int(height), int(width))
        if len(self.labels) < 2:
            raise i2i.DataError(f"starganv2 needs two named classes or more, and the data has {len(self.labels)}")
        try:
            check_trunk(self.size)
        except ValueError as error:
            raise i2i.ConfigError(f"the style encoder {error}") from error
        self.adversary = i2i.Adversary(config.adversary, build)
        options = {"style": config.style} if config.generator.name == "adain" else {}
        widths = config.encoder_filters, 8 * config.encoder_filters
        domains = len(self.labels)
        return {
            "generator": build.generator(
                config.generator, in_channels=channels, out_channels=channels, inputs=("image", "noise"), **options
            ),
            "mapping": MappingNetwork(config.noise, config.hidden, config.style, domains),
            "encoder": StyleEncoder(channels, widths, self.size, style=config.style, domains=domains),
            "discriminator": self.adversary.discriminator(
                config.discriminator, in_channels=channels, inputs=("image", "label"), classes=domains
            ),
        }

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator twice, then all others on styles of noise, then the generator on styles of references."""
        rates = {"mapping": self.config.mapping_rate}
        judge = {"discriminator": self.config.discriminator_rate}
        return [
            self.config.adversary.phase("discriminator", trains=("discriminator",), rates=judge),
            self.config.adversary.phase("discriminator_reference", trains=("discriminator",)),
            i2i.Phase("generator", trains=("generator", "mapping", "encoder"), rates=rates),
            i2i.Phase("generator_reference", trains=("generator",)),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """A style of noise for each image and the image in it serve the first phase of both players."""
        style = nets["mapping"](ctx.randn(len(batch["target"]), self.config.noise), batch["target_label"])
        return {"style": style, "fake": nets["generator"](batch["target"], style)}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equation 6 of the paper.

        ``adversarial`` and ``penalty`` are the adversary's; ``style`` is the mean absolute error of the style that the
        encoder finds in the result, ``diversity`` minus the mean absolute difference of two results, and ``cycle`` the
        mean absolute error of the image after the way back.
        """
        import torch

        of_noise = not phase.endswith("_reference")
        if phase.startswith("discriminator"):
            with torch.no_grad():
                fake = batch["fake"] if of_noise else self._by_reference(nets, batch, "reference")[1]
            own, wanted = (
                lambda images, label=batch[key]: nets["discriminator"](images, label)
                for key in ("label", "target_label")
            )
            return self.adversary.discriminator_losses(own, batch["target"], fake, ctx, fake_critic=wanted)
        if of_noise:
            style, fake = batch["style"], batch["fake"]
            with torch.no_grad():
                noise = ctx.randn(len(fake), self.config.noise)
                other = nets["generator"](batch["target"], nets["mapping"](noise, batch["target_label"]))
        else:
            style, fake = self._by_reference(nets, batch, "reference")
            with torch.no_grad():
                other = self._by_reference(nets, batch, "second_reference")[1]
        return self._generator_losses(nets, batch, ctx, style, (fake, other))

    def _by_reference(self, nets: Mapping[str, Any], batch: dict[str, Tensor], key: str) -> tuple[Tensor, Tensor]:
        """The styles of references, and the images in them."""
        style = nets["encoder"](batch[key], batch["target_label"])
        return style, nets["generator"](batch["target"], style)

    def _generator_losses(
        self,
        nets: Mapping[str, Any],
        batch: dict[str, Tensor],
        ctx: i2i.Context,
        style: Tensor,
        results: tuple[Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """All terms of equation 6 for the first of two results, which has that style."""
        from torch.nn.functional import l1_loss

        from i2i_multimodal.losses import falling_weight

        config, real, wanted, (fake, other) = self.config, batch["target"], batch["target_label"], results

        def critic(images: Tensor) -> Any:
            return nets["discriminator"](images, wanted)

        back = nets["generator"](fake, nets["encoder"](real, batch["label"]))
        spread = falling_weight(config.diversity, ctx.step, config.diversity_steps or ctx.steps)
        return {
            **self.adversary.generator_losses(critic, real, fake, ctx),
            "style": config.style_reconstruction * l1_loss(nets["encoder"](fake, wanted), style),
            "diversity": -spread * l1_loss(fake, other),
            "cycle": config.cycle * l1_loss(back, real),
        }

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """``default`` takes a domain, and noise or draws it; ``reference`` a domain and an image of it."""
        import torch

        from i2i_multimodal.starganv2_networks import NoiseToStyle, ReferenceToStyle

        image, label = sample["target"][:1], sample["label"][:1]
        code = torch.zeros(1, self.config.noise).to(image)
        shared: dict[str, Any] = {"source": "target", "target": None, "labels": self.labels, "real": "target"}
        return {
            "default": i2i.Translator(
                NoiseToStyle(nets["generator"], nets["mapping"]),
                {"image": image, "label": label, "code": code},
                inputs={"code": i2i.VectorInput(self.config.noise)},
                **shared,
            ),
            "reference": i2i.Translator(
                ReferenceToStyle(nets["generator"], nets["encoder"], self.size),
                {"image": image, "label": label, "reference": sample["reference"][:1]},
                inputs={"reference": i2i.ImageInput(own_size=True)},
                **shared,
            ),
        }


# The code has a weight decay that the paper does not name; both end in a convolution.
REFERENCE: dict[str, Any] = {
    "data": {"size": 256, "jitter": 1.0},
    "train": {
        "batch_size": 8,
        "steps": 100_000,
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.0, 0.99], "weight_decay": 1e-4},
        "ema": 0.999,
    },
    "starganv2": {"generator": {"name": "adain", "tanh": False}},
}
PAPER: dict[str, Any] = {"train": {"optimizer": {"weight_decay": 0.0}}}
# So few steps need a slower discriminator, momentum, a strong way back and less diversity: with the paper's weights,
# little was left of the image after 400 steps.
SAMPLES: dict[str, Any] = {
    "data": {"layout": {"name": "tinted-styles"}, "size": 32},
    "train": {
        "batch_size": 4,
        "steps": 900,
        "sample_every": 300,
        "checkpoint_every": 450,
        "optimizer": {"lr": 1e-3, "betas": [0.5, 0.99], "weight_decay": 0.0},
        "schedule": {"name": "linear"},
        "ema": 0.99,
    },
    "starganv2": {
        "generator": {"filters": 16, "max_filters": 32, "blocks": 1, "tanh": True},
        "discriminator": {"filters": 12, "max_filters": 48},
        "encoder_filters": 8,
        "hidden": 64,
        "style": 16,
        "noise": 8,
        "mapping_rate": 0.1,
        "discriminator_rate": 0.3,
        "diversity": 0.5,
        "cycle": 10.0,
    },
}
PRESETS = {"reference": REFERENCE, "paper": PAPER, "samples": SAMPLES}
