"""What BicycleGAN and StarGAN v2 learn on their drawn sets: results of other codes differ, and each is right."""

import itertools

import numpy as np
import pytest
import torch

import i2i
from i2i_metrics.networks.untrained import RandomFeatures
from i2i_samples.facades import PALETTE
from i2i_samples.options import TintedStylesConfig, TintsConfig
from i2i_samples.tints import TINTED_STYLES, WALLS, TintedStyles, Tints

pytestmark = pytest.mark.slow
SEEDS = range(4)
BICYCLE_SPREAD, STARGAN_SPREAD = 0.2, 0.1
"""Least mean distance of two of four results, by `distance`; walls painted by `tint` in four colours have 0.45."""


def distance(one, other):
    """Perceptual distance of uint8 images ``(H, W, 3)`` by a fixed random network, in the manner of LPIPS.

    Features are scaled to length 1 at each pixel; squared differences are summed over channels and averaged over pixels
    and layers (Zhang et al. 2018, arXiv:1801.03924, equation 1, without learned weights).
    """
    network = RandomFeatures(i2i.Config())
    layers = []
    for image in (one, other):
        maps = network(torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).float() / 127.5 - 1)
        layers.append([each / each.norm(dim=1, keepdim=True) for each in maps])
    return float(np.mean([(a - b).square().sum(1).mean().item() for a, b in zip(*layers, strict=True)]))


def spread(images):
    """Mean distance of two of them."""
    return np.mean([distance(a, b) for a, b in itertools.combinations(images, 2)])


def trained(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return i2i.train(recipe, sets=["engine.threads=1"]).run


def hue(image, where):
    """Direction of the mean colour of a region in the plane of colours, as a vector of length 1."""
    colour = image[where].astype(float).mean(0)
    plane = colour - colour.mean()
    return plane / max(np.linalg.norm(plane), 1e-6)


def test_bicyclegan_paints_the_wall_in_four_colours_and_the_rest_as_it_is(tmp_path, monkeypatch):
    run = trained("bicyclegan", tmp_path, monkeypatch)
    drawn = Tints(TintsConfig(size=32), split="val", transform=dict)
    model, copier = (i2i.load(run, translator=name) for name in ("default", "reference"))
    spreads, errors, agreed = [], [], []
    for index in range(8):
        source, target = drawn[index]["source"], drawn[index]["target"]
        wall = np.any([(source == PALETTE[name]).all(2) for name in WALLS], 0)
        made = [model.translate(source, seed=seed) for seed in SEEDS]
        spreads.append(spread(made))
        errors += [np.abs(one[~wall].astype(int) - target[~wall]).mean() / 255 for one in made]
        other = drawn[index + 8]
        other_wall = np.any([(other["source"] == PALETTE[name]).all(2) for name in WALLS], 0)
        copied = copier.translate(source, reference=other["target"])
        agreed.append(hue(copied, wall) @ hue(other["target"], other_wall))
    assert np.mean(spreads) > BICYCLE_SPREAD
    assert np.max(errors) < 0.15
    assert np.mean(agreed) > 0.9


def test_starganv2_translates_to_the_asked_style_in_four_ways(tmp_path, monkeypatch):
    run = trained("starganv2", tmp_path, monkeypatch)
    classify = classifier()
    model, copier = (i2i.load(run, translator=name) for name in ("default", "reference"))
    drawn = TintedStyles(TintedStylesConfig(), split="val", transform=dict)
    found, spreads, copied = [], [], []
    for index, wanted in itertools.product(range(12), range(3)):
        image, label = drawn[index]["target"], drawn[index]["label"]
        if label == wanted:
            continue
        made = [model.translate(image, label=wanted, seed=seed) for seed in SEEDS]
        spreads.append(spread(made))
        found += [classify(one) == wanted for one in made]
        reference = next(drawn[n]["target"] for n in range(12, 20) if drawn[n]["label"] == wanted)
        copied.append(classify(copier.translate(image, label=wanted, reference=reference)) == wanted)
    assert np.mean(found) >= 0.8
    assert np.mean(copied) >= 0.8
    assert np.mean(spreads) > STARGAN_SPREAD


def classifier():
    """Nearest mean picture of the drawn styles; checked on drawings that it has not seen."""
    drawn = TintedStyles(TintedStylesConfig(), split="train", transform=dict)
    samples = [drawn[index] for index in range(240)]
    labels = np.array([one["label"] for one in samples])
    pixels = np.stack([one["target"] for one in samples]).astype(float)
    means = np.stack([pixels[labels == label].mean(0) for label in range(len(TINTED_STYLES))])

    def classify(image):
        return int(np.square(image - means).sum((1, 2, 3)).argmin())

    unseen = [drawn[index] for index in range(240, 320)]
    assert np.mean([classify(one["target"]) == one["label"] for one in unseen]) > 0.95
    return classify
