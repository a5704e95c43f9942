"""Inception-v3 in the form that FID is defined on (Szegedy et al. 2016, arXiv:1512.00567; Heusel et al. 2017).

The weights of FID are those of TensorFlow's graph of 2015-12-05, with 1008 classes. Their network is not quite
torchvision's: where a block pools by averages, the border does not count, and the last block pools by maxima. The
blocks are torchvision's, called in that way. Images are resized as TensorFlow 1 did: bilinear from the upper left
corner, without antialiasing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i_metrics.networks.folding import fold_norms
from i2i_metrics.networks.weights import file_digest, find_weights, load_strictly, read_state
from i2i_metrics.options import InceptionConfig
from i2i_metrics.preparing import as_colour

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
DIGEST = "6726825d"
"""Beginning of the SHA-256 of the file on which FID is defined."""

SIDE = 299
RESIZE = "bilinear as TensorFlow 1: from the upper left corner, no antialiasing"


class InceptionFeatures(nn.Module):
    """Inception-v3 up to the features of FID, the average of its last feature maps, and the logits.

    Args:
        network: torchvision's Inception-v3 with 1008 classes.
        digest: SHA-256 of the file of its weights.

    Attributes:
        protocol: name, digest and resizing; ``standard`` if the weights are those of FID.
    """

    def __init__(self, network: nn.Module, digest: str) -> None:
        super().__init__()
        self.network = network
        standard = digest.startswith(DIGEST)
        name = "inception-v3" if standard else f"inception-v3-{digest[:8]}"
        self.protocol = {"network": name, "digest": digest, "resize": f"{RESIZE}, {SIDE}", "standard": standard}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps before each change of the resolution: of 64, 192, 288, 768 and 2048 channels.

        Args:
            images: ``(N, 3, H, W)`` in [-1, 1], or of one channel, which is repeated.
        """
        net: Any = self.network
        levels = (as_colour(images) + 1) * 127.5
        x = (tensorflow_resize(levels, SIDE) - 128) / 128
        maps = []
        x = F.max_pool2d(net.Conv2d_2b_3x3(net.Conv2d_2a_3x3(net.Conv2d_1a_3x3(x))), 3, 2)
        maps.append(x)
        x = F.max_pool2d(net.Conv2d_4a_3x3(net.Conv2d_3b_1x1(x)), 3, 2)
        maps.append(x)
        for block in (net.Mixed_5b, net.Mixed_5c, net.Mixed_5d):
            x = _five_by_five(block, x)
        maps.append(x)
        x = net.Mixed_6a(x)
        for block in (net.Mixed_6b, net.Mixed_6c, net.Mixed_6d, net.Mixed_6e):
            x = _seven_by_seven(block, x)
        maps.append(x)
        x = _wide(net.Mixed_7b, net.Mixed_7a(x), _average)
        maps.append(_wide(net.Mixed_7c, x, _largest))
        return maps

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        """Features ``(N, 2048)`` and the logits ``(N, 1008)`` of the inception score, without the bias."""
        features = self(images)[-1].mean((2, 3))
        return {"features": features, "logits": F.linear(features, self.network.fc.weight)}  # type: ignore[union-attr, arg-type]


def build(config: InceptionConfig) -> InceptionFeatures:
    """Builds the network, in evaluation mode.

    Raises:
        i2i.ModelError: the weights are not there and cannot be downloaded, or the file holds something else.
    """
    from torchvision.models import Inception3

    what = "Inception-v3 with the 1008 classes of FID"
    file = find_weights(config.weights, URL, what)
    expected = config.sha256 or (DIGEST if config.weights == "download" else "")
    digest = file_digest(file, what, expected)
    with torch.device("meta"):
        network = Inception3(num_classes=1008, aux_logits=False, transform_input=False, init_weights=False)
    load_strictly(network, read_state(file, f"weights of {what}"), file, what)
    fold_norms(network.eval(), ("conv", "bn"))
    return InceptionFeatures(network, digest).eval().requires_grad_(False)


def tensorflow_resize(images: Tensor, side: int) -> Tensor:
    """Bilinear resizing as TensorFlow 1 does it by default: pixel i is taken at ``i * old side / new side``.

    Args:
        images: ``(N, C, H, W)``.
        side: height and width of the result.
    """
    for axis in (2, 3):
        old = images.shape[axis]
        places = torch.arange(side, device=images.device, dtype=torch.float32) * (old / side)
        low = places.long().clamp(max=old - 1)
        share = (places - low).to(images.dtype).view(*(-1, 1) if axis == 2 else (1, -1))
        below, above = images.index_select(axis, low), images.index_select(axis, (low + 1).clamp(max=old - 1))
        images = below + (above - below) * share
    return images


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _largest(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


def _five_by_five(block: Any, x: Tensor) -> Tensor:
    """A block of figure 5 of the paper, as `torchvision` names its parts."""
    double = block.branch3x3dbl_3(block.branch3x3dbl_2(block.branch3x3dbl_1(x)))
    return torch.cat(
        [block.branch1x1(x), block.branch5x5_2(block.branch5x5_1(x)), double, block.branch_pool(_average(x))], 1
    )


def _seven_by_seven(block: Any, x: Tensor) -> Tensor:
    """A block of figure 6."""
    single, double = x, x
    for number in range(1, 4):
        single = getattr(block, f"branch7x7_{number}")(single)
    for number in range(1, 6):
        double = getattr(block, f"branch7x7dbl_{number}")(double)
    return torch.cat([block.branch1x1(x), single, double, block.branch_pool(_average(x))], 1)


def _wide(block: Any, x: Tensor, pool: Any) -> Tensor:
    """A block of figure 7; FID's last one pools by maxima."""
    single = block.branch3x3_1(x)
    double = block.branch3x3dbl_2(block.branch3x3dbl_1(x))
    parts = [block.branch3x3_2a(single), block.branch3x3_2b(single)]
    parts += [block.branch3x3dbl_3a(double), block.branch3x3dbl_3b(double)]
    return torch.cat([block.branch1x1(x), *parts, block.branch_pool(pool(x))], 1)
