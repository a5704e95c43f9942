"""GAN inversion: the noise whose image is most like a given one (Zhu et al. 2016, arXiv:1609.03552, equation 4)."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import Field

import i2i


class InvertConfig(i2i.Config):
    run: Path
    """The run folder of a recipe whose network `generator` makes images of noise."""
    image: Path
    """The image, of the size that the generator makes."""
    noise: Annotated[int, Field(ge=1)] = 8
    """Length of the generator's noise."""
    steps: Annotated[int, Field(ge=1)] = 200
    """Steps of Adam."""
    lr: Annotated[float, Field(gt=0)] = 0.1
    """Its learning rate."""
    out: Path = Path("noise.npy")
    """File for the noise that was found."""


def invert(config, *, plugins):
    loaded = i2i.load_networks(config.run, plugins=plugins)
    generator = loaded.networks["generator"]
    target = torch.from_numpy(np.array(Image.open(config.image))).permute(2, 0, 1)[None] / 127.5 - 1
    noise = torch.zeros(1, config.noise, requires_grad=True)
    optimizer = torch.optim.Adam([noise], config.lr)
    for _ in range(config.steps):
        error = (generator(noise) - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    np.save(config.out, noise.detach().numpy())
    print(f"mean squared error {error.item():.3g}, images in [-1, 1]")


@i2i.hookimpl
def i2i_commands():
    return [i2i.Component("invert", invert, InvertConfig, "The noise of an image")]
