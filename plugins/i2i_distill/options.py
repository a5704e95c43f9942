"""Options and presets of the recipe `distill`."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

import i2i

Weight = Annotated[float, Field(ge=0)]


class DistillConfig(i2i.Config):
    """Distillation: teacher, student, discriminator and the weights of their losses."""

    teacher: Annotated[str, Field(min_length=1)] | None = None
    """Run folder, or .onnx file that i2i exported, of the model to learn from; a relative path begins at the working
    directory. null: the targets of paired data are what a slow model has made."""
    translator: str | None = None
    """Of a run with several: which of its translators, such as AtoB of cyclegan; null: default, or the only one."""
    checkpoint: str = "best"
    """Of a run: last, best, or a step."""
    student: i2i.GeneratorChoice = i2i.GeneratorChoice("resnet", filters=16, blocks=4)
    """Network that learns: resnet, unet or any other generator; one that enlarges if the teacher does."""
    discriminator: i2i.DiscriminatorChoice | None = i2i.DiscriminatorChoice("patch", norm="instance")
    """Network that tells the student's images from the teacher's, each together with its source; null: none."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(loss=i2i.LossChoice("lsgan"), discriminator_weight=0.5)
    """The adversarial game between student and discriminator."""
    l1: Weight = 100.0
    """Weight of the mean absolute distance from the teacher's image, images in [-1, 1]."""
    features: i2i.FeaturesChoice | None = None
    """Feature network of a perceptual loss; null: none."""
    perceptual: Weight = 1.0
    """Weight of the mean absolute distance between the features of both images, the mean over the layers."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.teacher is None and self.translator is not None:
            raise ValueError("translator is one of the teacher's: set teacher, too")
        if not self.l1 and not (self.features and self.perceptual):
            raise ValueError("nothing ties the student's image to the teacher's: set l1 above 0")
        return self


# Adam and the falling rate are those of pix2pix and CycleGAN, whose models are the usual teachers.
REALTIME: dict[str, Any] = {
    "train": {
        "metrics": [],  # the recipe's own figures compare with the teacher
        "epochs": 200,
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
        "schedule": {"name": "linear", "hold": 0.5},
    },
}
SAMPLES: dict[str, Any] = {
    "data": {"size": 64, "load_size": 64, "layout": "facades"},
    "train": {
        "batch_size": 4,
        "steps": 800,
        "optimizer": {"lr": 1e-3},
        "sample_every": 200,
        "checkpoint_every": 400,
    },
    "distill": {
        "student": {"name": "resnet", "filters": 8, "blocks": 2, "upsample": "resize"},
        "discriminator": {"name": "patch", "filters": 16, "layers": 2, "norm": "instance"},
    },
}
