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

REAL_DATA = DATA | {
    "size": 256,
    "degrade": {"name": "real", "sharpen": True},
    "transform": {"name": "augment", "flip": 0.5},
}
UNIT = {"value_range": [0.0, 1.0]}
"""The authors' networks compute in [0, 1]."""
RRDB_X2 = {"name": "rrdb", "unshuffle": True, **UNIT}
COMPACT = {"name": "srvgg", "blocks": 32, **UNIT}
SMALL_COMPACT = {"name": "srvgg", "filters": 32, "blocks": 8}
MILD: dict[str, Any] = {
    "first": {
        "sigma": [0.2, 1.5],
        "resize": [0.1, 0.3, 0.6],
        "resize_range": [0.6, 1.3],
        "gaussian_sigma": [1.0, 15.0],
        "poisson_scale": [0.05, 1.0],
        "jpeg": [60.0, 95.0],
    },
    "second": {
        "blur": 0.3,
        "sigma": [0.2, 0.8],
        "resize": [0.1, 0.2, 0.7],
        "resize_range": [0.7, 1.2],
        "gaussian_sigma": [1.0, 8.0],
        "poisson_scale": [0.05, 0.5],
        "jpeg": [60.0, 95.0],
    },
}
"""Degradations that leave something of small pictures."""
REAL_SAMPLE_DATA: dict[str, Any] = {"layout": "pictures", "size": 64, "scale": 2, "degrade": {"name": "real", **MILD}}

REALESRNET_PAPER: dict[str, Any] = {
    "data": REAL_DATA,
    "train": {
        "batch_size": 48,
        "steps": 1_000_000,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.9, 0.99]},
        "schedule": {"name": "multi-step", "milestones": [1_000_000], "gamma": 0.5},  # felt by longer runs only
        "ema": 0.999,
        "metrics": METRICS,
        **RARELY,
    },
    "realesrnet": {"generator": {"name": "rrdb", **UNIT}, "distance": "l1", "sharpen": True},
}
REALESRNET_X2: dict[str, Any] = {"data": {"scale": 2}, "realesrnet": {"generator": RRDB_X2}}
REALESRNET_COMPACT: dict[str, Any] = {"realesrnet": {"generator": COMPACT}}
REALESRNET_SAMPLES: dict[str, Any] = {
    "data": REAL_SAMPLE_DATA,
    "train": {"batch_size": 8, "steps": 800, "optimizer": {"lr": 1e-3}, "ema": 0.99, **OFTEN},
    "realesrnet": {"generator": SMALL_COMPACT},
}

REALESRGAN_PAPER: dict[str, Any] = {  # Real-ESRNet's training is the first stage
    "data": REAL_DATA,
    "train": REALESRNET_PAPER["train"]
    | {
        "steps": 1_400_000,
        "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.9, 0.99]},
        "schedule": {"name": "multi-step", "milestones": [1_400_000], "gamma": 0.5},
    },
    "realesrgan": {
        "generator": {"name": "rrdb", **UNIT},
        "discriminator": {"name": "unet-sn", **UNIT},
        "adversary": {"loss": "vanilla", "weight": 0.1},
        "pretrain": 0.7143,
        "pretrain_lr": 2e-4,
        "distance": "l1",
        "pixel": 0.5,  # 1 in the code, whose images are in [0, 1]
        "features": {
            "name": "vgg19",
            "layers": ["conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4"],
            "rescale": 1.0,
        },
        "perceptual_weights": [0.1, 0.1, 1.0, 1.0, 1.0],
        "perceptual_distance": "l1",
        "sharpen": ["pixel", "perceptual"],
    },
}
REALESRGAN_X2: dict[str, Any] = {"data": {"scale": 2}, "realesrgan": {"generator": RRDB_X2}}
REALESRGAN_COMPACT: dict[str, Any] = {"realesrgan": {"generator": COMPACT}}
REALESRGAN_SAMPLES: dict[str, Any] = {
    "data": REAL_SAMPLE_DATA,
    "train": {"batch_size": 8, "steps": 800, "ema": 0.99, **OFTEN},
    "realesrgan": {
        "generator": SMALL_COMPACT,
        "discriminator": {"name": "unet-sn", "filters": 8},
        "features": None,
        "perceptual_weights": None,
        "pretrain": 0.5,
        "pretrain_lr": 1e-3,
        "pixel": 1.0,
    },
}
