"""The generator of SPADE (Park et al. 2019, arXiv:1903.07291, section 3 and appendix A).

The paper's normalisation is batch norm over all processes, as in its code. Its running averages serve at inference; of
trainings on one image at a time, every image has statistics of its own, then too. Scale and shift are computed by one
convolution, where the authors have one for each: the same sums.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, relu
from torch.nn.utils.parametrizations import spectral_norm

from i2i_spade.options import SpadeGeneratorConfig

MAX_LEVELS = 5
"""Doublings from which on more of them add no wider blocks."""


class Modulation(nn.Module):
    """Scales and shifts normalised features at each pixel by what its label map says (equation 1).

    ``gamma`` and ``beta`` are two convolutions of the label map; the scale is ``1 + gamma``, as in the authors' code.

    Args:
        channels: channels of the features.
        labels: channels of the label map.
        hidden: channels between the two convolutions.
    """

    def __init__(self, channels: int, labels: int, hidden: int) -> None:
        super().__init__()
        self.shared = nn.Conv2d(labels, hidden, 3, padding=1)
        self.gamma_beta = nn.Conv2d(hidden, 2 * channels, 3, padding=1)
        for weight in self.gamma_beta.weight.chunk(2):  # each as wide as if it stood alone
            nn.init.xavier_normal_(weight, 0.02)

    def forward(self, normalised: Tensor, labels: Tensor) -> Tensor:
        """Features ``(N, channels, h, w)``, label map ``(N, labels, h, w)`` -> the shape of the features."""
        gamma, beta = self.gamma_beta(relu(self.shared(labels))).chunk(2, 1)
        return torch.addcmul(normalised + beta, normalised, gamma)


class SpadeBlock(nn.Module):
    """Residual block whose convolutions follow a modulation (figure 4); a third one where the channels change.

    Args:
        config: the options of the network.
        into: channels of the input.
        out: channels of the output.
        labels: channels of the label map.
    """

    def __init__(self, config: SpadeGeneratorConfig, into: int, out: int, labels: int) -> None:
        super().__init__()
        middle = min(into, out)
        wrap = spectral_norm if config.spectral_norm else nn.Identity()
        self.norms = nn.ModuleList(_norm(config.norm, channels) for channels in (into, middle))
        self.modulations = nn.ModuleList(Modulation(channels, labels, config.hidden) for channels in (into, middle))
        first, second = nn.Conv2d(into, middle, 3, padding=1), nn.Conv2d(middle, out, 3, padding=1)
        self.convolutions = nn.ModuleList([wrap(_drawn(first)), wrap(_drawn(second))])
        learned = into != out
        self.side_modulation = Modulation(into, labels, config.hidden) if learned else None
        self.side = wrap(_drawn(nn.Conv2d(into, out, 1, bias=False))) if learned else None

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """``(N, into, h, w)`` and a label map of that size -> ``(N, out, h, w)``."""
        normalised = self.norms[0](x)
        if self.side_modulation is not None and self.side is not None:
            x = self.side(self.side_modulation(normalised, labels))
        y = self.convolutions[0](leaky_relu(self.modulations[0](normalised, labels), 0.2))
        y = self.modulations[1](self.norms[1](y), labels)
        return x + self.convolutions[1](leaky_relu(y, 0.2))


class SpadeGenerator(nn.Module):
    """Blocks and doublings of the size; each block sees the label map at its own size.

    Args:
        config: the options.
        labels: channels of the label map.
        channels: channels of the image.
        size: (height, width) of the image; only of a network that begins with noise it is the one that it can make.

    Attributes:
        inputs: names of what it is called with.
        multiple: what height and width must be divisible by.
        size: the only (height, width) of its images; None: any.

    Raises:
        ValueError: `size` cannot be halved so often.
    """

    def __init__(self, config: SpadeGeneratorConfig, labels: int, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.multiple = 2**config.depth
        if size[0] % self.multiple or size[1] % self.multiple:
            raise ValueError(
                f"the generator doubles the size {config.depth} times, which never gives {size[0]}x{size[1]}: "
                f"make data.size a multiple of {self.multiple}, or set depth of the generator"
            )
        widths, self.doubled = _plan(config)
        self.inputs = ("image", "noise") if config.noise else ("image",)
        self.size = size if config.noise else None
        self.start = size[0] // self.multiple, size[1] // self.multiple
        self.widest = widths[0]
        if config.noise:
            self.first = _drawn(nn.Linear(config.noise, widths[0] * self.start[0] * self.start[1]))
        else:
            self.first = _drawn(nn.Conv2d(labels, widths[0], 3, padding=1))
        self.blocks = nn.ModuleList(
            SpadeBlock(config, into, out, labels) for into, out in zip([widths[0], *widths], widths, strict=False)
        )
        self.last = _drawn(nn.Conv2d(widths[-1], channels, 3, padding=1))

    def forward(self, labels: Tensor, noise: Tensor | None = None) -> Tensor:
        """Label map ``(N, labels, H, W)``, noise ``(N, Z)`` if it has any -> images ``(N, C, H, W)`` in [-1, 1]."""
        maps = [labels]
        for _ in range(sum(self.doubled)):
            maps.append(maps[-1][:, :, ::2, ::2])  # the nearest, without looking at the others
        small = maps.pop()
        x = self.first(small) if noise is None else self.first(noise).view(-1, self.widest, *self.start)
        for block, doubled in zip(self.blocks, self.doubled, strict=True):
            if doubled:
                x, small = interpolate(x, scale_factor=2.0, mode="nearest"), maps.pop()
            x = block(x, small)
        return torch.tanh(self.last(leaky_relu(x, 0.2)))


def build(
    config: SpadeGeneratorConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]
) -> SpadeGenerator:
    """Builds the generator for images of that (height, width); `in_channels` are those of the label map."""
    return SpadeGenerator(config, in_channels, out_channels, size)


def _plan(config: SpadeGeneratorConfig) -> tuple[list[int], list[bool]]:
    """The channels of each block, and whether the size is doubled before it.

    Three blocks have the full width, and then it is halved at each doubling down to `filters`. A sixth doubling lies
    between the first ones, a seventh at the end. With less than five, the widest blocks are left out.
    """
    levels = min(config.depth, MAX_LEVELS)
    halved = [2**level for level in reversed(range(levels - 1))]
    widths = [config.filters * factor for factor in [2 ** (levels - 1)] * 3 + halved]
    doubled = [False, True, config.depth > MAX_LEVELS, *(True for _ in halved)]
    if config.depth > MAX_LEVELS + 1:
        widths, doubled = [*widths, max(1, config.filters // 2)], [*doubled, True]
    return widths, doubled


def _norm(name: str, channels: int) -> nn.Module:
    """The normalisation without parameters; a group for each channel is instance norm, right in any memory format."""
    return nn.BatchNorm2d(channels, affine=False) if name == "batch" else nn.GroupNorm(channels, channels, affine=False)


def _drawn(layer: nn.Module) -> nn.Module:
    """The layer with weights as the authors draw them: Glorot & Bengio 2010 times 0.02, zero biases."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    nn.init.xavier_normal_(layer.weight, 0.02)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
