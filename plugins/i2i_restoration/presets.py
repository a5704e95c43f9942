"""Presets of the recipes: the papers' settings, those of the authors' code, and the drawn samples."""

from __future__ import annotations

from typing import Any

OFTEN = {"sample_every": 200, "checkpoint_every": 200, "log_every": 20}

# The inpainting papers name no number of steps; a million is ours.
GATED: dict[str, Any] = {
    "data": {"size": 256, "resize": "none", "degrade": {"name": "holes"}},
    "train": {
        "batch_size": 16,
        "steps": 1_000_000,
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "constant"},
        "checkpoint_every": 5000,
        "sample_every": 5000,
        "log_every": 100,
    },
}
# The paper: 512 pixels, batches of 6 on one GPU. Its masks are a set of files: set data.degrade.folder and given=1. Its
# second part, at a rate of 5e-5 with frozen_norm=true, is a run of its own: i2i train --from.
PARTIAL: dict[str, Any] = {
    "data": {"size": 512},
    "train": {"batch_size": 6, "steps": 1_000_000, "optimizer": {"lr": 2e-4, "betas": [0.9, 0.999]}},
    "inpaint": {
        "generator": {"name": "partial"},
        "discriminator": None,
        "hole": 6.0,
        "features": "vgg16",
        "total_variation": 0.1,
    },
}
HOLES = {"box": 0.5, "box_size": [0.125, 0.25], "stroke_width": [0.04, 0.1]}
"""Smaller ones, which little networks can fill within minutes."""
INPAINT_SAMPLES: dict[str, Any] = {
    "data": {"layout": "pictures", "size": 64, "degrade": HOLES},
    "train": {"batch_size": 4, "steps": 400, "optimizer": {"lr": 1e-3}, "schedule": {"name": "linear"}, **OFTEN},
    "inpaint": {
        "generator": {"name": "gated", "filters": 12, "attention": False},
        "discriminator": {"name": "sn-patch", "filters": 16, "layers": 4},
        "adversary": {"weight": 0.02},
        "hole": 4.0,
    },
}
INPAINT = {"paper": GATED, "partial": PARTIAL, "samples": INPAINT_SAMPLES}

COLORIZE_REFERENCE: dict[str, Any] = {
    "train": {
        "epochs": 200,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear-epochs", "hold": 0.5},
    },
}
# ImageNet, about 6 epochs, batches of 4, mirrored and not jittered
COLORIZE_PAPER: dict[str, Any] = {
    "data": {"jitter": 1.0},
    "train": {"batch_size": 4, "epochs": 6, "schedule": {"name": "constant"}},
    "colorize": {"generator": {"name": "unet", "dropout_layers": [1, 2, 3]}},
}
COLORIZE_SAMPLES: dict[str, Any] = {
    "data": {"layout": "pictures", "size": 64, "jitter": 1.0},
    "train": {"batch_size": 8, "steps": 600, "optimizer": {"lr": 1e-3}, "schedule": {"name": "linear"}, **OFTEN},
    "colorize": {"generator": {"filters": 16}, "discriminator": {"filters": 16}},
}
COLORIZE = {"reference": COLORIZE_REFERENCE, "paper": COLORIZE_PAPER, "samples": COLORIZE_SAMPLES}
