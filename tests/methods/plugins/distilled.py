"""Knowledge distillation (Hinton et al. 2015, arXiv:1503.02531): a small network learns what a large one makes."""

from typing import Annotated

from pydantic import Field
from torch import nn
from torch.nn.functional import l1_loss

import i2i


class DistilledConfig(i2i.Config):
    teacher: str = ""
    """The run folder or the .onnx file to learn from."""
    network: str | None = None
    """Which of the run's networks; by default the one that it exports."""
    filters: Annotated[int, Field(ge=1)] = 8
    """Channels of the student."""


class Distilled(i2i.Recipe):
    needs = frozenset({"source"})

    def networks(self, build, sample):
        channels, filters = sample["source"].shape[1], self.config.filters
        teacher = build.frozen(self.config.teacher, self.config.network)
        first, last = nn.Conv2d(channels, filters, 3, padding=1), nn.Conv2d(filters, 3, 3, padding=1)
        return {"student": nn.Sequential(first, nn.ReLU(), last, nn.Tanh()), "teacher": teacher}

    def phases(self):
        return [i2i.Phase("student", trains=("student",))]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": l1_loss(nets["student"](batch["source"]), nets["teacher"](batch["source"]))}

    def translators(self, nets, sample):
        return {"default": i2i.Translator(nets["student"], {"image": sample["source"][:1]}, target=None)}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("distilled", Distilled, DistilledConfig, "A small network learns from a large one")]
