"""BiGAN: images of noise, and the noise of images (Donahue et al. 2017, arXiv:1605.09782, equation 3)."""

import torch
from torch import nn

import i2i

SIZE = 8


class Encoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        layers = [nn.Conv2d(channels, 8, 4, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 4, 2, 1), nn.ReLU()]
        self.layers, self.last = nn.Sequential(*layers), nn.Linear(8, SIZE)

    def forward(self, image):
        return self.last(self.layers(image).mean((2, 3)))


class Judge(nn.Module):
    """Logits for an image together with its noise."""

    def __init__(self, channels):
        super().__init__()
        self.image, self.noise, self.last = nn.Conv2d(channels, 8, 4, 2, 1), nn.Linear(SIZE, 8), nn.Conv2d(8, 1, 3)

    def forward(self, image, noise):
        return self.last(torch.relu(self.image(image) + self.noise(noise)[..., None, None]))


class Autoencoder(nn.Module):
    """The code of an image, and the image that the generator makes of it."""

    def __init__(self, encoder, generator, size):
        super().__init__()
        self.encoder, self.generator, self.size = encoder, generator, size

    def forward(self, image):
        code = self.encoder(image)
        return code, self.generator(code)


class BiGAN(i2i.Recipe):
    needs = frozenset({"target"})

    def networks(self, build, sample):
        self.adversary = i2i.Adversary(i2i.AdversaryConfig(loss=i2i.LossChoice("vanilla")), build)
        channels = sample["target"].shape[1]
        return {
            "generator": build.generator("dcgan", in_channels=SIZE, out_channels=channels, filters=4),
            "encoder": Encoder(channels),
            "discriminator": Judge(channels),
        }

    def phases(self):
        makers = i2i.Phase("makers", trains=("generator", "encoder"))
        return [i2i.Phase("discriminator", trains=("discriminator",)), makers]

    def losses(self, phase, nets, batch, ctx):
        noise, real = ctx.randn(len(batch["target"]), SIZE), batch["target"]
        judged = (
            nets["discriminator"](real, nets["encoder"](real)),
            nets["discriminator"](nets["generator"](noise), noise),
        )
        sign = 1 if phase == "discriminator" else -1
        of_real, of_fake = (nn.functional.softplus(-sign * judged[0]), nn.functional.softplus(sign * judged[1]))
        return {"real": of_real.mean(), "fake": of_fake.mean()}

    def translators(self, nets, sample):
        image = sample["target"][:1]
        module = Autoencoder(nets["encoder"], nets["generator"], tuple(image.shape[-2:]))
        outputs = {"code": i2i.Vector(), "reconstruction": i2i.Image()}
        noise = torch.zeros(1, SIZE, device=image.device)
        return {
            "encode": i2i.Translator(module, {"image": image}, "target", "target", outputs=outputs),
            "draw": i2i.Translator(nets["generator"], {"noise": noise}, "target", None),
        }


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("bigan", BiGAN, i2i.Config, "Images of noise, and the noise of images")]
