"""WGAN-GP for paired folders (Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1)."""

import torch
from torch.nn.functional import l1_loss

import i2i


class Config(i2i.Config):
    l1: float = 10.0  # weight of the mean absolute error, images in [-1, 1]
    penalty: float = 10.0  # lambda in the paper


class WassersteinPix2Pix(i2i.Recipe):
    def networks(self, build, sample):
        a, b = sample["source"].shape[1], sample["target"].shape[1]
        return {
            "generator": build.generator("unet", in_channels=a, out_channels=b),
            "critic": build.discriminator("patch", in_channels=a + b, norm="instance"),
        }

    def phases(self):
        return [
            i2i.Phase(name="critic", trains=("critic",)),
            i2i.Phase(name="generator", trains=("generator",), every=5),
        ]

    def losses(self, phase, nets, batch, ctx):
        fake, real = nets["generator"](batch["source"]), batch["target"]
        score = lambda image: nets["critic"](torch.cat([batch["source"], image], 1))
        if phase == "generator":
            return {"adversarial": -score(fake).mean(), "l1": self.config.l1 * l1_loss(fake, real)}
        fake = fake.detach()
        slope = ctx.input_gradient(score, torch.lerp(fake, real, ctx.rand(len(fake), 1, 1, 1)))
        penalty = self.config.penalty * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return {"wasserstein": score(fake).mean() - score(real).mean(), "penalty": penalty}

    def translators(self, nets, sample):
        return {"default": i2i.Translator(module=nets["generator"], example={"image": sample["source"][:1]})}


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component(name="wgan-gp", build=WassersteinPix2Pix, config=Config, summary="Pix2Pix, WGAN-GP critic")]
