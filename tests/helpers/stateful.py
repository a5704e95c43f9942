"""A regression whose recipe keeps numbers, a text and a tensor; losses and the exported model depend on them."""

import torch
from torch import nn
from torch.nn.functional import l1_loss

import i2i

SEEN: list[dict] = []
"""The state that each call of `networks` got."""


class Brightened(nn.Module):
    """The network's output and a constant."""

    def __init__(self, network, added):
        super().__init__()
        self.network = network
        self.register_buffer("added", added)

    def forward(self, image):
        return self.network(image) * 0 + self.added


class Config(i2i.Config):
    spoil: str = ""  # what becomes of the state in the third step


class Stateful(i2i.Recipe):
    def networks(self, build, sample):
        SEEN.append(dict(self.state))
        return {"generator": nn.Conv2d(sample["source"].shape[1], sample["target"].shape[1], 1)}

    def phases(self):
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase, nets, batch, ctx):
        strength = self.state.get("strength", 1.0)
        loss = strength * l1_loss(nets["generator"](batch["source"]), batch["target"])
        self.state["strength"] = strength * 0.9 + float(loss.detach()) * 0.1
        self.state["mean"] = self.state.get("mean", torch.zeros((), device=loss.device)) * 0.5 + loss.detach() * 0.5
        self.state |= {"steps": self.state.get("steps", 0) + 1, "stage": "late" if ctx.step > 1 else "early"}
        spoilt = {"list": [1, 2], "gradient": loss * 2}
        if self.config.spoil:
            self.state["spoilt"] = spoilt[self.config.spoil]
        return {"l1": loss}

    def translators(self, nets, sample):
        added = torch.full((1, 1, 1, 1), 0.1 * self.state.get("steps", 0))
        module = Brightened(nets["generator"], added.to(sample["source"]))
        return {"default": i2i.Translator(module, {"image": sample["source"][:1]})}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("stateful", Stateful, Config, "Regression that counts")]
