"""VGG19 as the feature network of perceptual losses (Simonyan & Zisserman 2015, arXiv:1409.1556, configuration E).

SRGAN compares ``relu5_4``, after the activation, times 1/12.75 (Ledig et al. 2017, arXiv:1609.04802, sections 2.2.1 and
3.2); ESRGAN compares ``conv5_4``, before it (Wang et al. 2018, arXiv:1809.00219, section 3.3).
"""

from __future__ import annotations

import contextlib
import pickle
import sys
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor, nn

import i2i
from i2i_srgan.options import VGG19_LAYERS, VGG19Config


class VGG19Features(nn.Module):
    """The part of VGG19 up to the last layer whose output is compared.

    Args:
        config: the options.
        layers: the modules up to that layer; ReLUs must not work in place.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: VGG19Config, layers: nn.Sequential) -> None:
        super().__init__()
        self.names, self.rescale, self.layers = config.layers, config.rescale, layers
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the layers in `VGG19Config.layers`, in their order there.

        Args:
            images: ``(N, 3, H, W)`` in [-1, 1], or one channel, which is repeated; large enough for the pooling layers
                before the last of these layers: 16x16 for ``conv5_4``.

        Raises:
            ValueError: the images have another number of channels.
        """
        if images.shape[1] not in (1, 3):
            raise ValueError(f"VGG19 sees images of 1 or 3 channels, got {images.shape[1]}: set features=null")
        x = ((images + 1) / 2 - self.mean) / self.std
        found = {}
        for name, layer in zip(VGG19_LAYERS, self.layers, strict=False):
            x = layer(x)
            found[name] = x
        return [found[name] * self.rescale for name in self.names]


def build(config: VGG19Config) -> VGG19Features:
    """Builds the feature network, in evaluation mode and without gradients of its own.

    Raises:
        i2i.ModelError: the weights are not there and cannot be downloaded, or the file is damaged.
    """
    from torchvision.models import vgg19

    with torch.device("meta"):  # its dense layers, most of the network, would be made in vain
        whole = vgg19(weights=None, init_weights=False)
    kept = list(whole.features)[: 1 + max(VGG19_LAYERS.index(name) for name in config.layers)]
    layers = nn.Sequential(*(nn.ReLU() if isinstance(layer, nn.ReLU) else layer for layer in kept))
    layers.to_empty(device="cpu")
    if config.weights == "imagenet":
        _load_imagenet(layers)
    else:
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                layer.reset_parameters()
    return VGG19Features(config, layers).eval().requires_grad_(False)


def _load_imagenet(layers: nn.Module) -> None:
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    folder, _, name = weights.url.rpartition("/")
    file = Path(torch.hub.get_dir(), "checkpoints", name)
    without = "or go without: features=null, or weights=random of the feature network to try things"
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch announces the download there
            state = weights.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
        layers.load_state_dict({key: state[f"features.{key}"] for key in layers.state_dict()})
    except (OSError, HTTPException) as error:
        cause = getattr(error, "reason", error)
        reason = getattr(cause, "strerror", None) or "no connection, or the server refused it"
        raise i2i.ModelError(
            f"VGG19's ImageNet weights are missing and torchvision could not download them ({reason}): "
            f"put {name} of {folder} into {file.parent}, {without}"
        ) from error
    except (RuntimeError, EOFError, LookupError, pickle.UnpicklingError) as error:
        raise i2i.ModelError(
            f"{file}: VGG19's ImageNet weights are damaged: delete the file to download it again, {without}"
        ) from error
