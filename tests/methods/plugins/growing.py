"""Progressive growing: images of 4, 8, then 16 pixels (Karras et al. 2018, arXiv:1710.10196, section 2)."""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

import i2i

SIZE = 16
STAGES = ((4, 8), (8, 4), (16, 2))
"""Size of the images and of the batches, for equal shares of the training."""


class Growing(nn.Module):
    """Gives images of 4 pixels, and twice as many with each further layer that is used."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Linear(SIZE, 8 * 16)
        self.layers = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in STAGES)
        self.to_image = nn.ModuleList(nn.Conv2d(8, channels, 1) for _ in STAGES)
        self.used = 1

    def forward(self, noise):
        x = self.first(noise).view(-1, 8, 4, 4)
        for number in range(self.used):
            x = x if number == 0 else interpolate(x, scale_factor=2.0, mode="nearest")
            x = torch.relu(self.layers[number](x))
        return torch.tanh(self.to_image[self.used - 1](x))


class Judge(nn.Module):
    """Logits for images of 4 pixels or more."""

    def __init__(self, channels):
        super().__init__()
        self.from_image, self.layer, self.last = (
            nn.Conv2d(channels, 8, 1),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.Linear(8, 1),
        )

    def forward(self, image):
        x = torch.relu(self.from_image(image))
        while x.shape[-1] > 4:
            x = avg_pool2d(torch.relu(self.layer(x)), 2)
        return self.last(x.mean((2, 3)))


class ProgressiveGrowing(i2i.Recipe):
    needs = frozenset({"target"})

    def stages(self, progress):
        return STAGES[int(progress * len(STAGES))]

    def networks(self, build, sample):
        self.adversary = i2i.Adversary(i2i.AdversaryConfig(loss=i2i.LossChoice("wasserstein"), clip_weights=0.1), build)
        channels = sample["target"].shape[1]
        generator = Growing(channels)
        generator.used = self.state.get("used", 1)  # of the checkpoint, in a resumed run and in an export
        return {"generator": generator, "discriminator": Judge(channels)}

    def phases(self):
        return [i2i.Phase("discriminator", trains=("discriminator",)), i2i.Phase("generator", trains=("generator",))]

    def shared(self, nets, batch, ctx):
        self.state["used"] = [size for size, _ in STAGES].index(batch["target"].shape[-1]) + 1
        nets["generator"].used = self.state["used"]
        return {"fake": nets["generator"](ctx.randn(len(batch["target"]), SIZE))}

    def losses(self, phase, nets, batch, ctx):
        player = self.adversary.discriminator_losses if phase == "discriminator" else self.adversary.generator_losses
        return player(nets["discriminator"], batch["target"], batch["fake"], ctx)

    def translators(self, nets, sample):
        noise = torch.zeros(1, SIZE, device=sample["target"].device)
        return {"default": i2i.Translator(nets["generator"], {"noise": noise}, "target", None)}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("growing", ProgressiveGrowing, i2i.Config, "Images that grow")]
