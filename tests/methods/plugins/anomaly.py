"""How unlike the training images an image is: the loss of a discriminator's logits, as a number for each image."""

import torch
from torch import nn

import i2i


class Score(nn.Module):
    """The mean logit of each image, negated: high for images that look generated."""

    minimum = 32

    def __init__(self, discriminator):
        super().__init__()
        self.discriminator = discriminator

    def forward(self, image):
        return -self.discriminator(image).mean((1, 2, 3))


class Anomaly(i2i.Recipe):
    needs = frozenset({"target"})

    def networks(self, build, sample):
        self.adversary = i2i.Adversary(i2i.AdversaryConfig(loss=i2i.LossChoice("hinge")), build)
        channels = sample["target"].shape[1]
        judge = i2i.DiscriminatorChoice("patch", filters=4, layers=2, norm="instance")
        return {
            "generator": build.generator("dcgan", in_channels=8, out_channels=channels, inputs=("noise",), filters=4),
            "discriminator": self.adversary.discriminator(judge, in_channels=channels),
        }

    def phases(self):
        return [i2i.Phase("discriminator", trains=("discriminator",)), i2i.Phase("generator", trains=("generator",))]

    def shared(self, nets, batch, ctx):
        return {"fake": nets["generator"](ctx.randn(len(batch["target"]), 8))}

    def losses(self, phase, nets, batch, ctx):
        player = self.adversary.discriminator_losses if phase == "discriminator" else self.adversary.generator_losses
        return player(nets["discriminator"], batch["target"], batch["fake"], ctx)

    def translators(self, nets, sample):
        example, outputs = {"image": sample["target"][:1]}, {"score": i2i.Number()}
        return {"default": i2i.Translator(Score(nets["discriminator"]), example, "target", None, outputs=outputs)}

    def evaluate(self, nets, batches):
        """The area under the ROC curve: how often images with a black square score higher than images without."""
        score, clean, spoiled = Score(nets["discriminator"]), [], []
        for batch in batches:
            image = batch["target"].clone()
            clean.append(score(image))
            image[..., 8:20, 8:20] = -1
            spoiled.append(score(image))
        area = (torch.cat(spoiled)[:, None] > torch.cat(clean)).float().mean()
        return {"auroc": area, "score": area}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("anomaly", Anomaly, i2i.Config, "Scores of images")]
