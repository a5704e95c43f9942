"""DCGAN networks with class labels (Radford et al. 2016, arXiv:1511.06434, section 3 and figure 1).

The labels enter in one of two ways. As in the first conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784, section
3.2) they are concatenated: one-hot beside the noise, one-hot maps beside the image. Or the generator's batch norm gets
a scale and a shift for each class (Dumoulin et al. 2017, arXiv:1610.07629, equation 5; de Vries et al. 2017,
arXiv:1707.00683), and the discriminator projects its features onto a vector for each class (Miyato & Koyama 2018,
arXiv:1802.05637, equation 3).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

import i2i
from i2i_conditional.labels import label_maps, one_hot
from i2i_conditional.options import DCGANDiscriminatorConfig, DCGANGeneratorConfig

WIDEST = 8
"""The layer with the most channels has this many times `filters`."""


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose scale and shift depend on the class (Dumoulin et al. 2017, arXiv:1610.07629, equation 5).

    Args:
        channels: number of channels.
        classes: number of classes; 0 is plain batch norm.
        init_std: scales start at N(1, init_std), shifts at 0.
    """

    def __init__(self, channels: int, classes: int, init_std: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Parameter(torch.empty(max(1, classes), channels).normal_(1.0, init_std))
        self.shift = nn.Parameter(torch.zeros(max(1, classes), channels))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """``(N, channels, H, W)`` and labels ``(N,)``, or None for plain batch norm -> the same shape."""
        scale, shift = (self.scale, self.shift) if labels is None else (self.scale[labels], self.shift[labels])
        return self.norm(x) * scale[:, :, None, None] + shift[:, :, None, None]


class Generator(nn.Module):
    """Noise to image: a first layer as large as the smallest map, then doublings.

    Args:
        config: the options.
        noise: length of the noise vector.
        channels: channels of the image.
        size: (height, width) of the image.

    Attributes:
        inputs: names of what it is called with.

    Raises:
        ValueError: `size` cannot be reached by doublings.
    """

    def __init__(self, config: DCGANGeneratorConfig, noise: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        base, doublings = _halvings(size)
        self.classes, self.concat = config.classes, config.condition == "concat"
        self.inputs = ("noise", "label") if config.classes else ("noise",)
        widths = [config.filters * min(2**level, WIDEST) for level in reversed(range(doublings))]
        entries = noise + (config.classes if self.concat else 0)
        self.layers = nn.ModuleList([nn.ConvTranspose2d(entries, widths[0], base, bias=False)])
        self.layers.extend(_double(config.upsample, a, b) for a, b in pairwise(widths))
        classes = 0 if self.concat else config.classes
        self.norms = nn.ModuleList(ConditionalBatchNorm2d(width, classes, config.init_std) for width in widths)
        self.last = _double(config.upsample, widths[-1], channels, bias=True)
        _initialise(self, config.init_std)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Noise ``(N, Z)``, N(0, 1), and labels ``(N,)`` int64 -> images ``(N, C, H, W)`` in [-1, 1].

        Raises:
            ValueError: the generator has classes and there are no labels.
        """
        labels = _labels(label, self.classes)
        if labels is not None and self.concat:
            noise, labels = torch.cat([noise, one_hot(labels, self.classes, noise)], 1), None
        x = noise[:, :, None, None]
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.relu(norm(layer(x), labels))
        return torch.tanh(self.last(x))


class Discriminator(nn.Module):
    """Halvings down to 4 to 7 pixels, then one logit an image.

    With ``condition=projection`` the logit is ``psi(phi(x)) + <V_y, phi(x)>``: psi is DCGAN's last convolution, and V_y
    is the same for every pixel of the last map, which is the sum over pixels of Miyato and Koyama's networks.

    Args:
        config: the options.
        channels: channels of the images.
        size: (height, width) of the images.

    Attributes:
        inputs: names of what it is called with.

    Raises:
        ValueError: `size` cannot be halved down to 4 to 7 pixels.
    """

    def __init__(self, config: DCGANDiscriminatorConfig, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        base, halvings = _halvings(size)
        self.inputs = ("image", "label") if config.classes else ("image",)
        self.classes, self.concat, self.features = config.classes, config.condition == "concat", config.features
        widths = [config.filters * min(2**level, WIDEST) for level in range(halvings)]
        entries = [channels + (config.classes if self.concat else 0), *widths]
        self.layers = nn.ModuleList()
        for level, width in enumerate(widths):
            normed = config.norm == "batch" and level > 0
            convolution = nn.Conv2d(entries[level], width, 4, 2, 1, bias=not normed)
            norm = nn.BatchNorm2d(width) if normed else nn.Identity()
            self.layers.append(nn.Sequential(convolution, norm, nn.LeakyReLU(0.2)))
        self.minibatch = i2i.minibatch_layer(config.minibatch, widths[-1])
        self.last = nn.Conv2d(self.minibatch.out_channels, 1, base)
        projects = config.classes > 0 and not self.concat
        self.vectors = nn.Embedding(config.classes, self.minibatch.out_channels) if projects else None
        _initialise(self, config.init_std)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """Images ``(N, C, H, W)`` in [-1, 1], labels ``(N,)`` int64 -> logits ``(N, 1)``, or (logits, *features).

        Raises:
            ValueError: the discriminator has classes and there are no labels.
        """
        labels = _labels(labels, self.classes)
        x = label_maps(images, labels, self.classes) if labels is not None and self.concat else images
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        x = self.minibatch(x)
        logits = self.last(x).flatten(1)
        if self.vectors is not None:
            logits = logits + (self.vectors(labels) * x.sum((2, 3))).sum(1, keepdim=True)
        return (logits, *features) if self.features else logits


def build_generator(
    config: DCGANGeneratorConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]
) -> Generator:
    """Builds the generator for images of that (height, width); `in_channels` is the length of the noise vector."""
    return Generator(config, in_channels, out_channels, size)


def build_discriminator(config: DCGANDiscriminatorConfig, *, in_channels: int, size: tuple[int, int]) -> Discriminator:
    """Builds the discriminator for images of that (height, width)."""
    return Discriminator(config, in_channels, size)


def _halvings(size: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """The smallest map, its shorter side 4 to 7 pixels, and how often it is doubled to `size`."""
    count = _doublings(min(size))
    base = size[0] // 2**count, size[1] // 2**count
    if min(size) < 8 or (base[0] * 2**count, base[1] * 2**count) != size:
        shorter = max(8, max(4, round(min(size) / 2**count)) * 2**count)
        step = 2 ** _doublings(shorter)
        height, width = (max(shorter, round(side / step) * step) for side in size)
        fit = str(height) if height == width else f"[{height},{width}]"
        raise ValueError(
            f"DCGAN networks double maps of 4 to 7 pixels at least once, which never gives {size[0]}x{size[1]}: "
            f"set data.size={fit}"
        )
    return base, count


def _doublings(side: int) -> int:
    """How often a side of 4 to 7 pixels is doubled, once at least, to reach another, or come nearest below."""
    return max(1, (side // 4).bit_length() - 1)


def _double(name: str, in_channels: int, out_channels: int, *, bias: bool = False) -> nn.Module:
    """Doubles the size: a 4x4 transposed convolution, or nearest-neighbour resizing and a 3x3 convolution."""
    if name == "deconv":
        return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=bias)
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias))


def _labels(labels: Tensor | None, classes: int) -> Tensor | None:
    """The labels if the network takes any."""
    if classes and labels is None:
        raise ValueError(f"this network was built for {classes} classes: it needs labels")
    return labels if classes else None


@torch.no_grad()
def _initialise(module: nn.Module, std: float) -> None:
    """Weights from N(0, std) as in section 4 of the DCGAN paper, batch norm scales from N(1, std), no biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            layer.weight.normal_(0.0, std)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            layer.weight.normal_(1.0, std)
        bias = getattr(layer, "bias", None)
        if isinstance(bias, nn.Parameter):
            bias.zero_()
