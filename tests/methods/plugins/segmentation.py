"""Photographs to label maps: a class for each pixel, learned by cross entropy; 255 is not known."""

from torch import nn
from torch.nn.functional import cross_entropy

import i2i


class Config(i2i.Config):
    classes: int = 4


class Logits(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        layers = [nn.Conv2d(channels, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, classes, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image):
        return self.layers(image)


class Segmentation(i2i.Recipe):
    kinds = {"target": "labels"}
    paired = True

    def networks(self, build, sample):
        return {"network": Logits(sample["source"].shape[1], self.config.classes)}

    def phases(self):
        return [i2i.Phase("network", trains=("network",), optimizer={"lr": 0.05})]

    def losses(self, phase, nets, batch, ctx):
        return {"entropy": cross_entropy(nets["network"](batch["source"]), batch["target"], ignore_index=255)}

    def translators(self, nets, sample):
        outputs = {"classes": i2i.LabelMap(palette=((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)))}
        return {"default": i2i.Translator(nets["network"], {"image": sample["source"][:1]}, outputs=outputs)}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("segmentation", Segmentation, Config, "Photographs to label maps")]
