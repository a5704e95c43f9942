"""A small segmenter of the drawn facades, which judges whether images made of label maps show what these say."""

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from i2i_samples.datasets import Facades
from i2i_samples.facades import PALETTE
from i2i_samples.options import FacadesConfig

CLASSES = len(PALETTE)


class Segmenter(nn.Module):
    """Sees a pixel's surroundings at three scales, and nothing of where in the image it is."""

    def __init__(self):
        super().__init__()
        widths = (3, 24, 48, 64)
        self.down = nn.ModuleList(nn.Sequential(*_layer(a, b), *_layer(b, b)) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.Sequential(*_layer(a, b)) for a, b in ((64 + 48, 48), (48 + 24, 32)))
        self.last = nn.Conv2d(32, CLASSES, 1)

    def forward(self, x):
        """Images ``(N, 3, H, W)`` in [-1, 1] -> scores ``(N, CLASSES, H, W)``."""
        maps = []
        for level, layers in enumerate(self.down):
            x = layers(x if level == 0 else nn.functional.max_pool2d(x, 2))
            maps.append(x)
        for layers, skip in zip(self.up, (maps[1], maps[0]), strict=True):
            x = layers(torch.cat([interpolate(x, scale_factor=2.0), skip], 1))
        return self.last(x)


def _layer(into, out):
    return nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()


def drawings(size, count, *, split="train", seed=0):
    """Label maps ``(count, H, W)`` int64, and facades ``(count, H, W, 3)`` uint8."""
    config = FacadesConfig(size=size, count=count, val_count=count, numbers=True, seed=seed)
    samples = Facades(config, split=split, transform=dict)
    drawn = [samples[index] for index in range(count)]
    return np.stack([s["source"][..., 0] for s in drawn]).astype(np.int64), np.stack([s["target"] for s in drawn])


def as_batch(images):
    """Images ``(N, H, W, 3)`` uint8 -> ``(N, 3, H, W)`` float32 in [-1, 1]."""
    return torch.tensor(np.asarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def trained(size, *, steps=300):
    """A segmenter of facades of that size; it has not seen those of the training set of `seed` 0."""
    torch.manual_seed(0)
    labels, images = drawings(size, 200, seed=7)
    network, images = Segmenter(), as_batch(images)
    labels = torch.tensor(labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        place = torch.randint(len(images), (8,), generator=draw)
        optimizer.zero_grad()
        cross_entropy(network(images[place]), labels[place]).backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def mean_iou(network, images, labels):
    """The mean over classes of intersection over union, of all pixels together.

    Args:
        network: a segmenter.
        images: ``(N, H, W, 3)`` uint8.
        labels: ``(N, H, W)``, what they should show.
    """
    found = np.concatenate([network(as_batch(part)).argmax(1).numpy() for part in np.array_split(images, 6)])
    both = np.bincount((labels * CLASSES + found).ravel(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    union = both.sum(0) + both.sum(1) - both.diagonal()
    present = both.sum(1) > 0
    return float((both.diagonal()[present] / union[present]).mean())
