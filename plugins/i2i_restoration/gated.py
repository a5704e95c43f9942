"""Gated convolutions and the generator made of them (Yu et al. 2019, arXiv:1806.03589, sections 3.1 and 3.2).

Two stages of encoder and decoder: the first gives a coarse result, which fills the hole of the second one's input. As
in the authors' code (DeepFill v2), a gated convolution is one convolution whose output is cut in two, ELU times
sigmoid; the last convolution of a stage has no gate and ends in a tanh; widening is nearest-neighbour resizing and a
convolution; and the second stage sees the image alone, without the mask. The branch with attention is
`ContextualAttention`. Differences: padding is symmetric, where TensorFlow's ``SAME`` pads a convolution of stride 2 on
one side; and weights begin with a variance of 4 / fan-in, for of a small value ELU times sigmoid is half of it: with
usual ones a signal all but vanishes on its way through 17 layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i_restoration.attention import ContextualAttention
from i2i_restoration.options import GatedConfig


class GatedConv2d(nn.Module):
    """Gated convolution: phi(features) times sigmoid(gating), both linear in the same input (equation 4).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; the convolution has twice as many, features first.
        kernel: height and width of the kernel, odd.
        stride: 1, or 2 to halve the size.
        dilation: distance of the kernel's values in pixels.
        activation: phi.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.convolution = nn.Conv2d(in_channels, 2 * out_channels, kernel, stride, padding, dilation)
        self.activation = activation or nn.ELU()
        nn.init.normal_(self.convolution.weight, std=2 / (in_channels * kernel**2) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, H / stride, W / stride)``."""
        features, gating = self.convolution(x).chunk(2, 1)
        return self.activation(features) * torch.sigmoid(gating)


class GatedNetwork(nn.Module):
    """Coarse and fine stage.

    Args:
        config: the options.
        in_channels: channels of the image.
        out_channels: channels of the result; where they are other than those of the image, the second stage sees the
            first one's result everywhere, as there is nothing to put around it.

    Attributes:
        inputs: an image and a mask.
        multiple: what height and width must be divisible by.
        sees_whole_image: whether there is attention, so that images cannot be cut into tiles.
    """

    inputs = ("image", "mask")

    def __init__(self, config: GatedConfig, in_channels: int, out_channels: int) -> None:
        super().__init__()
        f = config.filters
        self.multiple, self.sees_whole_image = (8 if config.attention else 4), config.attention
        self.pastes = in_channels == out_channels
        self.coarse = nn.Sequential(
            *_encoder(in_channels + 2, f, narrow=False),
            *_dilated(f, config.blocks),
            *_decoder(4 * f, f, out_channels),
        )
        self.fine = nn.Sequential(*_encoder(out_channels, f, narrow=True), *_dilated(f, config.blocks))
        self.match = self.attention = self.matched = None
        if config.attention:
            self.match = nn.Sequential(
                *_encoder(out_channels, f, narrow=True)[:-1], GatedConv2d(4 * f, 4 * f, activation=nn.ReLU())
            )
            self.attention = ContextualAttention()
            self.matched = nn.Sequential(GatedConv2d(4 * f, 4 * f), GatedConv2d(4 * f, 4 * f))
        self.finish = nn.Sequential(*_decoder(8 * f if config.attention else 4 * f, f, out_channels))

    def stages(self, image: Tensor, mask: Tensor) -> list[Tensor]:
        """The results of both stages, coarse and fine; arguments and shapes as of a call."""
        ones = torch.ones_like(mask)
        coarse = self.coarse(torch.cat([image, ones, mask], 1))
        x = coarse * mask + image * (1 - mask) if self.pastes else coarse
        features = self.fine(x)
        if self.match is not None and self.attention is not None and self.matched is not None:
            copied = self.matched(self.attention(self.match(x), mask[..., ::4, ::4]))
            features = torch.cat([features, copied], 1)
        return [coarse, self.finish(features)]

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Fills the holes of images.

        Args:
            image: ``(N, in_channels, H, W)`` in [-1, 1], 0 in the holes.
            mask: ``(N, 1, H, W)``, 1 in the holes and 0 elsewhere.

        Returns:
            ``(N, out_channels, H, W)`` in [-1, 1], outside of the holes about the image.
        """
        return self.stages(image, mask)[-1]


def build(config: GatedConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds the network, which takes images of any size that its attribute `multiple` divides.

    Raises:
        ValueError: it cannot be built for that (height, width).
    """
    network = GatedNetwork(config, in_channels, out_channels)
    if size[0] % network.multiple or size[1] % network.multiple:
        advice = "change data.size" + (", or set attention=false for 4" if config.attention else "")
        raise ValueError(f"sides must be divisible by {network.multiple}, got {size[0]}x{size[1]}: {advice}")
    return network


def _encoder(in_channels: int, f: int, *, narrow: bool) -> list[nn.Module]:
    """Down to a quarter of the size; in the second stage the layers that halve keep their channels."""
    first, second = (f, 2 * f) if narrow else (2 * f, 4 * f)
    return [
        GatedConv2d(in_channels, f, 5),
        GatedConv2d(f, first, stride=2),
        GatedConv2d(first, 2 * f),
        GatedConv2d(2 * f, second, stride=2),
        GatedConv2d(second, 4 * f),
        GatedConv2d(4 * f, 4 * f),
    ]


def _dilated(f: int, count: int) -> list[nn.Module]:
    return [GatedConv2d(4 * f, 4 * f, dilation=2 ** (number + 1)) for number in range(count)]


def _decoder(in_channels: int, f: int, out_channels: int) -> list[nn.Module]:
    """Back to the full size; the last convolution is an ordinary one."""
    half = max(1, f // 2)
    return [
        GatedConv2d(in_channels, 4 * f),
        GatedConv2d(4 * f, 4 * f),
        nn.Upsample(scale_factor=2, mode="nearest"),
        GatedConv2d(4 * f, 2 * f),
        GatedConv2d(2 * f, 2 * f),
        nn.Upsample(scale_factor=2, mode="nearest"),
        GatedConv2d(2 * f, f),
        GatedConv2d(f, half),
        nn.Conv2d(half, out_channels, 3, padding=1),
        nn.Tanh(),
    ]
