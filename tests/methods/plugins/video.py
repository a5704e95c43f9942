"""Frames of a video, each translated with what the frame before became."""

import torch
from torch import nn
from torch.nn.functional import l1_loss

import i2i


class Frames(i2i.Dataset):
    """Frames in folders A and B under the same names; before the first one comes a black one."""

    gives = frozenset({"source", "target", "previous"})
    has_splits = False

    def __init__(self, config, *, root, split, transform, read):
        self.transform, self.read = transform, read
        self.files = sorted((root / "A").glob("*.png"))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        targets = [file.parent.parent / "B" / file.name for file in self.files]
        target = self.read(targets[index], "target")
        before = self.read(targets[index - 1], "previous") if index else target * 0
        return self.transform({"source": self.read(self.files[index], "source"), "target": target, "previous": before})


class Recurrent(nn.Module):
    """The mean of the image and of what the frame before became, and a little of a convolution."""

    def __init__(self, channels):
        super().__init__()
        self.convolution = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, image, previous):
        change = self.convolution(torch.cat([image, previous], 1)).tanh()
        return (image + previous) / 2 + 0.01 * change


class Video(i2i.Recipe):
    needs = frozenset({"source", "target", "previous"})

    def networks(self, build, sample):
        return {"generator": Recurrent(sample["source"].shape[1])}

    def phases(self):
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": l1_loss(nets["generator"](batch["source"], batch["previous"]), batch["target"])}

    def translators(self, nets, sample):
        example = {"image": sample["source"][:1], "previous": sample["previous"][:1]}
        inputs = {"previous": i2i.ImageInput(previous="image_out")}
        return {"default": i2i.Translator(nets["generator"], example, inputs=inputs)}


@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("frames", Frames, i2i.Config, "Frames in order")]


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("video", Video, i2i.Config, "Frames, each after the one before")]
