"""ResNet generator of CycleGAN (Zhu et al. 2017, arXiv:1703.10593, appendix 7.2; after Johnson et al. 2016).

c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3 with reflection padding.

With ``antialias: true, upsample: bilinear, init: xavier, blocks: 9`` it is the generator of CUT (Park et al. 2020,
arXiv:2007.15651): a fixed blur after each convolution that had a stride, and after each doubling.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from torch import Tensor, nn

from i2i.components.antialias import BlurHalving
from i2i.components.layers import init_weights, norm_layer, upsample
from i2i.components.options import NormName, ResNetConfig


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with reflection padding, added to their input."""

    def __init__(self, channels: int, norm: NormName, dropout: float, bias: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
            nn.ReLU(),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm_layer(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape; H and W at least 2."""
        return x + self.body(x)


class ResNet(nn.Sequential):
    """Two halvings, residual blocks, two doublings.

    Args:
        config: the options; `blocks` must be set.
        in_channels: channels of the input.
        out_channels: channels of the output.

    Attributes:
        multiple: height and width must be divisible by 4.
        minimum: and at least 8, for the reflection padding in the blocks.
    """

    multiple = 4
    minimum = 8

    def __init__(self, config: ResNetConfig, in_channels: int, out_channels: int) -> None:
        f, norm, bias = config.filters, config.norm, config.norm != "batch"
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(in_channels, f, 7, bias=bias),
            norm_layer(norm, f),
            nn.ReLU(),
        ]
        stride = 1 if config.antialias else 2
        for width in (2 * f, 4 * f):
            layers += [nn.Conv2d(width // 2, width, 3, stride, 1, bias=bias), norm_layer(norm, width), nn.ReLU()]
            layers += [BlurHalving()] if config.antialias else []
        layers += [ResidualBlock(4 * f, norm, config.dropout, bias) for _ in range(config.blocks or 0)]
        encoder_length = len(layers)
        for width in (2 * f, f):
            layers += [
                upsample(config.upsample, 2 * width, width, kernel=3, bias=bias),
                norm_layer(norm, width),
                nn.ReLU(),
            ]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(f, out_channels, 7), nn.Tanh()]
        super().__init__(*layers)
        self._encoder_length = encoder_length

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` -> ``(N, out_channels, H, W)``, both in [-1, 1]."""
        return super().forward(x)

    def features(self, x: Tensor, layers: Sequence[int] | None = None) -> list[Tensor]:
        """Feature maps of the encoder for images ``(N, in_channels, H, W)``, from fine to coarse.

        Args:
            x: the images.
            layers: numbers of the layers whose outputs are wanted, rising: 0 is the padded image, 1 the first
                convolution; padding, normalisation and activations count, and a residual block is one layer. None: the
                outputs of the first layer and of the two halvings after their activations, and those of the residual
                blocks.

        Raises:
            ValueError: the encoder has no such layer.
        """
        layers = self._checked(layers)
        return self._pass(x, layers, layers[-1] + 1)[1]

    def with_features(self, x: Tensor, layers: Sequence[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """The image ``(N, out_channels, H, W)`` and `features`, in one pass; arguments and errors are those."""
        return self._pass(x, self._checked(layers), len(self))

    def _checked(self, layers: Sequence[int] | None) -> Sequence[int]:
        if layers is None:
            encoder = enumerate(islice(self, self._encoder_length))
            return [number for number, layer in encoder if isinstance(layer, nn.ReLU | ResidualBlock)]
        if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= self._encoder_length:
            raise ValueError(f"the encoder's layers are 0 to {self._encoder_length - 1}, not {list(layers)}")
        return layers

    def _pass(self, x: Tensor, layers: Sequence[int], stop: int) -> tuple[Tensor, list[Tensor]]:
        """The output of the first `stop` layers, and those of some on the way."""
        maps = []
        for number, layer in enumerate(islice(self, stop)):
            x = layer(x)
            if number in layers:
                maps.append(x)
        return x, maps


def build(config: ResNetConfig, *, in_channels: int, out_channels: int, size: tuple[int, int]) -> ResNet:
    """Builds the ResNet for training images of that (height, width).

    Raises:
        ValueError: the size is not divisible by 4, or under 8.
    """
    if any(side % ResNet.multiple or side < ResNet.minimum for side in size):
        raise ValueError(
            f"the ResNet needs sides of at least 8 divisible by 4, got {size[0]}x{size[1]}: change data.size"
        )
    blocks = config.blocks if config.blocks is not None else (9 if min(size) >= 256 else 6)
    network = ResNet(config.model_copy(update={"blocks": blocks}), in_channels, out_channels)
    init_weights(network, config.init_std, config.init)
    return network
