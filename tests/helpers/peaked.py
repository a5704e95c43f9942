"""A recipe whose images become brighter with each step, and metrics that know at which step they are best."""

import time
from pathlib import Path

import torch
from torch import nn

import i2i

BRIGHTER = 0.02
"""What a step adds to the images."""


class Brightened(nn.Module):
    """A grey picture whose brightness says how many steps were trained."""

    def __init__(self, network, steps):
        super().__init__()
        self.network = network
        self.register_buffer("brightness", torch.full((1, 1, 1, 1), BRIGHTER * steps))

    def forward(self, image):
        return self.network(image) * 0 + self.brightness


class Config(i2i.Config):
    seconds: float = 0.0  # of a step


class Peaked(i2i.Recipe):
    def networks(self, build, sample):
        return {"generator": nn.Conv2d(sample["source"].shape[1], sample["target"].shape[1], 1)}

    def phases(self):
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase, nets, batch, ctx):
        time.sleep(self.config.seconds)
        self.state["steps"] = self.state.get("steps", 0) + 1
        return {"l1": (nets["generator"](batch["source"]) - batch["target"]).abs().mean()}

    def translators(self, nets, sample):
        module = Brightened(nets["generator"], self.state.get("steps", 0)).to(sample["source"].device)
        return {"default": i2i.Translator(module, {"image": sample["source"][:1]})}

    def evaluate(self, nets, batches):
        steps = self.state.get("steps", 0)
        return {"score": float(steps), "steps": float(steps)}


class PeakConfig(i2i.Config):
    step: int = 6  # at which it is best
    least: bool = False  # whether the lowest value is the best
    file: str | None = None  # that it needs


class Peak:
    """How far the outputs' brightness is from that of a step, from 0: negated, unless the lowest is the best."""

    kind = "scores"

    def __init__(self, config):
        if config.file and not Path(config.file).exists():
            raise i2i.ModelError(f"needs {config.file}")
        self.config, self.higher_is_better = config, not config.least
        self.figure_name = f"peak-{config.step}"
        self.reset()

    def reset(self):
        self.found = []

    def update_fake(self, images):
        self.found.append(abs(float(images.mean()) / BRIGHTER - self.config.step))

    def compute(self):
        mean = sum(self.found) / len(self.found)
        return mean if self.config.least else -mean

    def error_bar(self):
        return 0.25

    @property
    def protocol(self):
        return {"fake_images": len(self.found)}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("peaked", Peaked, Config, "Images that become brighter with each step")]


@i2i.hookimpl
def i2i_metrics():
    return [i2i.Component("peak", Peak, PeakConfig, "How far from the brightness of a step")]
