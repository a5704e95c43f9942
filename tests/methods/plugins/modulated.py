"""SPADE: label maps to photographs (Park et al. 2019, arXiv:1903.07291, equation 1)."""

import torch
from torch import nn
from torch.nn.functional import interpolate, l1_loss, one_hot, relu

import i2i


class Config(i2i.Config):
    classes: int = 4
    filters: int = 8


class Spade(nn.Module):
    """Normalises features, and scales and shifts each pixel by what its label map says."""

    def __init__(self, channels, classes):
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels)
        self.hidden = nn.Conv2d(classes, 8, 3, padding=1)
        self.scale, self.shift = nn.Conv2d(8, channels, 3, padding=1), nn.Conv2d(8, channels, 3, padding=1)

    def forward(self, x, labels):
        hidden = relu(self.hidden(labels))
        return self.norm(x) * (1 + self.scale(hidden)) + self.shift(hidden)


class Generator(nn.Module):
    multiple = 4

    def __init__(self, classes, filters, channels):
        super().__init__()
        self.classes = classes
        self.head = nn.Conv2d(classes, filters, 3, padding=1)
        self.spades = nn.ModuleList(Spade(filters, classes) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(filters, filters, 3, padding=1) for _ in range(2))
        self.tail = nn.Conv2d(filters, channels, 3, padding=1)

    def forward(self, labels):
        pixels = one_hot(labels, self.classes).permute(0, 3, 1, 2).float()
        small = interpolate(pixels, scale_factor=0.25, mode="nearest")
        x = self.head(small)
        for spade, convolution in zip(self.spades, self.convolutions, strict=True):
            x = interpolate(relu(convolution(spade(x, small))), scale_factor=2.0, mode="nearest")
            small = interpolate(small, scale_factor=2.0, mode="nearest")
        return torch.tanh(self.tail(x))


class SpadeRecipe(i2i.Recipe):
    kinds = {"source": "labels"}
    paired = True

    def networks(self, build, sample):
        self.adversary = i2i.Adversary(i2i.AdversaryConfig(loss=i2i.LossChoice("hinge")), build)
        channels = sample["target"].shape[1]
        judge = i2i.DiscriminatorChoice("patch", filters=4, layers=2, norm="instance")
        return {
            "generator": Generator(self.config.classes, self.config.filters, channels),
            "discriminator": self.adversary.discriminator(judge, in_channels=channels + self.config.classes),
        }

    def phases(self):
        return [i2i.Phase("discriminator", trains=("discriminator",)), i2i.Phase("generator", trains=("generator",))]

    def shared(self, nets, batch, ctx):
        return {"fake": nets["generator"](batch["source"])}

    def losses(self, phase, nets, batch, ctx):
        labels = one_hot(batch["source"], self.config.classes).permute(0, 3, 1, 2).float()

        def critic(images, labels):
            return nets["discriminator"](torch.cat([labels, images], 1))

        if phase == "discriminator":
            return self.adversary.discriminator_losses(critic, batch["target"], batch["fake"], ctx, labels)
        adversarial = self.adversary.generator_losses(critic, batch["target"], batch["fake"], ctx, labels)
        return adversarial | {"l1": 10 * l1_loss(batch["fake"], batch["target"])}

    def translators(self, nets, sample):
        inputs = {"image": i2i.LabelMapInput(self.config.classes)}
        return {"default": i2i.Translator(nets["generator"], {"image": sample["source"][:1]}, inputs=inputs)}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("modulated", SpadeRecipe, Config, "Label maps to photographs")]
