"""Fills what a mask covers, and leaves the rest as it is."""

import torch
from torch import nn
from torch.nn.functional import l1_loss

import i2i


class Masked(i2i.Dataset):
    """Images with a mask under the same name: folders images and masks."""

    gives = frozenset({"target", "mask"})
    kinds = {"mask": "mask"}
    has_splits = False

    def __init__(self, config, *, root, split, transform, read):
        self.transform, self.read = transform, read
        self.files = sorted((root / "images").glob("*.png"))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        file = self.files[index]
        mask = file.parent.parent / "masks" / file.name
        if not mask.exists():
            raise i2i.DataError("no mask for it", kind=i2i.ErrorKind.NO_PARTNER, path=str(file))
        return self.transform({"target": self.read(file, "target"), "mask": self.read(mask, "mask")})


class Filler(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.multiple = network.multiple

    def forward(self, image, mask):
        filled = self.network(torch.cat([image * (1 - mask), mask], 1))
        return image * (1 - mask) + filled * mask


class Inpainting(i2i.Recipe):
    needs = frozenset({"target", "mask"})
    kinds = {"mask": "mask"}

    def networks(self, build, sample):
        channels = sample["target"].shape[1]
        network = build.generator("unet", in_channels=channels + 1, out_channels=channels, filters=4, depth=3)
        return {"generator": Filler(network)}

    def phases(self):
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": l1_loss(nets["generator"](batch["target"], batch["mask"]), batch["target"])}

    def translators(self, nets, sample):
        example = {"image": sample["target"][:1], "mask": sample["mask"][:1]}
        inputs = {"mask": i2i.MaskInput()}
        return {"default": i2i.Translator(nets["generator"], example, "target", "target", inputs=inputs)}

    def grid(self, nets, batch):
        image, mask = batch["target"], batch["mask"]
        return {"image": image, "given": image * (1 - mask), "filled": nets["generator"](image, mask)}


@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("masked", Masked, i2i.Config, "Images with masks")]


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("inpainting", Inpainting, i2i.Config, "Fills what a mask covers")]
