"""PatchGANs at several scales, which pix2pixHD introduced (Wang et al. 2018, arXiv:1711.11585, section 3.2).

The paper has three scales, its code and that of SPADE two. Every convolution pads by 2 where pix2pix pads by 1, so that
the maps are a few logits larger.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.nn.utils.parametrizations import spectral_norm

from i2i.components.layers import SequentialDiscriminator, init_weights, init_xavier, norm_layer
from i2i.components.options import MultiscaleConfig

WIDEST = 8
"""The layer with the most channels has this many times `MultiscaleConfig.filters`."""


class Multiscale(nn.Module):
    """Discriminators of one architecture, of which each sees the images at half the size of the one before.

    Args:
        scales: the discriminators, that of the full size first.
    """

    def __init__(self, *scales: nn.Module) -> None:
        super().__init__()
        self.scales = nn.ModuleList(scales)

    def forward(self, x: Tensor) -> list[Tensor | tuple[Tensor, ...]]:
        """``(N, C, H, W)`` -> for each scale its logits ``(N, 1, h, w)``, or a tuple of logits and features."""
        judged = []
        for number, scale in enumerate(self.scales):
            if number:
                x = avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
            judged.append(scale(x))
        return judged


def build(config: MultiscaleConfig, *, in_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds the discriminators: ``(N, in_channels, H, W)`` -> a list with the judgement of each scale.

    Raises:
        ValueError: at the smallest scale, images of that (height, width) are too small for so many layers.
    """
    smallest = 2 ** (config.scales - 1 + config.layers)
    if min(size) < smallest:
        raise ValueError(
            f"{config.scales} scales of {config.layers} layers need images of at least {smallest} pixels, "
            f"got {size[0]}x{size[1]}: set fewer scales or layers of the discriminator, or a larger data.size"
        )
    return Multiscale(*(_patchgan(config, in_channels) for _ in range(config.scales)))


def _patchgan(config: MultiscaleConfig, in_channels: int) -> nn.Module:
    width = config.filters
    layers: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, 2, 2), nn.LeakyReLU(0.2)]
    for layer in range(1, config.layers + 1):
        previous, width = width, config.filters * min(2**layer, WIDEST)
        stride = 2 if layer < config.layers else 1
        convolution = nn.Conv2d(previous, width, 4, stride, 2, bias=config.norm == "none")  # norms take a bias away
        layers += [convolution, norm_layer(config.norm, width), nn.LeakyReLU(0.2)]
    layers.append(nn.Conv2d(width, 1, 4, 1, 2))
    network = SequentialDiscriminator(*layers, features=config.features)
    init_weights(network, 0.02) if config.init == "normal" else init_xavier(network)
    if config.spectral_norm:
        for one in [one for one in layers[2:-1] if isinstance(one, nn.Conv2d)]:
            spectral_norm(one)
    return network
