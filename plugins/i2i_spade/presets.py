"""Presets of SPADE: the paper's settings, those of its code, and the drawn samples."""

from __future__ import annotations

from typing import Any

PAPER: dict[str, Any] = {
    "data": {"size": 256, "jitter": 1.1171875},
    "train": {
        "batch_size": 32,
        "epochs": 200,
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.0, 0.9]},
        "schedule": {"name": "linear-epochs", "hold": 0.5},
    },
    # the discriminator is pix2pixHD's, which has three scales
    "spade": {"discriminator": {"name": "multiscale", "scales": 3, "init": "xavier"}},
}
# The code has two scales, spectral norm in their inner layers alone, and adds up the divergence over a GPU's 4 images.
REFERENCE: dict[str, Any] = {
    "spade": {
        "discriminator": {"name": "multiscale", "scales": 2, "spectral_norm": True, "init": "xavier"},
        "adversary": {"spectral_norm": False},
        "kl": 0.2,
    },
}
SAMPLES: dict[str, Any] = {
    "data": {"size": 64, "jitter": 1.0, "layout": {"name": "facades", "numbers": True}},
    "train": {
        "batch_size": 4,
        "steps": 600,
        "optimizer": {"lr": 1e-3},
        "schedule": {"name": "linear", "hold": 0.5},
        "sample_every": 200,
        "checkpoint_every": 200,
    },
    "spade": {
        "classes": 20,
        "discriminator_lr": None,
        "generator": {"name": "spade", "filters": 16, "hidden": 32, "depth": 4},
        "discriminator": {"name": "multiscale", "filters": 24, "layers": 2, "init": "xavier"},
        "features": None,
    },
}
