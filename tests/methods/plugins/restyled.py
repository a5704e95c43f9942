"""Images in the colours of a reference (Huang & Belongie 2017, arXiv:1703.06868, equation 8)."""

import numpy as np
from torch import nn
from torch.nn.functional import l1_loss

import i2i


class Referenced(i2i.Dataset):
    """Folders A and B; the reference is another image of B."""

    gives = frozenset({"source", "target", "reference"})
    has_splits = False

    def __init__(self, config, *, root, split, transform, read):
        self.transform, self.read = transform, read
        self.files = sorted((root / "A").glob("*.png"))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        file, other = self.files[index], self.files[int(np.random.randint(len(self.files)))]
        target, reference = (one.parent.parent / "B" / one.name for one in (file, other))
        sample = {"source": self.read(file, "source"), "target": self.read(target, "target")}
        return self.transform(sample | {"reference": self.read(reference, "reference")})


class Restyler(nn.Module):
    """Gives the features of an image mean and deviation of those of the reference."""

    def __init__(self, channels):
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, channels, 3, padding=1)
        self.norm = nn.InstanceNorm2d(8)

    def forward(self, image, reference):
        style = self.encoder(reference)
        mean, deviation = style.mean((2, 3), keepdim=True), style.std((2, 3), keepdim=True, correction=0)
        return self.decoder(self.norm(self.encoder(image)) * deviation + mean).tanh()


class Restyling(i2i.Recipe):
    needs = frozenset({"source", "target", "reference"})

    def networks(self, build, sample):
        return {"generator": Restyler(sample["source"].shape[1])}

    def phases(self):
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": l1_loss(nets["generator"](batch["source"], batch["reference"]), batch["target"])}

    def translators(self, nets, sample):
        example = {"image": sample["source"][:1], "reference": sample["reference"][:1]}
        inputs = {"reference": i2i.ImageInput(own_size=True)}
        return {"default": i2i.Translator(nets["generator"], example, inputs=inputs)}


@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("referenced", Referenced, i2i.Config, "Pairs with a reference")]


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("restyled", Restyling, i2i.Config, "Images in the style of a reference")]
