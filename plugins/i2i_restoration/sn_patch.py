"""SN-PatchGAN, the discriminator of free-form inpainting (Yu et al. 2019, arXiv:1806.03589, section 3.3).

Convolutions of kernel 5 and stride 2, with leaky ReLUs; each value of the last feature map is a logit, one for every
feature of every patch. As in the authors' code the last layer too has its leaky ReLU, of slope 0.2. Spectral norm is
put on by `i2i.Adversary`, which the recipe's options turn on.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from i2i_restoration.options import SNPatchConfig


class SNPatch(nn.Module):
    """The layers.

    Args:
        config: the options.
        in_channels: channels of all that it sees together.
    """

    def __init__(self, config: SNPatchConfig, in_channels: int) -> None:
        super().__init__()
        self.gives_features = config.features
        widths = [in_channels, *(config.filters * min(2**layer, 4) for layer in range(config.layers))]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(into, out, 5, 2, 2), nn.LeakyReLU(0.2)) for into, out in pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """``(N, in_channels, H, W)`` -> logits ``(N, C, h, w)``, or a tuple of them and the layers' outputs before."""
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return (x, *found[:-1]) if self.gives_features else x


def build(config: SNPatchConfig, *, in_channels: int, size: tuple[int, int]) -> nn.Module:
    """Builds the discriminator, which takes images of any size."""
    return SNPatch(config, in_channels)
