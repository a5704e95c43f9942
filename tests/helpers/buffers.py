"""A recipe whose network has buffers of every sort: statistics, counters, the share of a network that grows."""

import torch
from torch import nn

import i2i


class Net(nn.Module):
    """A convolution, batch norm, and buffers that count its calls."""

    def __init__(self):
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("share", torch.tensor(0.0))
        self.register_buffer("unsaved", torch.tensor(0), persistent=False)

    def forward(self, image):
        if self.training:
            self.calls += 1
            self.unsaved += 1
            self.share.copy_(self.calls / 10.0)
        return torch.tanh(self.norm(self.convolution(image)))


class Buffers(i2i.Recipe):
    """Learns to repeat the target."""

    def networks(self, build, sample):
        return {"net": Net()}

    def phases(self):
        return [i2i.Phase("p", trains=("net",))]

    def losses(self, phase, nets, batch, ctx):
        return {"error": (nets["net"](batch["source"]) - batch["target"]).abs().mean()}

    def translators(self, nets, sample):
        return {"default": i2i.Translator(nets["net"], {"image": sample["source"][:1]})}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("buffers", Buffers, i2i.Config, "a network with buffers")]
