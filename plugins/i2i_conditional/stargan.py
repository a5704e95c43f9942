"""StarGAN: one generator that translates an image into any of several domains (Choi et al. 2018, arXiv:1711.09020).

The discriminator also learns to classify the domain of real images (equation 2). The generator gets a domain besides
the image; the discriminator must classify the result as that domain (equation 3), and the generator must be able to
translate it back to the original image (equation 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

import i2i

if TYPE_CHECKING:
    from torch import Tensor, nn

Weight = Annotated[float, Field(ge=0)]


class StarGANConfig(i2i.Config):
    """StarGAN: its networks and the weights of their losses."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("stargan")
    """Network that translates an image with the wanted domain's maps: stargan, or any other generator of images."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("stargan")
    """Network that judges images and tells their domain: stargan, or any other that gives logits and class logits."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(
        loss=i2i.LossChoice("wasserstein"), penalty=i2i.LossChoice("gradient-penalty")
    )
    """The adversarial game: loss, penalties, stabilisers."""
    critic_steps: Annotated[int, Field(ge=1)] = 5
    """Steps of the discriminator for one of the generator (appendix, section 7.3)."""
    classification: Weight = 1.0
    """Weight of the domain classification losses (lambda_cls in equations 5 and 6)."""
    reconstruction: Weight = 10.0
    """Weight of the mean absolute error of the way back (lambda_rec in equation 6), images in [-1, 1]."""


class StarGAN(i2i.Recipe):
    """StarGAN: a generator that is given an image and a domain (Choi et al. 2018, arXiv:1711.09020, section 3.1)."""

    needs = frozenset({"target", "label"})

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """The generator, which sees the domain as maps beside the image, and the discriminator, which also classifies.

        Raises:
            ConfigError: the generator takes no image, or cannot make anything of the maps.
            DataError: the data has one class, or does not name its classes.
        """
        from i2i_conditional.labels import count_classes

        self.labels = build.labels
        self.adversary = i2i.Adversary(self.config.adversary, build)
        channels, classes = sample["target"].shape[1], count_classes(build)
        if classes < 2:
            raise i2i.DataError(f"there is nothing to translate between: the data has one class, {build.labels[0]}")
        return {
            "generator": self._generator(build, channels, classes),
            "discriminator": self.adversary.discriminator(
                self.config.discriminator, in_channels=channels, classes=classes
            ),
        }

    def _generator(self, build: i2i.Build, channels: int, classes: int) -> nn.Module:
        """The chosen generator behind the label's maps."""
        from i2i_conditional.stargan_networks import LabelledGenerator

        chosen = self.config.generator
        network = build.generator(chosen, in_channels=channels + classes, out_channels=channels, inputs=("image",))
        generator = LabelledGenerator(network, classes)
        if not generator.uses_labels(channels):
            raise i2i.ConfigError(
                f"the label never reaches the output of generator '{chosen.name}', whose instance norm takes away what "
                "is the same at every pixel: set its norm to batch, or stargan.generator=stargan"
            )
        return generator

    def phases(self) -> Sequence[i2i.Phase]:
        """The discriminator in every step, the generator in every `critic_steps`-th."""
        return [
            self.config.adversary.phase("discriminator", trains=("discriminator",)),
            i2i.Phase("generator", trains=("generator",), every=self.config.critic_steps),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """A domain for each image, any of them as likely, and the image translated to it; both serve both phases."""
        count = len(batch["label"])
        wanted = (ctx.rand(count) * len(self.labels)).long().clamp(max=len(self.labels) - 1)
        return {"wanted": wanted, "fake": nets["generator"](batch["target"], wanted)}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equation 5 of the paper for the discriminator, 6 for the generator.

        ``adversarial`` and ``penalty`` are the adversary's; ``classification`` is the cross-entropy of the domain, that
        of real images for the discriminator and the wanted one of translated images for the generator;
        ``reconstruction`` the mean absolute error after translating back.
        """
        from torch.nn.functional import cross_entropy, l1_loss

        real, fake = batch["target"], batch["fake"]
        images, domain = (real, batch["label"]) if phase == "discriminator" else (fake, batch["wanted"])
        judged = nets["discriminator"](images)

        def critic(shown: Tensor) -> Any:
            logits, _, *features = judged if shown is images else nets["discriminator"](shown)
            return (logits, *features)

        classification = {"classification": self.config.classification * cross_entropy(judged[1], domain)}
        if phase == "discriminator":
            return self.adversary.discriminator_losses(critic, real, fake, ctx) | classification
        back = nets["generator"](fake, batch["label"])
        reconstruction = {"reconstruction": self.config.reconstruction * l1_loss(back, real)}
        return self.adversary.generator_losses(critic, real, fake, ctx) | classification | reconstruction

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """The generator, from image and wanted domain."""
        example = {"image": sample["target"][:1], "label": sample["label"][:1]}
        return {"default": i2i.Translator(nets["generator"], example, "target", None, self.labels, real="target")}


REFERENCE: dict[str, Any] = {
    "data": {"size": 128, "jitter": 1.0},
    "train": {
        "batch_size": 16,
        "steps": 200_000,
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear", "hold": 0.5},
    },
}
# One generator step for each of the critic's, which the gradient penalty did not bear in so few steps and hinge does;
# one halving, because at 8x8 pixels windows are lost.
SAMPLES: dict[str, Any] = {
    "data": {"layout": {"name": "styles"}, "size": 32},
    "train": {
        "batch_size": 4,
        "steps": 2400,
        "sample_every": 600,
        "checkpoint_every": 600,
        "optimizer": {"lr": 4e-4},
        "ema": 0.99,
    },
    "stargan": {
        "generator": {"filters": 16, "blocks": 3, "halvings": 1},
        "discriminator": {"filters": 16},
        "adversary": {"loss": {"name": "hinge"}, "penalty": None, "spectral_norm": True},
        "critic_steps": 1,
    },
}
PRESETS = {"reference": REFERENCE, "samples": SAMPLES}
