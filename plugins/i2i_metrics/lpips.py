"""LPIPS (Zhang et al. 2018, arXiv:1801.03924, equation 1): a distance of images by the feature maps of a network."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import i2i
from i2i_metrics.networks.weights import file_digest, read_state
from i2i_metrics.options import LPIPSConfig
from i2i_metrics.preparing import QUANTISATION, as_colour, check_sides, eight_bits
from i2i_metrics.sets.collecting import feature_sets

MIN_SIDE = 32
"""Height and width below which the deep feature maps of the networks are empty."""

LINEAR = {
    "alexnet": ("alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    "vgg16": ("vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
}
"""Files with the published weights of version 0.1, which torchmetrics brings, and their SHA-256, by network."""


class LPIPS:
    """The mean over images of the distance of their feature maps, which are normalised over the channels at each pixel.

    The squared differences are weighted by channel, averaged over the pixels and summed over the maps.

    Args:
        config: the network, and where the weights of the channels come from.
        context: builds the network, and says where it computes.

    Attributes:
        figure_name: ``lpips`` for AlexNet with the published weights; else with the network's name.

    Raises:
        i2i.ConfigError: there are no published weights for this network.
        i2i.ModelError: the network or the weights cannot be had.
    """

    kind = "pair"
    higher_is_better = False

    def __init__(self, config: LPIPSConfig, *, context: i2i.MetricContext) -> None:
        sets = feature_sets(config.features, context)
        self.network, self.device, self.name = sets.network, context.device, sets.name
        self.linear, digest = _linear(config, self.name)
        self.linear = [weights.to(context.device) for weights in self.linear]
        published = config.linear == "published"
        self.figure_name = "lpips" if published and self.name == "alexnet" else f"lpips-{self.name}"
        said = {key: sets.protocol[key] for key in ("network", "digest", "resize") if key in sets.protocol}
        self._said = said | {"linear": digest, "quantisation": QUANTISATION, "colour": "RGB; grey repeated three times"}
        self.reset()

    @torch.no_grad()
    def update(self, output: Tensor, target: Tensor) -> None:
        """Measures images ``(N, C, H, W)`` in [-1, 1], of one or three channels.

        Raises:
            ValueError: the shapes differ.
            i2i.DataError: the images are smaller than 32x32 pixels, or have another number of channels.
            i2i.ModelError: the weights of the channels are of another network.
        """
        if output.shape != target.shape:
            raise ValueError(f"outputs are {tuple(output.shape)}, their targets {tuple(target.shape)}")
        check_sides(target, MIN_SIDE, "LPIPS")
        both = [eight_bits(as_colour(images)).to(self.device).float() / 127.5 - 1 for images in (output, target)]
        for one, other in zip(both[0].split(1), both[1].split(1), strict=True):
            maps = [[_unit(given) for given in self.network(image)] for image in (one, other)]
            squares = [(x - y).square() for x, y in zip(*maps, strict=True)]
            self._values.append(self._weighted(squares))

    def compute(self) -> Tensor:
        """The mean over all images, a scalar in float64; NaN without any."""
        return torch.tensor(self._values, dtype=torch.float64).mean()

    def of_images(self, places: Sequence[int]) -> Tensor:
        """The mean over some of the images, by their places from 0, of which each may be there several times."""
        return torch.tensor([self._values[place] for place in places], dtype=torch.float64).mean()

    def reset(self) -> None:
        """Forgets all images."""
        self._values: list[float] = []

    @property
    def protocol(self) -> dict[str, Any]:
        """How the figure came about."""
        return self._said | {"images": len(self._values), "mean": "over images"}

    def _weighted(self, squares: list[Tensor]) -> float:
        """The sum over feature maps of the weighted mean over pixels."""
        if not self.linear:
            return float(torch.stack([one.sum(1).mean() for one in squares]).sum())
        widths, wanted = ([one.shape[1] for one in squares], [weights.numel() for weights in self.linear])
        if widths != wanted:
            raise i2i.ModelError(
                f"the linear weights of LPIPS are for maps of {wanted} channels, and {self.name} has {widths}"
            )
        parts = zip(squares, self.linear, strict=True)
        return float(torch.stack([(one * weights.view(1, -1, 1, 1)).sum(1).mean() for one, weights in parts]).sum())


def _unit(values: Tensor) -> Tensor:
    """Feature maps whose vector at each pixel has length 1."""
    return values / (values.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _linear(config: LPIPSConfig, network: str) -> tuple[list[Tensor], str]:
    """The weights of the channels of each feature map, none where all count alike, and their digest."""
    if config.linear == "none":
        return [], "none: all channels alike"
    what = "the linear weights of LPIPS"
    if config.linear != "published":
        file, expected = Path(config.linear).expanduser(), ""
    elif network in LINEAR:
        name, expected = LINEAR[network]
        found = importlib.util.find_spec("torchmetrics")
        assert found is not None and found.origin is not None, "the extra `train` has torchmetrics"
        file = Path(found.origin).parent / "functional" / "image" / "lpips_models" / name
    else:
        raise i2i.ConfigError(
            f"LPIPS has no published linear weights for {network}, only for {' and '.join(LINEAR)}: "
            "set linear=FILE, or linear=none for channels that count alike"
        )
    digest, state = file_digest(file, what, expected), read_state(file, what)
    names = sorted(name for name in state if name.startswith("lin") and name.endswith(".weight"))
    if not names:
        raise i2i.ModelError(f"has no weights lin0, lin1 and so on, {what}", path=str(file))
    return [state[name].flatten().float() for name in names], digest
