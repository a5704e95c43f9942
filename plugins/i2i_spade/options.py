"""Options of SPADE. They need no torch, so that tables of components are had at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

import i2i

Weight = Annotated[float, Field(ge=0)]
MAX_CLASSES = 256


@dataclass(frozen=True)
class LabelTable:
    """The numbers in the label maps of a data set.

    Attributes:
        count: classes, with the numbers from 0.
        ignore: the number of pixels whose class is not known; None: there is none beyond the classes.
    """

    count: int
    ignore: int | None = None


LABEL_TABLES = {
    "cityscapes": LabelTable(
        35
    ),  # *_labelIds.png: ids 0 to 33, 0 to 3 unlabelled and the like; 35 in the authors' code
    "ade20k": LabelTable(151),  # annotations of the scene parsing challenge: 150 classes from 1, and 0 is "other"
    "coco-stuff": LabelTable(182, 255),  # stuffthingmaps: 182 classes from 0, and 255 is "unlabelled"
}
"""Label maps of the paper's data sets. A network needs the numbers alone, so the classes' names are not here."""


class SpadeGeneratorConfig(i2i.Config):
    """Options of the generator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the last block; the first ones have up to 16 times that."""
    hidden: Annotated[int, Field(ge=1)] = 128
    """Channels between the label map and the scales and shifts that are made of it."""
    depth: Annotated[int, Field(ge=2, le=7)] = 5
    """Doublings of the size: 5 in the paper, where 256 pixels begin at 8; 6 and 7 are "more" and "most" in its code."""
    norm: Literal["batch", "instance"] = "batch"
    """Normalisation without parameters: batch, whose statistics are those of all processes, or instance."""
    spectral_norm: bool = True
    """Divides the weights of the blocks' convolutions by their largest singular value (Miyato et al. 2018)."""
    noise: Annotated[int, Field(ge=0)] = 0
    """Length of the noise that the first layer is made of, for one size of image; 0: it is made of the shrunk label
    map. The recipe sets it."""


class SpadeConfig(i2i.Config):
    """SPADE: label maps, networks and the weights of their losses."""

    classes: Literal["cityscapes", "ade20k", "coco-stuff"] | Annotated[int, Field(ge=1, le=MAX_CLASSES)] = "cityscapes"
    """Classes of the label maps: their number, or cityscapes (35, labelIds), ade20k (151, of which 0 is unknown) or
    coco-stuff (182, and 255 is unknown)."""
    ignore: Annotated[int, Field(ge=0, lt=MAX_CLASSES)] | None = None
    """Number of pixels whose class is not known, beyond the classes; it has a channel of its own. null: that of the
    data set, else none."""
    edges: bool = False
    """Show the borders between instances, too: each sample needs a map of them under the key `instance`."""
    generator: i2i.GeneratorChoice = i2i.GeneratorChoice("spade")
    """Network that makes images of label maps, one channel for each class: spade, or any other generator."""
    discriminator: i2i.DiscriminatorChoice = i2i.DiscriminatorChoice("multiscale", {"init": "xavier"})
    """Network that judges label map and image together: multiscale, patch, or any other discriminator."""
    discriminator_lr: Annotated[float, Field(gt=0)] | None = 4e-4
    """Learning rate of the discriminator, four times that of the generator in the paper (two time scales: Heusel et al.
    2017, arXiv:1706.08500); null: that of `train.optimizer`."""
    adversary: i2i.AdversaryConfig = i2i.AdversaryConfig(
        loss=i2i.LossChoice("hinge"), spectral_norm=True, feature_matching=40.0
    )
    """The adversarial game. Feature matching is the mean over layers: 40 is 10 for each of four layers."""
    features: i2i.FeaturesChoice | None = i2i.FeaturesChoice(
        "vgg19", {"layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]}
    )
    """Feature network of the perceptual loss; null: none."""
    perceptual: Weight = 10.0
    """Weight of the perceptual loss, mean absolute differences of features."""
    layer_weights: tuple[Weight, ...] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
    """Weights of the feature network's layers in it, one for each."""
    style: bool = False
    """Encode each image to a style by a variational autoencoder, so that one label map has many images: the exported
    models take noise, or an image whose style is taken. They are for images of the training size."""
    style_size: Annotated[int, Field(ge=1)] = 256
    """Length of a style."""
    encoder_filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the encoder's first layer; they double up to eight times that."""
    kl: Weight = 0.05
    """Weight of the Kullback-Leibler divergence of styles from N(0, 1), a sum over a style and the mean over images."""

    @property
    def labels(self) -> LabelTable:
        """The numbers in the label maps."""
        table = LABEL_TABLES.get(str(self.classes)) or LabelTable(int(self.classes))
        return table if self.ignore is None else LabelTable(table.count, self.ignore)

    @property
    def channels(self) -> int:
        """Channels that label maps become: one for each class, for unknown ones and for borders."""
        return self.labels.count + (self.labels.ignore is not None) + self.edges

    @property
    def compares_features(self) -> bool:
        """Whether there is a perceptual loss."""
        return self.features is not None and self.perceptual > 0

    @model_validator(mode="after")
    def _unknown_is_no_class(self) -> Self:
        if self.labels.ignore is not None and self.labels.ignore < self.labels.count:
            raise ValueError(f"ignore must not be one of the {self.labels.count} classes, not {self.labels.ignore}")
        return self
