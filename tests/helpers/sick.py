"""A recipe that makes numbers that are not finite when its options say so; used by test_health."""

import torch
from torch import nn

import i2i


class Config(i2i.Config):
    """What goes wrong, and when."""

    at: int = -1
    """Step in which it happens; -1: never."""
    times: int = 1
    """How often; steps that are done again after going back count."""
    where: str = "loss"
    """loss, gradient or weight."""


class Sick(i2i.Recipe):
    """One convolution that learns to repeat the target."""

    happened = 0

    def networks(self, build, sample):
        return {"net": nn.Conv2d(3, 3, 3, padding=1)}

    def phases(self):
        return [i2i.Phase("p", trains=("net",))]

    def losses(self, phase, nets, batch, ctx):
        loss = (nets["net"](batch["source"]) - batch["target"]).abs().mean()
        if ctx.step != self.config.at or self.happened >= self.config.times:
            return {"error": loss}
        self.happened += 1
        if self.config.where == "loss":
            loss = loss * float("nan")
        elif self.config.where == "gradient":
            loss.register_hook(lambda gradient: gradient * float("inf"))
        else:
            with torch.no_grad():
                nets["net"].weight[0, 0, 0, 0] = float("nan")
            loss = loss.detach() + nets["net"].bias.sum()
        return {"error": loss}

    def translators(self, nets, sample):
        return {"default": i2i.Translator(nets["net"], {"image": sample["source"][:1]})}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("sick", Sick, Config, "fails when told")]
