"""Partial convolutions and the U-Net made of them (Liu et al. 2018, arXiv:1804.07723, section 3).

The encoder's layers have kernels of 7, 5, 5, 3, 3, ... and stride 2, ReLU, and batch norm but for the first; the
decoder's enlarge by nearest neighbours, are joined with the encoder's map of that size and its mask, and have a kernel
of 3, batch norm and a leaky ReLU of 0.2 but for the last, which sees image and mask themselves. Weights begin as He et
al. 2015 draw them (arXiv:1502.01852). Differences: a tanh at the end, as images are in [-1, 1] here; and the number of
layers follows the size, 8 at 512 pixels as in the paper.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i_restoration.options import PartialConfig

MAX_DEPTH = 8
"""Halvings where none are asked for."""


class PartialConv2d(nn.Module):
    """Partial convolution with its mask update (equations 1 and 2).

    ``W (X * M) * sum(1) / sum(M) + b`` where the window has a valid value, and 0 elsewhere; valid afterwards is every
    place whose window had one. Values beyond the border are invalid.

    Args:
        channels: channels of each of the feature maps that are joined to the input; each has a mask of its own.
        out_channels: channels of the output.
        kernel: height and width of the kernel, odd.
        stride: 1, or 2 to halve the size.
    """

    def __init__(self, channels: tuple[int, ...], out_channels: int, kernel: int = 3, *, stride: int = 1) -> None:
        super().__init__()
        self.channels, self.kernel, self.stride = channels, kernel, stride
        self.convolution = nn.Conv2d(sum(channels), out_channels, kernel, stride, kernel // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels, 1, 1))
        nn.init.kaiming_normal_(self.convolution.weight)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Convolves what is valid.

        Args:
            x: ``(N, C, H, W)``, the joined feature maps.
            valid: ``(N, len(channels), H, W)``: for each of them 1 where it is valid and 0 elsewhere.

        Returns:
            The output ``(N, out_channels, H / stride, W / stride)``, and where it is valid, ``(N, 1, ...)``.
        """
        masks = torch.cat([valid[:, i : i + 1].expand(-1, c, -1, -1) for i, c in enumerate(self.channels)], 1)
        # the mean over a window, with zeros beyond the border, is sum(M) / sum(1) of one channel
        means = F.avg_pool2d(valid, self.kernel, self.stride, self.kernel // 2)
        parts = [c / sum(self.channels) * means[:, i : i + 1] for i, c in enumerate(self.channels)]
        share = torch.stack(parts).sum(0)
        known = share > 0
        scaled = self.convolution(x * masks) / torch.where(known, share, 1.0) + self.bias
        return torch.where(known, scaled, 0.0), known.to(valid.dtype)


class PartialBlock(nn.Module):
    """A partial convolution with batch norm and activation.

    Args:
        convolution: the convolution.
        norm: channels that are normalised; 0: none.
        slope: of the activation below 0; None: no activation.
    """

    def __init__(self, convolution: PartialConv2d, norm: int, slope: float | None) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(norm) if norm else nn.Identity()
        self.activation = nn.Identity() if slope is None else nn.LeakyReLU(slope)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Arguments and results as of `PartialConv2d`."""
        x, valid = self.convolution(x, valid)
        return self.activation(self.norm(x)), valid


class PartialUNet(nn.Module):
    """U-Net of partial convolutions.

    Args:
        config: the options.
        in_channels: channels of the image.
        out_channels: channels of the result.
        depth: number of halvings.

    Attributes:
        inputs: an image and a mask.
        multiple: what height and width must be divisible by.
    """

    inputs = ("image", "mask")

    def __init__(self, config: PartialConfig, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        self.multiple, self.frozen_norm = 2**depth, config.frozen_norm
        widths = [in_channels, *(config.filters * min(2**level, 8) for level in range(depth))]
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for level in range(depth):
            into, out = widths[level], widths[level + 1]
            kernel = {0: 7, 1: 5, 2: 5}.get(level, 3)
            down = PartialConv2d((into,), out, kernel, stride=2)
            self.encoder.append(PartialBlock(down, out if level else 0, 0.0))
            back = into if level else out_channels
            up = PartialConv2d((out, into), back)
            self.decoder.append(PartialBlock(up, back if level else 0, 0.2 if level else None))

    def train(self, mode: bool = True) -> PartialUNet:
        """Puts the network into training mode, the encoder's batch norm too unless it is frozen."""
        super().train(mode)
        if self.frozen_norm:
            self.encoder.eval()
        return self

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Fills the holes of images.

        Args:
            image: ``(N, in_channels, H, W)`` in [-1, 1]; what is in the holes makes no difference.
            mask: ``(N, 1, H, W)``, 1 in the holes and 0 elsewhere.

        Returns:
            ``(N, out_channels, H, W)`` in [-1, 1], outside of the holes about the image.
        """
        x, valid = image, 1 - mask
        skips = []
        for layer in self.encoder:
            skips.append((x, valid))
            x, valid = layer(x, valid)
        for layer, (skip, skip_valid) in zip(reversed(self.decoder), reversed(skips), strict=True):
            x, valid = F.interpolate(x, scale_factor=2.0), F.interpolate(valid, scale_factor=2.0)
            x, valid = layer(torch.cat([x, skip], 1), torch.cat([valid, skip_valid], 1))
        return torch.tanh(x)


def build(config: PartialConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds the network, which takes images of any size that its attribute `multiple` divides.

    Raises:
        ValueError: it cannot be built for that (height, width).
    """
    depth = config.depth or min(MAX_DEPTH, _halvings(size))
    if size[0] % 2**depth or size[1] % 2**depth or depth < 2:
        raise ValueError(
            f"{depth} halvings need sides that are divisible by {2 ** max(depth, 2)}, got {size[0]}x{size[1]}: "
            "set depth, or change data.size"
        )
    return PartialUNet(config, in_channels, out_channels, depth)


def _halvings(size: tuple[int, int]) -> int:
    """How often both sides can be halved until one is 2."""
    twos = math.gcd(*size) & -math.gcd(*size)
    return min(twos.bit_length() - 1, min(size).bit_length() - 2)
