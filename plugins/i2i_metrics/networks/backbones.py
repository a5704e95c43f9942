"""VGG16 and AlexNet up to the five ReLUs that LPIPS compares (Zhang et al. 2018, arXiv:1801.03924, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from i2i_metrics.networks.weights import file_digest, find_weights, load_strictly, read_state
from i2i_metrics.options import WeightsConfig
from i2i_metrics.preparing import as_colour, check_sides

MIN_SIDE = 32
"""Height and width that leave a pixel in the last of the maps."""

AFTER = {"vgg16": (3, 8, 15, 22, 29), "alexnet": (1, 4, 7, 9, 11)}
"""Positions of the ReLUs in torchvision's list of layers."""

CHANNELS = {"vgg16": (64, 128, 256, 512, 512), "alexnet": (64, 192, 384, 256, 256)}
"""Channels of their feature maps."""


class Backbone(nn.Module):
    """The layers of a network up to the last one whose output is compared.

    Args:
        layers: torchvision's layers up to there; ReLUs must not work in place.
        after: positions of the layers whose outputs are given.
        name: the network's name.
        digest: SHA-256 of the file of its weights.

    Attributes:
        protocol: name and digest; ``published`` if the file is the one that torchvision offers.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, after: Sequence[int], name: str, digest: str) -> None:
        super().__init__()
        self.layers, self.after, self.title = layers, tuple(after), name
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)
        self.protocol = {"network": name, "digest": digest, "resize": "none"}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Five feature maps.

        Args:
            images: ``(N, 3, H, W)`` in [-1, 1], or of one channel, which is repeated; sides of 32 pixels and more.

        Raises:
            i2i.DataError: the images are too small, or have another number of channels.
        """
        check_sides(images, MIN_SIDE, self.title)
        x, maps = ((as_colour(images) + 1) / 2 - self.mean) / self.std, []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.after:
                maps.append(x)
        return maps


def vgg16(config: WeightsConfig) -> Backbone:
    """VGG16 (Simonyan & Zisserman 2015, arXiv:1409.1556, configuration D).

    Raises:
        i2i.ModelError: the weights are not there and cannot be downloaded, or the file holds something else.
    """
    from torchvision import models

    make = lambda: models.vgg16(weights=None, init_weights=False).features  # noqa: E731
    return _built("vgg16", make, models.VGG16_Weights.IMAGENET1K_V1.url, config)


def alexnet(config: WeightsConfig) -> Backbone:
    """AlexNet in the form of torchvision (Krizhevsky 2014, arXiv:1404.5997).

    Raises:
        i2i.ModelError: the weights are not there and cannot be downloaded, or the file holds something else.
    """
    from torchvision import models

    return _built(
        "alexnet", lambda: models.alexnet(weights=None).features, models.AlexNet_Weights.IMAGENET1K_V1.url, config
    )


def _built(name: str, make: Callable[[], nn.Module], url: str, config: WeightsConfig) -> Backbone:
    file = find_weights(config.weights, url, name)
    published = url.rpartition("-")[2].removesuffix(".pth")  # torchvision's names end in the beginning of the digest
    digest = file_digest(
        file, f"the weights of {name}", config.sha256 or (published if config.weights == "download" else "")
    )
    with torch.device("meta"):
        kept = list(make().children())[: AFTER[name][-1] + 1]
    layers = nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.ReLU) else layer for layer in kept))
    state = read_state(file, f"weights of {name}")
    prefix = "features."
    of_layers = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    load_strictly(layers, of_layers, file, name)
    known = name if digest.startswith(published) else f"{name}-{digest[:8]}"
    return Backbone(layers, AFTER[name], known, digest).eval().requires_grad_(False)
