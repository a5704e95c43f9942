"""Networks of BicycleGAN (Zhu et al. 2017, arXiv:1711.11586, section 4): a U-Net with a code, an encoder of codes.

Every channel of the code is a map of one value, put beside the input of every layer of the U-Net's encoder, or beside
the image alone (figure 3). The layers are those of the authors' code (github.com/junyanz/BicycleGAN). The encoder's
last pooling is over the whole map, which at the training size is theirs, and takes other sizes too.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn

from i2i_multimodal.blocks import PlaneNorm, init_xavier
from i2i_multimodal.options import CodedUNetConfig


class CodedUNet(nn.Module):
    """U-Net whose encoder sees a code.

    Args:
        config: the options; `depth` must be set.
        in_channels: channels of the input.
        out_channels: channels of the output.

    Attributes:
        inputs: names of what it is called with; the code is noise, N(0, 1).
        noise_length: length of the code.
        multiple: height and width must be divisible by this, ``2 ** depth``.
    """

    inputs = ("image", "noise")

    def __init__(self, config: CodedUNetConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        assert config.depth is not None
        depth, self.add_to_input = config.depth, config.add_to_input
        self.multiple, self.noise_length = 2**depth, config.code
        widths = [config.filters * min(2**level, 8) for level in range(depth)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            code = config.code if level == 0 or not config.add_to_input else 0
            entries = (widths[level - 1] if level else in_channels) + code
            is_normed = 0 < level < depth - 1
            self.down.append(
                nn.Sequential(
                    nn.Identity() if level == 0 else nn.LeakyReLU(0.2),
                    nn.Conv2d(entries, width, 4, 2, 1),
                    PlaneNorm(width) if is_normed else nn.Identity(),
                )
            )
        for level in reversed(range(depth)):
            width_in = widths[level] * (1 if level == depth - 1 else 2)
            width_out = widths[level - 1] if level else out_channels
            has_dropout = 4 <= level < depth - 1 and config.dropout > 0
            self.up.append(
                nn.Sequential(
                    nn.ReLU(),
                    nn.ConvTranspose2d(width_in, width_out, 4, 2, 1),
                    PlaneNorm(width_out) if level else nn.Tanh(),
                    nn.Dropout(config.dropout) if has_dropout else nn.Identity(),
                )
            )
        init_xavier(self, config.init_gain)

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] and codes ``(N, Z)`` -> images of the output's channels in [-1, 1]."""
        skips, x = [], image
        for level, down in enumerate(self.down):
            if level == 0 or not self.add_to_input:
                x = _beside(x, noise)
            x = down(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for up in list(self.up)[1:]:
            x = up(torch.cat([x, skips.pop()], 1))
        return x


class _Block(nn.Module):
    """Two 3x3 convolutions and a halving, added to the halved input."""

    def __init__(self, wide: int, wider: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            PlaneNorm(wide),
            nn.LeakyReLU(0.2),
            nn.Conv2d(wide, wide, 3, 1, 1),
            PlaneNorm(wide),
            nn.LeakyReLU(0.2),
            nn.Conv2d(wide, wider, 3, 1, 1),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(wide, wider, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, wide, H, W)`` -> ``(N, wider, H / 2, W / 2)``."""
        return self.body(x) + self.shortcut(x)


class CodeEncoder(nn.Module):
    """From an image to mean and log variance of its code: a 4x4 convolution with stride 2, residual blocks.

    Args:
        channels: channels of the images.
        filters: channels after the first layer; they grow to four times that.
        halvings: layers that halve the size, the first one included.
        code: length of the code.
        gain: factor of the initial weights.
    """

    def __init__(self, channels: int, *, filters: int, halvings: int, code: int, gain: float = 0.02) -> None:
        super().__init__()
        widths = [filters * min(4, level + 1) for level in range(halvings)]
        blocks = [_Block(wide, wider) for wide, wider in itertools.pairwise(widths)]
        self.layers = nn.Sequential(nn.Conv2d(channels, widths[0], 4, 2, 1), *blocks, nn.LeakyReLU(0.2))
        self.mean, self.log_variance = nn.Linear(widths[-1], code), nn.Linear(widths[-1], code)
        init_xavier(self, gain)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(N, C, H, W)`` in [-1, 1] -> mean and log variance, each ``(N, Z)``."""
        features = self.layers(image).mean((2, 3))
        return self.mean(features), self.log_variance(features)


class EncodedReference(nn.Module):
    """The generator with the mean code of another image: what the recipe exports as ``reference``.

    Args:
        generator: from image and code to an image.
        encoder: from an image to mean and log variance of its code.
        halvings: how often the encoder halves a size.

    Attributes:
        multiple: height and width of both images must be divisible by this.
        minimum: the least height and width of both.
    """

    def __init__(self, generator: nn.Module, encoder: nn.Module, halvings: int) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder
        self.multiple = int(getattr(generator, "multiple", 1))
        self.minimum = max(int(getattr(generator, "minimum", 1)), 2**halvings)

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` and references ``(N, C', H', W')`` in [-1, 1] -> images in [-1, 1]."""
        return self.generator(image, self.encoder(reference)[0])


def build_generator(
    config: CodedUNetConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]
) -> CodedUNet:
    """Builds the U-Net for training images of that (height, width).

    Raises:
        ValueError: the size is not divisible by ``2 ** depth``.
    """
    depth = config.depth or max(2, min(8, int(math.log2(min(size)))))
    if any(side % 2**depth for side in size):
        raise ValueError(
            f"a U-Net of depth {depth} needs sides divisible by {2**depth}, got {size[0]}x{size[1]}: "
            "change data.size, or set a smaller depth of the generator"
        )
    return CodedUNet(config.model_copy(update={"depth": depth}), in_channels, out_channels)


def _beside(x: Tensor, code: Tensor) -> Tensor:
    """Appends a map for each value of the code."""
    return torch.cat([x, code[:, :, None, None].expand(-1, -1, x.shape[2], x.shape[3])], 1)
