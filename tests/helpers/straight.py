"""A recipe whose network hands images on unchanged, so that what comes out shows what is done around the network."""

import torch
from torch import nn

import i2i


class Straight(nn.Module):
    """Images (N, C, H, W) times a weight that is 1, and stays 1 at the learning rate below."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, image):
        return image * self.weight


class StraightRecipe(i2i.Recipe):
    needs = frozenset({"source", "target"})

    def networks(self, build, sample):
        return {"generator": Straight()}

    def phases(self):
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": (nets["generator"](batch["source"]) - batch["target"]).abs().mean()}

    def translators(self, nets, sample):
        return {"default": i2i.Translator(nets["generator"], {"image": sample["source"][:1]})}


class BothWaysRecipe(StraightRecipe):
    """Translates in both directions, as CycleGAN does."""

    def translators(self, nets, sample):
        there = i2i.Translator(nets["generator"], {"image": sample["source"][:1]}, target=None)
        back = i2i.Translator(nets["generator"], {"image": sample["target"][:1]}, source="target", target=None)
        return {"AtoB": there, "BtoA": back}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("straight", StraightRecipe), i2i.Component("both-ways", BothWaysRecipe)]


SETS = [
    "data.size=16",
    "data.load_size=16",
    "data.transform.flip=0",
    "train.optimizer.lr=1e-12",
    "train.sample_count=1",
    "train.health=false",
    "engine.threads=1",
    "engine.precision=fp32",
]
"""Settings that leave the pixels of images of 16 x 16 as they are."""
