"""BicycleGAN: several images for one (Zhu et al. 2017, arXiv:1711.11586, equation 9).

A code z says which of the possible outputs is meant. Two games train one generator G. In the first (cVAE-GAN, equation
6) an encoder E finds the code of the target, and G must make the target of source and code; the codes are kept near
N(0, 1). In the second (cLR-GAN, equation 8) the code is drawn from N(0, 1), and E must find it again in the image.

The latent regression trains G and not E, or both would hide the code in the image (section 4). As in the authors' code
(github.com/junyanz/BicycleGAN) the two gradients of G, from the losses of G and E together and from those of G alone,
are added and make one optimiser step; their first version made two. Each game has its discriminators, which see the
image without its source, at two scales, the smaller with half as many filters. Their code trains the second game's
discriminators on the second image of each two; `split` does so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

import i2i

if TYPE_CHECKING:
    from torch import Tensor, nn

Weight = Annotated[float, Field(ge=0)]
GAMES = ("encoded", "random")
"""The two games: with the code of the target, and with one drawn from N(0, 1)."""


class BicycleGANConfig(i2i.Config):
    """BicycleGAN: its networks and the weights of their losses."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("unet-code")
    """Network from image and code to image: unet-code, or any other generator of image and noise."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("patch", {"norm": "instance"})
    """Network that judges images, one for each game and scale: patch, or any other discriminator."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(loss=i2i.LossChoice("lsgan"))
    """The adversarial game; its weight is that of the first game, on images of the target's code."""
    discriminator_rate: Annotated[float, Field(gt=0)] = 1.0
    """Learning rate of the discriminators, relative to that of generator and encoder."""
    random: Weight = 1.0
    """Weight of the second game, on images of random codes, relative to the first."""
    scales: Annotated[int, Field(ge=1, le=4)] = 2
    """Sizes at which images are judged, each half of the one before."""
    code: Annotated[int, Field(ge=1)] = 8
    """Length of the code z."""
    encoder_filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the encoder's first layer; they grow to four times that."""
    encoder_halvings: Annotated[int, Field(ge=1, le=8)] | None = None
    """Layers of the encoder that halve the size; null: 5 for 256 pixels, 4 for 128, down to 8 pixels, at least 2."""
    encoder_gain: Annotated[float, Field(gt=0)] = 0.02
    """Factor of the encoder's initial weights' standard deviation as Glorot and Bengio have it."""
    l1: Weight = 10.0
    """Weight of the mean absolute error of the image of the target's code (lambda), images in [-1, 1]."""
    kl: Weight = 0.01
    """Weight of the distance of the target's code from N(0, 1) (lambda_KL)."""
    latent: Weight = 0.5
    """Weight of the mean absolute error of a random code as the encoder finds it in the image (lambda_latent)."""
    split: bool = False
    """Train the second game's discriminators on every second target and all else on the others, as the authors' code;
    false: everything on all pairs. It needs batches of two or more in each process."""


class BicycleGAN(i2i.Recipe):
    """BicycleGAN: image and code to image, on pairs (Zhu et al. 2017, arXiv:1711.11586, equation 9)."""

    paired = True

    def networks(self, build: i2i.Build, sample: dict[str, Tensor]) -> dict[str, nn.Module]:
        """Generator, encoder, and a discriminator for each game and scale."""
        from i2i_multimodal.bicycle_networks import CodeEncoder

        source, target = sample["source"].shape[1], sample["target"].shape[1]
        size = (int(sample["target"].shape[2]), int(sample["target"].shape[3]))
        self.halvings = self.config.encoder_halvings or max(2, min(size).bit_length() - 4)
        self.adversary = i2i.Adversary(self.config.adversary, build, paired=True)
        options = {"code": self.config.code} if self.config.generator.name == "unet-code" else {}
        networks = {
            "generator": build.generator(
                self.config.generator,
                in_channels=source,
                out_channels=target,
                inputs=("image", "noise"),
                **options,
            ),
            "encoder": CodeEncoder(
                target,
                filters=self.config.encoder_filters,
                halvings=self.halvings,
                code=self.config.code,
                gain=self.config.encoder_gain,
            ),
        }
        for game in GAMES:
            for scale in range(self.config.scales):
                networks[f"discriminator_{game}_{scale}"] = self._discriminator(target, size, scale)
        return networks

    def _discriminator(self, channels: int, size: tuple[int, int], scale: int) -> nn.Module:
        """The discriminator of a scale: as chosen, with filters halved at each scale where it has any."""
        chosen = self.config.discriminator
        filters = chosen.options.get("filters")
        options: dict[str, Any] = {"filters": max(1, filters >> scale)} if isinstance(filters, int) else {}
        height, width = (-(-side // 2**scale) for side in size)
        return self.adversary.discriminator(chosen, in_channels=channels, size=(height, width), **options)

    def phases(self) -> Sequence[i2i.Phase]:
        """Generator and encoder, then the discriminators of both games."""
        judges = tuple(f"discriminator_{game}_{scale}" for game in GAMES for scale in range(self.config.scales))
        rates = dict.fromkeys(judges, self.config.discriminator_rate)
        return [
            i2i.Phase("generator", trains=("generator", "encoder")),
            self.config.adversary.phase("discriminator", trains=judges, rates=rates),
        ]

    def shared(self, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context) -> dict[str, Tensor]:
        """The code of each target, a random one, and the images of both serve both phases."""
        from i2i_multimodal.losses import sampled

        source, target = batch["source"], batch["target"]
        noise, code = ctx.randn(len(source), self.config.code), ctx.randn(len(source), self.config.code)
        if self.config.split:
            if len(source) < 2:
                raise i2i.ConfigError("bicyclegan.split needs batches of two or more: set train.batch_size=2")
            source, target, noise, code = source[::2], target[::2], noise[::2], code[::2]
        mean, log_variance = nets["encoder"](target)
        return {
            "mean": mean,
            "log_variance": log_variance,
            "code": code,
            "encoded": nets["generator"](source, sampled(mean, log_variance, noise)),
            "random": nets["generator"](source, code),
        }

    def losses(
        self, phase: str, nets: Mapping[str, Any], batch: dict[str, Tensor], ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """Equation 9 of the paper.

        ``adversarial_encoded`` and ``adversarial_random`` are of both players, sums over the scales; ``l1`` is the mean
        absolute error of the image of the target's code, ``kl`` the distance of that code from N(0, 1), and ``latent``
        the mean absolute error of the mean code that the encoder finds in the image of a random code.
        """
        from torch.nn.functional import l1_loss

        from i2i_multimodal.losses import kl_to_standard_normal, untrained

        target = batch["target"]
        first, second = (target[::2], target[1::2]) if self.config.split else (target, target)
        losses = self._game(phase, nets, "encoded", first, batch["encoded"], ctx)
        losses |= self._game(phase, nets, "random", second, batch["random"], ctx)
        if phase == "discriminator":
            return losses
        with untrained(nets["encoder"]):
            found, _ = nets["encoder"](batch["random"])
        return losses | {
            "l1": self.config.l1 * l1_loss(batch["encoded"], first),
            "kl": self.config.kl * kl_to_standard_normal(batch["mean"], batch["log_variance"]),
            "latent": self.config.latent * l1_loss(found, batch["code"]),
        }

    def _game(
        self, phase: str, nets: Mapping[str, Any], game: str, real: Tensor, fake: Tensor, ctx: i2i.Context
    ) -> dict[str, Tensor]:
        """A player's adversarial losses in a game, sums over the scales, with the game's name behind theirs."""
        from torch.nn.functional import avg_pool2d

        player = self.adversary.generator_losses if phase == "generator" else self.adversary.discriminator_losses
        weight = self.config.random if phase == "generator" and game == "random" else 1.0
        totals: dict[str, Tensor] = {}
        for scale in range(self.config.scales):
            for name, loss in player(nets[f"discriminator_{game}_{scale}"], real, fake, ctx).items():
                key = f"{name}_{game}"
                totals[key] = totals[key] + weight * loss if key in totals else weight * loss
            real, fake = (
                avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False) for images in (real, fake)
            )
        return totals

    def translators(self, nets: Mapping[str, Any], sample: dict[str, Tensor]) -> dict[str, i2i.Translator]:
        """``default`` takes a code or draws it; ``reference`` the mean code of another image of the target's kind.

        An image of a random code need not equal the target; that of the target's own code should.
        """
        import torch

        from i2i_multimodal.bicycle_networks import EncodedReference

        source, target = sample["source"][:1], sample["target"][:1]
        code = torch.zeros(1, self.config.code).to(source)
        by_reference = EncodedReference(nets["generator"], nets["encoder"], self.halvings)
        return {
            "default": i2i.Translator(
                nets["generator"],
                {"image": source, "code": code},
                target=None,
                inputs={"code": i2i.VectorInput(self.config.code)},
                real="target",
            ),
            "reference": i2i.Translator(
                by_reference,
                {"image": source, "reference": target},
                inputs={"reference": i2i.ImageInput(key="target", own_size=True)},
            ),
        }


# 200 epochs and 200 more with a falling rate, on facades; the paper's text has batches of one and no schedule.
REFERENCE: dict[str, Any] = {
    "train": {
        "batch_size": 2,
        "epochs": 400,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear-epochs", "hold": 0.5},
    },
    "bicyclegan": {"generator": {"name": "unet-code", "dropout": 0.5}, "split": True},
}
PAPER: dict[str, Any] = {
    "train": {"batch_size": 1, "schedule": {"name": "constant"}},
    "bicyclegan": {"generator": {"name": "unet-code", "dropout": 0.0}, "split": False},
}
# Many times the paper's weight of the error, larger first weights and a slower discriminator: in so few steps the
# adversary, whose weight is four times one, drew patterns of its own, and the encoder's first codes said nothing.
SAMPLES: dict[str, Any] = {
    "data": {"layout": {"name": "tints", "size": 32}, "size": 32, "load_size": 32},
    "train": {
        "batch_size": 4,
        "steps": 2000,
        "sample_every": 500,
        "checkpoint_every": 500,
        "optimizer": {"lr": 1e-3},
        "schedule": {"name": "linear"},
    },
    "bicyclegan": {
        "generator": {"filters": 16, "dropout": 0.0, "init_gain": 0.4},
        "discriminator": {"filters": 16, "layers": 2},
        "adversary": {"weight": 0.25},
        "discriminator_rate": 0.2,
        "encoder_filters": 16,
        "encoder_gain": 1.0,
        "l1": 100.0,
        "kl": 0.3,
        "latent": 5.0,
        "split": False,
    },
}
PRESETS = {"reference": REFERENCE, "paper": PAPER, "samples": SAMPLES}
