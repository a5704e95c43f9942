"""A game whose equilibrium is known: real numbers from N(5, 1), a generator G(z) = a z + b."""

import torch
from torch import nn

import i2i


class Affine(nn.Module):
    """noise (N, 1) -> a z + b as an image (N, 1, 1, 1)."""

    inputs = ("noise",)

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.tensor(0.0))

    def forward(self, noise):
        return (self.a * noise + self.b)[:, :, None, None]


class Config(i2i.Config):
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(penalty=i2i.LossChoice("r1", {"weight": 0.1, "every": 1}))


class Game(i2i.Recipe):
    needs = frozenset({"target"})

    def networks(self, build, sample):
        self.adversary = i2i.Adversary(self.config.adversary, build)
        critic = [nn.Flatten(), nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1)]
        return {"generator": Affine(), "discriminator": nn.Sequential(*critic)}

    def phases(self):
        clip = self.config.adversary.clip_weights
        discriminator = i2i.Phase("discriminator", trains=("discriminator",), clip_weights=clip)
        return [discriminator, i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase, nets, batch, ctx):
        real = 5 + ctx.randn(256, 1, 1, 1)
        fake = nets["generator"](ctx.randn(256, 1))
        play = self.adversary.generator_losses if phase == "generator" else self.adversary.discriminator_losses
        return play(nets["discriminator"], real, fake, ctx)

    def translators(self, nets, sample):
        return {"default": i2i.Translator(nets["generator"], {"noise": torch.zeros(1, 1)}, target=None)}


class Nothing:
    """One empty sample: the recipe draws its numbers itself."""

    gives = frozenset({"target"})

    def __init__(self, config, *, root=None, split, transform):
        self.count = 1 if split == "train" else 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"target": torch.zeros(1, 1, 1)}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("game", Game, Config)]


@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("nothing", Nothing)]
