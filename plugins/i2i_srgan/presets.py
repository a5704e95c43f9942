"""Presets of the super-resolution recipes: the papers' settings, small networks for a CPU, and the drawn samples."""

from __future__ import annotations

from typing import Any

DATA: dict[str, Any] = {
    "scale": 4,
    "size": 96,
    "resize": "none",
    "degrade": "bicubic",
    "val_whole": True,
    "transform": {"name": "augment", "flip": 0.5, "rotate90": 0.5},
}
METRICS = ["psnr-y", "ssim-y"]
RARELY = {"checkpoint_every": 5000, "sample_every": 5000, "log_every": 100}
SMALL: dict[str, Any] = {"filters": 32, "blocks": 6, "kernel": 3, "norm": "none", "interpolate": True}
SAMPLE_DATA: dict[str, Any] = {"layout": "pictures", "size": 72}
OFTEN = {"sample_every": 200, "checkpoint_every": 400, "log_every": 20}

SRRESNET_PAPER: dict[str, Any] = {
    "data": DATA,
    "train": {
        "batch_size": 16,
        "steps": 1_000_000,
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.9, 0.999]},
        "metrics": METRICS,
        **RARELY,
    },
}
SRRESNET_SMALL: dict[str, Any] = {
    "train": {
        "steps": 1000,
        "optimizer": {"lr": 1e-3},
        "schedule": {"name": "cosine", "hold": 0.1},
        "checkpoint_every": 500,
        "sample_every": 500,
        "log_every": 50,
    },
    "srresnet": {"generator": {"name": "srresnet", **SMALL}, "distance": "l1"},
}
SRRESNET_SAMPLES: dict[str, Any] = {
    "data": SAMPLE_DATA,
    "train": {"batch_size": 8, "steps": 800, "optimizer": {"lr": 1e-3}, **OFTEN},
    "srresnet": {"generator": {"name": "srresnet", **SMALL}, "distance": "l1"},
}

SRGAN_PAPER: dict[str, Any] = {
    "data": DATA,
    # the last 10^5 steps have a tenth of the rate
    "train": SRRESNET_PAPER["train"]
    | {"steps": 1_200_000, "schedule": {"name": "step", "gamma": 0.1, "every": 1_100_000}},
}
SRGAN_SAMPLES: dict[str, Any] = {
    "data": SAMPLE_DATA,
    "train": {"batch_size": 8, "steps": 800, **OFTEN},
    "srgan": {
        "generator": {"name": "srresnet", **SMALL},
        "discriminator": {"name": "vgg", "filters": 16},
        "features": None,
        "pretrain": 0.5,
        "pretrain_lr": 1e-3,
        "pixel": 1.0,
        "distance": "l1",
    },
}

ESRGAN_PAPER: dict[str, Any] = {  # the paper also halves the rate, at other steps in each stage
    "data": DATA | {"size": 128},
    "train": SRRESNET_PAPER["train"] | {"steps": 1_400_000},
    "esrgan": {
        "generator": {"name": "rrdb"},
        "adversary": {"loss": "relativistic", "weight": 5e-3},
        "pretrain": 0.7143,
        "pretrain_lr": 2e-4,
        "distance": "l1",
        "pixel": 1e-2,
        "features": {"name": "vgg19", "layers": ["conv5_4"], "rescale": 1.0},
        "perceptual_distance": "l1",
    },
}
ESRGAN_SAMPLES: dict[str, Any] = {
    "data": SAMPLE_DATA,
    "train": {"batch_size": 8, "steps": 600, **OFTEN},
    "esrgan": {
        "generator": {"name": "rrdb", "filters": 24, "growth": 12, "blocks": 2, "interpolate": True},
        "discriminator": {"name": "vgg", "filters": 16},
        "features": None,
        "pretrain": 0.5,
        "pretrain_lr": 1e-3,
        "pixel": 1.0,
    },
}
