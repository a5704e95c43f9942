"""Networks of StarGAN (Choi et al. 2018, arXiv:1711.09020, appendix, tables IV and V).

The generator pads with zeros, as the paper's does, and that matters: label maps are constant, and a convolution with
mirror padding keeps them constant, so that instance norm removes them entirely. With zeros the border differs, and the
label has an effect.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn

import i2i
from i2i_conditional.labels import label_maps
from i2i_conditional.options import StarGANDiscriminatorConfig, StarGANGeneratorConfig


class LabelledGenerator(nn.Module):
    """An image-to-image generator that sees the wanted class as one-hot maps beside the image.

    Args:
        network: takes ``channels + classes`` channels.
        classes: number of classes.

    Attributes:
        inputs: names of what it is called with.
        multiple: height and width must be divisible by this.
        minimum: the least height and width.
    """

    inputs = ("image", "label")

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes
        self.multiple = int(getattr(network, "multiple", 1))
        self.minimum = int(getattr(network, "minimum", 1))

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] and the wanted classes ``(N,)`` -> images of the network's channels."""
        return self.network(label_maps(image, label, self.classes))

    @torch.no_grad()
    def uses_labels(self, channels: int) -> bool:
        """Whether the label changes anything in the output for a random small image of that many channels."""
        side = -(-max(32, self.minimum) // self.multiple) * self.multiple
        generator = torch.Generator().manual_seed(0)
        image = torch.rand(1, channels, side, side, generator=generator, dtype=torch.float64) * 2 - 1
        exact = deepcopy(self).double().eval()  # new batch norms hardly change the scale: the difference may be tiny
        first, last = (exact(image, torch.tensor([label])) for label in (0, self.classes - 1))
        return bool((first - last).abs().max() > 1e-9 * first.abs().max())


class Block(nn.Module):
    """Two 3x3 convolutions with instance norm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            _norm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            _norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x + self.body(x)


class Generator(nn.Sequential):
    """Halvings, residual blocks, as many doublings (table IV).

    Args:
        config: the options.
        in_channels: channels of the input, the label's maps included.
        out_channels: channels of the output.

    Attributes:
        multiple: height and width must be divisible by this, ``2 ** halvings``.
        minimum: the least height and width; instance norm of a single pixel would leave nothing.
    """

    def __init__(self, config: StarGANGeneratorConfig, in_channels: int, out_channels: int) -> None:
        widths = [config.filters * 2**level for level in range(config.halvings + 1)]
        layers: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 7, 1, 3, bias=False), _norm(widths[0]), nn.ReLU()]
        for wide, wider in pairwise(widths):
            layers += [nn.Conv2d(wide, wider, 4, 2, 1, bias=False), _norm(wider), nn.ReLU()]
        layers += [Block(widths[-1]) for _ in range(config.blocks)]
        for wider, wide in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(wider, wide, 4, 2, 1, bias=False), _norm(wide), nn.ReLU()]
        super().__init__(*layers, nn.Conv2d(widths[0], out_channels, 7, 1, 3, bias=False), nn.Tanh())
        self.multiple = 2**config.halvings
        self.minimum = 2 * self.multiple


class Discriminator(nn.Module):
    """PatchGAN without normalisation, whose last map also gives class logits (table V).

    Args:
        config: the options; `layers` must be set.
        channels: channels of the images.
        size: (height, width) of the images.
    """

    def __init__(self, config: StarGANDiscriminatorConfig, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        assert config.layers is not None
        self.features = config.features
        widths = [channels, *(config.filters * 2**level for level in range(config.layers))]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.01)) for a, b in pairwise(widths)
        )
        minibatch = i2i.minibatch_layer(config.minibatch, widths[-1])
        self.real = nn.Sequential(minibatch, nn.Conv2d(minibatch.out_channels, 1, 3, 1, 1, bias=False))
        whole = size[0] // 2**config.layers, size[1] // 2**config.layers
        self.which = nn.Conv2d(widths[-1], config.classes, whole, bias=False) if config.classes else None

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> logits ``(N, 1, h, w)``, class logits ``(N, classes)``, features.

        Without classes or features these are left out, and logits alone come without a tuple.
        """
        features, x = [], images
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        class_logits = [] if self.which is None else [self.which(x).flatten(1)]
        outputs = (self.real(x), *class_logits, *(features if self.features else ()))
        return outputs if len(outputs) > 1 else outputs[0]


def build_generator(
    config: StarGANGeneratorConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]
) -> Generator:
    """Builds the generator for training images of that (height, width).

    Raises:
        ValueError: the size cannot be halved so often.
    """
    network = Generator(config, in_channels, out_channels)
    if any(side % network.multiple or side < network.minimum for side in size):
        raise ValueError(
            f"needs sides of at least {network.minimum} divisible by {network.multiple}, got {size[0]}x{size[1]}: "
            "change data.size, or set fewer halvings"
        )
    return network


def build_discriminator(
    config: StarGANDiscriminatorConfig, *, in_channels: int, size: tuple[int, int]
) -> Discriminator:
    """Builds the discriminator for images of that (height, width).

    Raises:
        ValueError: images of that size cannot be halved so often.
    """
    layers = config.layers or min(6, max(1, min(size).bit_length() - 2))
    if min(size) < 2**layers:
        raise ValueError(
            f"{layers} stride-2 layers need images of at least {2**layers} pixels, got {size[0]}x{size[1]}: "
            "set fewer layers of the discriminator or a larger data.size"
        )
    return Discriminator(config.model_copy(update={"layers": layers}), in_channels, size)


def _norm(channels: int) -> nn.Module:
    """Instance norm with a scale and a shift.

    `torch.nn.InstanceNorm2d` is the same maths, but on the CPU it returns a wrong input gradient for one image and a
    channels-last gradient.
    """
    return nn.GroupNorm(channels, channels)
