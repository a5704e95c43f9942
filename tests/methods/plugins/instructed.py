"""Images changed as a text says: the text lies beside the source, under its name and with the ending .txt."""

import torch
from torch import nn
from torch.nn.functional import l1_loss

import i2i

LENGTH = 16


class Captioned(i2i.Dataset):
    """Folders A and B, and beside each image of A its text."""

    gives = frozenset({"source", "target", "text"})
    has_splits = False

    def __init__(self, config, *, root, split, transform, read):
        self.transform, self.read = transform, read
        self.files = sorted((root / "A").glob("*.png"))

    def __len__(self):
        return len(self.files)

    def key(self, index):
        return self.files[index].name

    def __getitem__(self, index):
        file = self.files[index]
        text = file.with_suffix(".txt").read_text(encoding="utf-8")
        return self.transform(
            {
                "source": self.read(file, "source"),
                "target": self.read(file.parent.parent / "B" / file.name, "target"),
                "text": i2i.encode_text(text, LENGTH),
            }
        )


class Instructed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.words = nn.Embedding(256, 8)
        self.first, self.last = nn.Conv2d(channels, 8, 3, padding=1), nn.Conv2d(8, channels, 3, padding=1)

    def forward(self, image, text):
        code = self.words(text).mean(1)[..., None, None]
        return torch.tanh(self.last(torch.relu(self.first(image) + code)))


class InstructedRecipe(i2i.Recipe):
    needs = frozenset({"source", "target", "text"})

    def networks(self, build, sample):
        return {"generator": Instructed(sample["source"].shape[1])}

    def phases(self):
        return [i2i.Phase("generator", trains=("generator",), optimizer={"lr": 0.02})]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": l1_loss(nets["generator"](batch["source"], batch["text"]), batch["target"])}

    def translators(self, nets, sample):
        example = {"image": sample["source"][:1], "text": sample["text"][:1]}
        return {"default": i2i.Translator(nets["generator"], example, inputs={"text": i2i.TextInput(LENGTH)})}


@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("captioned", Captioned, i2i.Config, "Pairs with a text")]


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("instructed", InstructedRecipe, i2i.Config, "Images changed as a text says")]
