"""PatchGAN and PixelGAN discriminators of pix2pix (Isola et al. 2017, arXiv:1611.07004, appendix 6.1.2).

With `antialias` the PatchGAN has no strides but a fixed blur after each layer that had one, as CUT's does (Park et al.
2020, arXiv:2007.15651); its receptive field is then 84 in place of 70 pixels for 3 layers.
"""

from __future__ import annotations

from torch import nn

from i2i.components.antialias import BlurHalving
from i2i.components.layers import SequentialDiscriminator, init_weights, norm_layer
from i2i.components.minibatch import minibatch_layer
from i2i.components.options import PatchConfig, PixelConfig


def build_patch(config: PatchConfig, *, in_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds a PatchGAN: ``(N, in_channels, H, W)`` -> logits ``(N, 1, h, w)``, one for each overlapping patch.

    Raises:
        ValueError: images of that (height, width) are too small for so many layers.
    """
    if min(size) // 2**config.layers < 3:
        raise ValueError(
            f"a PatchGAN of {config.layers} layers needs images of at least {3 * 2**config.layers} pixels, "
            f"got {size[0]}x{size[1]}: set fewer layers of the discriminator or a larger data.size"
        )
    bias = config.norm != "batch"  # batch norm's shift makes it redundant
    width = config.filters
    stride = 1 if config.antialias else 2
    blur = (BlurHalving(),) if config.antialias else ()
    layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, stride, 1), nn.LeakyReLU(0.2), *blur]
    for layer in range(1, config.layers + 1):
        previous, width = width, config.filters * min(2**layer, 8)
        last = layer == config.layers
        layers += [
            nn.Conv2d(previous, width, 4, 1 if last else stride, 1, bias=bias),
            norm_layer(config.norm, width),
            nn.LeakyReLU(0.2),
            *(() if last else blur),
        ]
    minibatch = minibatch_layer(config.minibatch, width)
    layers += [minibatch, nn.Conv2d(minibatch.out_channels, 1, 4, 1, 1)]
    network = SequentialDiscriminator(*layers, features=config.features)
    return init_weights(network, config.init_std, config.init)


def build_pixel(config: PixelConfig, *, in_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds a PixelGAN of 1x1 convolutions: ``(N, in_channels, H, W)`` -> logits ``(N, 1, H, W)``."""
    width = config.filters
    layers = (
        nn.Conv2d(in_channels, width, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 1, bias=config.norm != "batch"),
        norm_layer(config.norm, 2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 1, bias=config.norm != "batch"),
    )
    return init_weights(SequentialDiscriminator(*layers, features=config.features), config.init_std)
