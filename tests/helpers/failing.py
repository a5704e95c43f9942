"""A recipe whose network fails in a training step as its option says; used by test_step_failures."""

import torch
from torch import nn

import i2i


class Config(i2i.Config):
    """What fails."""

    fault: str = ""
    """Name of a fault."""
    target: str | None = "target"
    """What validation compares outputs with."""


class Blend(nn.Module):
    """Blends the output of a convolution with a buffer, which is of another type under autocast."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 1)
        self.register_buffer("grey", torch.zeros(1, 3, 1, 1))

    def forward(self, image):
        return torch.lerp(self.convolution(image), self.grey, 0.5)


class Constant(nn.Module):
    """Multiplies a matrix that is float32 in every precision."""

    def forward(self, image):
        return image @ torch.eye(image.shape[-1])


class Backward(torch.autograd.Function):
    """The identity, without a way back."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise LookupError("no way back")


class NoWayBack(nn.Module):
    """Fails in the backward pass."""

    def forward(self, image):
        return Backward.apply(image)


class Pooled(nn.Module):
    """Adds to an image what layers make of its mean colour."""

    def __init__(self, *layers):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 1)
        self.of_mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers)

    def forward(self, image):
        image = self.convolution(image)
        return image + self.of_mean(image)


NETWORKS = {
    "": lambda: nn.Conv2d(3, 3, 1),
    "blend": lambda: nn.Sequential(nn.Identity(), Blend()),
    "constant": lambda: nn.Sequential(nn.Conv2d(3, 3, 1), Constant()),
    "backward": lambda: nn.Sequential(nn.Conv2d(3, 3, 1), NoWayBack()),
    "batch": lambda: Pooled(nn.BatchNorm2d(3)),
    "flat": lambda: Pooled(nn.Flatten(), nn.BatchNorm1d(3), nn.Unflatten(1, (3, 1, 1))),
    "instance": lambda: Pooled(nn.InstanceNorm2d(3)),
}


class Failing(i2i.Recipe):
    """One network that learns to repeat the target."""

    def networks(self, build, sample):
        return {"net": NETWORKS[self.config.fault]()}

    def phases(self):
        return [i2i.Phase("learn", trains=("net",))]

    def losses(self, phase, nets, batch, ctx):
        return {"error": (nets["net"](batch["source"]) - batch["target"]).abs().mean()}

    def translators(self, nets, sample):
        example = {"image": sample["source"][:1]}
        return {"default": i2i.Translator(nets["net"], example, target=self.config.target)}


class Unpaired(Failing):
    """The same for unpaired images."""

    paired = False


@i2i.hookimpl
def i2i_recipes():
    return [
        i2i.Component("failing", Failing, Config, "fails as told"),
        i2i.Component("failing-unpaired", Unpaired, Config, "fails as told, on unpaired images"),
    ]
