"""CycleGAN: unpaired image-to-image translation by cycle-consistent networks (Zhu et al. 2017, arXiv:1703.10593).

Two generators translate A to B and back, two discriminators judge each side. The generators minimise the adversarial
losses of both sides, the cycle losses (equation 2) and identity losses (section 5.2), and learn first; the
discriminators then see generated images out of a history of 50 (section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

import i2i

if TYPE_CHECKING:
    from torch import Tensor, nn

Weight = Annotated[float, Field(ge=0)]


class CycleGANConfig(i2i.Config):
    """CycleGAN: generators, discriminators and the weights of their losses."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("resnet")
    """Network that translates, one for each direction: resnet or unet, or any other generator."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("patch", {"norm": "instance"})
    """Network that judges the images of one side: patch or pixel, or any other discriminator."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(loss=i2i.LossChoice("lsgan"), discriminator_weight=0.5)
    """The adversarial game on each side."""
    cycle_A: Weight = 10.0  # noqa: N815  A and B are the field's names for the two sides
    """Weight of the mean absolute error of A after A -> B -> A (lambda in equation 3), images in [-1, 1]."""
    cycle_B: Weight = 10.0  # noqa: N815
    """Weight of the mean absolute error of B after B -> A -> B."""
    identity: Weight = 0.5
    """Weight of the change to images that are on the right side already, as a share of the cycle weights; 0: off."""
    pool: Annotated[int, Field(ge=0)] = 50
    """Generated images of each side kept to train the discriminators on; 0 shows them the newest only."""


class CycleGAN(i2i.Recipe):
    """CycleGAN on unpaired images, A the source and B the target (Zhu et al. 2017, arXiv:1703.10593)."""

    paired = False

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """A generator for each direction, a discriminator for each side.

        Raises:
            ConfigError: identity losses are asked for, and the two sides differ in channels.
        """
        a, b = sample["source"].shape[1], sample["target"].shape[1]
        if self.config.identity and a != b:
            raise i2i.ConfigError(
                f"the identity loss feeds images of one side ({a} channels) to the network for the other ({b}): set "
                "identity=0, or data.source_channels and data.target_channels to the same number"
            )
        self.adversary = i2i.Adversary(self.config.adversary, build)
        choice, inputs = self.config.generator, ("image",)
        return {
            "AtoB": build.generator(choice, in_channels=a, out_channels=b, inputs=inputs),
            "BtoA": build.generator(choice, in_channels=b, out_channels=a, inputs=inputs),
            "discriminator_A": self.adversary.discriminator(self.config.discriminator, in_channels=a),
            "discriminator_B": self.adversary.discriminator(self.config.discriminator, in_channels=b),
        }

    def phases(self) -> Sequence[i2i.Phase]:
        """Both generators with one optimiser, then both discriminators with another."""
        return [
            i2i.Phase("generator", trains=("AtoB", "BtoA")),
            self.config.adversary.phase("discriminator", trains=("discriminator_A", "discriminator_B")),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """Both translations serve both phases."""
        return {"fake_A": nets["BtoA"](batch["target"]), "fake_B": nets["AtoB"](batch["source"])}

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equation 3 of the paper, and the identity losses, for the images of each side.

        ``adversarial_A`` and ``adversarial_B`` are of both players; the others are mean absolute errors:
        ``cycle_A`` and ``cycle_B`` after translating there and back, ``identity_A`` and ``identity_B`` when an image is
        translated to the side that it belongs to already.
        """
        real = {"A": batch["source"], "B": batch["target"]}
        fake = {"A": batch["fake_A"], "B": batch["fake_B"]}
        losses: dict[str, Tensor] = {}
        for side in ("A", "B"):
            critic = nets[f"discriminator_{side}"]
            if phase == "generator":
                judged = self.adversary.generator_losses(critic, real[side], fake[side], ctx)
            else:
                shown = ctx.pool(side, self.config.pool).query(fake[side].detach())
                judged = self.adversary.discriminator_losses(critic, real[side], shown, ctx)
            losses |= {f"{name}_{side}": loss for name, loss in judged.items()}
        return losses | self._consistency(nets, real, fake) if phase == "generator" else losses

    def _consistency(
        self, nets: Mapping[str, Any], real: Mapping[str, Tensor], fake: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Cycle and identity losses of both sides."""
        weights = {"A": self.config.cycle_A, "B": self.config.cycle_B}
        back = {"A": nets["BtoA"], "B": nets["AtoB"]}
        losses: dict[str, Tensor] = {}
        for side, other in (("A", "B"), ("B", "A")):
            losses[f"cycle_{side}"] = weights[side] * _distance(back[side](fake[other]), real[side])
            if self.config.identity:
                kept = _distance(back[side](real[side]), real[side])
                losses[f"identity_{side}"] = self.config.identity * weights[side] * kept
        return losses

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """Both generators; unpaired images have no target to compare with."""
        source, target = sample["source"][:1], sample["target"][:1]
        return {
            "AtoB": i2i.Translator(module=nets["AtoB"], example={"image": source}, target=None),
            "BtoA": i2i.Translator(module=nets["BtoA"], example={"image": target}, source="target", target=None),
        }


def _distance(image: Tensor, other: Tensor) -> Tensor:
    return (image - other).abs().mean()


REFERENCE: dict[str, Any] = {
    "train": {
        "epochs": 200,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear-epochs", "hold": 0.5},
    },
}
# The paper's rate falls to zero over the second hundred epochs (appendix, training details). Here it does at each step;
# the authors' code lets it fall once an epoch, begins one epoch earlier and trains the last epoch at a rate of 0.
PAPER: dict[str, Any] = {"train": {"schedule": {"name": "linear", "hold": 0.5}}, "cyclegan": {"identity": 0.0}}
SAMPLES: dict[str, Any] = {
    "data": {"layout": "day-night", "size": 64, "load_size": 64},
    "train": {
        "steps": 1100,
        "optimizer": {"lr": 4e-4},
        "schedule": {"name": "linear"},
        "sample_every": 275,
        "checkpoint_every": 550,
    },
    "cyclegan": {
        "generator": {"filters": 16, "blocks": 3, "upsample": "resize"},
        "discriminator": {"filters": 16, "layers": 2},
    },
}


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipe `cyclegan`."""
    presets = {"reference": REFERENCE, "paper": PAPER, "samples": SAMPLES}
    return [i2i.Component("cyclegan", CycleGAN, CycleGANConfig, "Unpaired translation: two GANs in a cycle", presets)]
