"""Networks of StarGAN v2 (Choi et al. 2020, arXiv:1912.01865, section 2.1 and appendix).

Layers and order are those of the authors' code (github.com/clovaai/stargan-v2) without the masks of heat maps, which
only their model of aligned faces has. Where they build for squares of a power of two, the last convolution of
discriminator and style encoder here is as large as the map that is left of the training size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from i2i_multimodal.blocks import PlaneNorm, init_he, of_label
from i2i_multimodal.options import AdaINGeneratorConfig, DomainDiscriminatorConfig

SMALLEST = 4
"""Discriminator and style encoder halve the shorter side down to 4 to 7 pixels."""


class AdaIN(nn.Module):
    """Adaptive instance norm: mean and deviation of every channel from a style (Huang & Belongie 2017, equation 8).

    ``(1 + scale) * (x - mean(x)) / std(x) + shift``, with scale and shift a linear function of the style.

    Args:
        style: length of the style vector.
        channels: channels of the maps.
    """

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.norm, self.affine = PlaneNorm(channels), nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps ``(N, C, H, W)`` and styles ``(N, S)`` -> maps of the same shape."""
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, 1)
        return (1 + scale) * self.norm(x) + shift


class _Down(nn.Module):
    """Residual block that may halve the size; its output is divided by sqrt(2), so that the variance stays."""

    def __init__(self, wide: int, wider: int, *, normed: bool, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.norms = nn.ModuleList(PlaneNorm(wide, affine=True) if normed else nn.Identity() for _ in range(2))
        self.first, self.second = nn.Conv2d(wide, wide, 3, 1, 1), nn.Conv2d(wide, wider, 3, 1, 1)
        self.shortcut = nn.Conv2d(wide, wider, 1, bias=False) if wide != wider else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, wide, H, W)`` -> ``(N, wider, H, W)``, or half of that size."""
        added = self.first(leaky_relu(self.norms[0](x), 0.2))
        kept = self.shortcut(x)
        if self.halves:
            added, kept = avg_pool2d(added, 2), avg_pool2d(kept, 2)
        return (kept + self.second(leaky_relu(self.norms[1](added), 0.2))) / math.sqrt(2)


class _Up(nn.Module):
    """Residual block with a style, which may double the size."""

    def __init__(self, wider: int, wide: int, style: int, *, doubles: bool) -> None:
        super().__init__()
        self.doubles = doubles
        self.norms = nn.ModuleList([AdaIN(style, wider), AdaIN(style, wide)])
        self.first, self.second = nn.Conv2d(wider, wide, 3, 1, 1), nn.Conv2d(wide, wide, 3, 1, 1)
        self.shortcut = nn.Conv2d(wider, wide, 1, bias=False) if wide != wider else nn.Identity()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """``(N, wider, H, W)`` and styles ``(N, S)`` -> ``(N, wide, H, W)``, or twice that size."""
        added, kept = leaky_relu(self.norms[0](x, style), 0.2), x
        if self.doubles:
            added, kept = (interpolate(maps, scale_factor=2, mode="nearest") for maps in (added, kept))
        added = leaky_relu(self.norms[1](self.first(added), style), 0.2)
        return (self.shortcut(kept) + self.second(added)) / math.sqrt(2)


class StyledGenerator(nn.Module):
    """From an image and a style to an image.

    Args:
        config: the options; `halvings` must be set.
        in_channels: channels of the input.
        out_channels: channels of the output.

    Attributes:
        inputs: names of what it is called with; the style is noise to whoever knows no styles.
        noise_length: length of the style.
        multiple: height and width must be divisible by this, ``2 ** halvings``.
        minimum: the least height and width; instance norm of a single pixel would leave nothing.
    """

    inputs = ("image", "noise")

    def __init__(self, config: AdaINGeneratorConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        assert config.halvings is not None
        self.multiple, self.noise_length = 2**config.halvings, config.style
        self.minimum = 2 * self.multiple
        widths = [min(config.filters * 2**level, config.max_filters) for level in range(config.halvings + 1)]
        self.first = nn.Conv2d(in_channels, widths[0], 3, 1, 1)
        self.encode = nn.ModuleList(_Down(a, b, normed=True, halves=True) for a, b in itertools.pairwise(widths))
        self.encode.extend(_Down(widths[-1], widths[-1], normed=True, halves=False) for _ in range(config.blocks))
        narrowing = widths[::-1]
        self.decode = nn.ModuleList(
            _Up(widths[-1], widths[-1], config.style, doubles=False) for _ in range(config.blocks)
        )
        self.decode.extend(_Up(a, b, config.style, doubles=True) for a, b in itertools.pairwise(narrowing))
        last = nn.Conv2d(widths[0], out_channels, 1)
        ends = nn.Tanh() if config.tanh else nn.Identity()
        self.last = nn.Sequential(PlaneNorm(widths[0], affine=True), nn.LeakyReLU(0.2), last, ends)
        init_he(self)

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] and styles ``(N, S)`` -> images of the output's channels."""
        x = self.first(image)
        for down in self.encode:
            x = down(x)
        for up in self.decode:
            x = up(x, noise)
        return self.last(x)


class MappingNetwork(nn.Module):
    """From noise and a domain to a style: four shared layers, four of each domain.

    Args:
        noise: length of the noise.
        hidden: length of the layers between.
        style: length of the style.
        domains: number of domains.
    """

    def __init__(self, noise: int, hidden: int, style: int, domains: int) -> None:
        super().__init__()
        self.shared = _dense([noise, *[hidden] * 4], last=True)
        self.heads = nn.ModuleList(_dense([*[hidden] * 4, style], last=False) for _ in range(domains))
        init_he(self)

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        """Noise ``(N, Z)``, N(0, 1), and domains ``(N,)`` -> styles ``(N, S)``."""
        x = self.shared(noise)
        return of_label(torch.stack([head(x) for head in self.heads], 1), label)


class _Trunk(nn.Sequential):
    """Halvings down to one vector an image, of `out_channels` numbers; `levels` are the blocks' places."""

    def __init__(self, channels: int, filters: int, max_filters: int, size: tuple[int, int]) -> None:
        halvings = (min(size) // SMALLEST).bit_length() - 1
        widths = [min(filters * 2**level, max_filters) for level in range(halvings + 1)]
        left = size[0] // 2**halvings, size[1] // 2**halvings
        blocks = [_Down(a, b, normed=False, halves=True) for a, b in itertools.pairwise(widths)]
        ends = [nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], widths[-1], left), nn.LeakyReLU(0.2)]
        super().__init__(nn.Conv2d(channels, widths[0], 3, 1, 1), *blocks, *ends)
        self.out_channels, self.levels = widths[-1], range(1, halvings + 1)


class StyleEncoder(nn.Module):
    """From an image and its domain to its style.

    Args:
        channels: channels of the images.
        widths: channels at the full size, and most channels of a layer.
        size: (height, width) of the training images.
        style: length of the style.
        domains: number of domains.
    """

    def __init__(
        self, channels: int, widths: tuple[int, int], size: tuple[int, int], *, style: int, domains: int
    ) -> None:
        super().__init__()
        self.trunk = _Trunk(channels, *widths, size)
        self.heads = nn.ModuleList(nn.Linear(self.trunk.out_channels, style) for _ in range(domains))
        init_he(self)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        """Images of the training size ``(N, C, H, W)`` in [-1, 1] and their domains ``(N,)`` -> styles ``(N, S)``."""
        x = self.trunk(image).flatten(1)
        return of_label(torch.stack([head(x) for head in self.heads], 1), label)


class DomainDiscriminator(nn.Module):
    """One logit for each domain, of which that of the image's domain is the judgement.

    Args:
        config: the options.
        channels: channels of the images.
        size: (height, width) of the images.

    Attributes:
        inputs: names of what it is called with.
    """

    def __init__(self, config: DomainDiscriminatorConfig, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.inputs = ("image", "label") if config.classes else ("image",)
        self.features = config.features
        self.trunk = _Trunk(channels, config.filters, config.max_filters, size)
        self.last = nn.Conv2d(self.trunk.out_channels, max(1, config.classes), 1)
        init_he(self)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """Images ``(N, C, H, W)`` in [-1, 1] and domains ``(N,)`` -> logits ``(N, 1)``, or (logits, *features).

        Raises:
            ValueError: the discriminator has domains, and there are no labels.
        """
        features, x = [], image
        for place, layer in enumerate(self.trunk):
            x = layer(x)
            if place in self.trunk.levels:
                features.append(x)
        logits = self.last(x).flatten(1)
        if "label" in self.inputs:
            if label is None:
                raise ValueError("this discriminator has domains: call it with an image and its label")
            logits = of_label(logits, label)[:, None]
        return (logits, *features) if self.features else logits


class NoiseToStyle(nn.Module):
    """The generator with a style that the mapping network makes of noise: what the recipe exports as ``default``.

    Args:
        generator: from image and style to an image.
        mapping: from noise and domain to a style.

    Attributes:
        multiple: height and width must be divisible by this.
        minimum: the least height and width.
    """

    def __init__(self, generator: nn.Module, mapping: nn.Module) -> None:
        super().__init__()
        self.generator, self.mapping = generator, mapping
        self.multiple, self.minimum = (int(getattr(generator, name, 1)) for name in ("multiple", "minimum"))

    def forward(self, image: Tensor, label: Tensor, code: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1], wanted domains ``(N,)`` and noise ``(N, Z)`` -> images."""
        return self.generator(image, self.mapping(code, label))


class ReferenceToStyle(nn.Module):
    """The generator with the style of another image, which is resized to the training size first, as by the authors.

    Args:
        generator: from image and style to an image.
        encoder: from image and domain to a style.
        size: (height, width) of the training images.

    Attributes:
        multiple: height and width of both images must be divisible by this.
        minimum: the least height and width of both.
    """

    def __init__(self, generator: nn.Module, encoder: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.generator, self.encoder, self.trained_size = generator, encoder, size
        self.multiple, self.minimum = (int(getattr(generator, name, 1)) for name in ("multiple", "minimum"))

    def forward(self, image: Tensor, label: Tensor, reference: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1], the references' domains ``(N,)``, references ``(N, C, H', W')``."""
        small = interpolate(reference, size=self.trained_size, mode="bilinear", align_corners=False)
        return self.generator(image, self.encoder(small, label))


def build_generator(
    config: AdaINGeneratorConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]
) -> StyledGenerator:
    """Builds the generator for training images of that (height, width).

    Raises:
        ValueError: the size cannot be halved so often.
    """
    halvings = config.halvings or max(1, min(size).bit_length() - 5)
    network = StyledGenerator(config.model_copy(update={"halvings": halvings}), in_channels, out_channels)
    if any(side % network.multiple or side < network.minimum for side in size):
        raise ValueError(
            f"needs sides of at least {network.minimum} divisible by {network.multiple}, got {size[0]}x{size[1]}: "
            "change data.size, or set fewer halvings"
        )
    return network


def build_discriminator(
    config: DomainDiscriminatorConfig, *, in_channels: int, size: tuple[int, int]
) -> DomainDiscriminator:
    """Builds the discriminator for images of that (height, width).

    Raises:
        ValueError: the images are too small.
    """
    check_trunk(size)
    return DomainDiscriminator(config, in_channels, size)


def check_trunk(size: tuple[int, int]) -> None:
    """Refuses images that cannot be halved once.

    Raises:
        ValueError: a side is below 8 pixels.
    """
    if min(size) < 2 * SMALLEST:
        raise ValueError(f"needs images of at least {2 * SMALLEST} pixels, got {size[0]}x{size[1]}: change data.size")


def _dense(widths: Sequence[int], *, last: bool) -> nn.Sequential:
    """Linear layers of these widths with ReLU between, and behind the last one if asked for."""
    layers: list[nn.Module] = []
    for place, (a, b) in enumerate(itertools.pairwise(widths)):
        layers.append(nn.Linear(a, b))
        if last or place < len(widths) - 2:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)
