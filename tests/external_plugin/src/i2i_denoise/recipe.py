"""DnCNN's training (Zhang et al. 2017, arXiv:1608.03981): clean images, noise added on the way, mean squared error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

import i2i

Batch = dict[str, Tensor]


class DenoiseConfig(i2i.Config):
    """Options of the training."""

    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("dncnn")
    """Network that denoises: dncnn, or any other generator."""


class Denoise(i2i.Recipe):
    """One network, one loss."""

    paired = True

    def networks(self, build: i2i.Build, sample: Batch) -> dict[str, nn.Module]:
        """The generator."""
        a, b = sample["source"].shape[1], sample["target"].shape[1]
        return {"generator": build.generator(self.config.generator, in_channels=a, out_channels=b, inputs=("image",))}

    def phases(self) -> Sequence[i2i.Phase]:
        """One phase."""
        return [i2i.Phase("generator", trains=("generator",))]

    def losses(self, phase: str, nets: Mapping[str, Any], batch: Batch, ctx: i2i.Context) -> Batch:
        """Equation 1 of the paper, as a mean over pixels: `squared_error`, half the squared error of the noise.

        The noise found is source minus output and the true one source minus target: their difference is that of output
        and target.
        """
        output = nets["generator"](batch["source"])
        return {"squared_error": 0.5 * (output - batch["target"]).square().mean()}

    def translators(self, nets: Mapping[str, Any], sample: Batch) -> dict[str, i2i.Translator]:
        """The generator."""
        return {"default": i2i.Translator(module=nets["generator"], example={"image": sample["source"][:1]})}


DATA: dict[str, Any] = {
    "size": 40,
    "resize": "none",
    "val_whole": True,
    "degrade": {"name": "gaussian-noise", "sigma": 25.0},
    "transform": {"name": "augment", "flip": 0.5, "rotate90": 0.5},
}
TRAIN: dict[str, Any] = {
    "batch_size": 128,
    "steps": 80_000,  # the paper's 50 epochs of 204,800 patches
    "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.9, 0.999]},  # SGD in the paper
    "schedule": {"name": "step", "gamma": 0.1, "every": 48_000},
    "metrics": ["psnr-mean", "ssim"],
}
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"data": DATA, "train": TRAIN},
    "blind": {
        "data": {"size": 50, "degrade": {"name": "gaussian-noise", "sigma": 0.0, "sigma_max": 55.0}},
        "dncnn": {"generator": {"name": "dncnn", "blocks": 18}},
    },
    "samples": {
        "data": {"layout": "pictures", "size": 48},
        "train": {
            "batch_size": 8,
            "steps": 200,
            "schedule": {"name": "constant"},
            "sample_every": 100,
            "checkpoint_every": 100,
            "val_images": 8,
        },
        "dncnn": {"generator": {"name": "dncnn", "filters": 24, "blocks": 4}},
    },
}
