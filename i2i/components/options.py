"""Options of networks, losses, optimisers and schedules. They need no torch: tables of components are had at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from i2i.api import Config

NormName = Literal["batch", "instance", "none"]
UpsampleName = Literal["deconv", "resize", "bilinear"]
MinibatchName = Literal["none", "std", "discrimination"]
InitName = Literal["normal", "xavier"]


class UNetConfig(Config):
    """Options of the U-Net."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double up to eight times that."""
    depth: Annotated[int, Field(ge=2, le=12)] | None = None
    """Number of halvings; null: down to 1x1 for the training size, at most 8."""
    norm: NormName = "batch"
    """Normalisation of the inner layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Chance that dropout zeroes a value during training."""
    dropout_layers: tuple[int, ...] = (2, 3, 4)
    """Decoder layers with dropout, counted from the bottleneck; the four outermost layers never have it."""
    bottleneck_norm: bool = False
    """Normalise the bottleneck too, as before the paper's erratum; batch norm then needs batches of 2 or more."""
    upsample: UpsampleName = "deconv"
    """deconv as in the paper; resize (nearest neighbour) or bilinear, which leave no checkerboard."""
    init_std: float | None = 0.02
    """Standard deviation of the initial weights; null: torch's own initialisation."""


class ResNetConfig(Config):
    """Options of the ResNet generator."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer."""
    blocks: Annotated[int, Field(ge=0)] | None = None
    """Residual blocks; null: 9 from 256 pixels on, else 6."""
    norm: NormName = "instance"
    """Normalisation of all layers but the last."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance that dropout inside the blocks zeroes a value during training."""
    upsample: UpsampleName = "deconv"
    """deconv as in the paper; resize (nearest neighbour) or bilinear, which leave no checkerboard."""
    antialias: bool = False
    """Halve by a convolution at the full size and a fixed blur (Zhang 2019), not by a convolution of stride 2."""
    init: InitName = "normal"
    """How weights are drawn: normal, or xavier: by a deviation that follows from the channels, times init_std."""
    init_std: float | None = 0.02
    """Standard deviation of the initial weights; null: torch's own initialisation."""


class PatchConfig(Config):
    """Options of the PatchGAN."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer; they double up to eight times that."""
    layers: Annotated[int, Field(ge=1, le=8)] = 3
    """Stride-2 layers; receptive fields of 16, 34, 70 and 142 pixels for 1 to 4."""
    norm: NormName = "batch"
    """Normalisation of all layers but the first and the last."""
    minibatch: MinibatchName = "none"
    """Statistics over the batch before the last layer, against mode collapse: none, std or discrimination."""
    features: bool = False
    """Return the activations beside the logits, for feature matching."""
    antialias: bool = False
    """Halve by a convolution at the full size and a fixed blur (Zhang 2019), not by a convolution of stride 2."""
    init: InitName = "normal"
    """How weights are drawn: normal, or xavier: by a deviation that follows from the channels, times init_std."""
    init_std: float | None = 0.02
    """Standard deviation of the initial weights; null: torch's own initialisation."""


class MultiscaleConfig(Config):
    """Options of the PatchGANs at several scales."""

    scales: Annotated[int, Field(ge=1, le=4)] = 2
    """PatchGANs; each sees the images at half the size of the one before."""
    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer of each; they double up to eight times that."""
    layers: Annotated[int, Field(ge=1, le=8)] = 3
    """Stride-2 layers of each; three give the four layers with features of the authors' code."""
    norm: NormName = "instance"
    """Normalisation of all layers but the first and the last."""
    spectral_norm: bool = False
    """Spectral norm of all layers but the first and the last, as in SPADE's code; adversary.spectral_norm: of all."""
    features: bool = False
    """Return the activations beside the logits, for feature matching."""
    init: InitName = "normal"
    """Initial weights: normal, from N(0, 0.02), as pix2pixHD draws them; xavier, times 0.02, as SPADE does."""


class PixelConfig(Config):
    """Options of the PixelGAN."""

    filters: Annotated[int, Field(ge=1)] = 64
    """Channels of the first layer."""
    norm: NormName = "batch"
    """Normalisation of the second layer."""
    features: bool = False
    """Return the activations beside the logits, for feature matching."""
    init_std: float | None = 0.02
    """Standard deviation of the initial weights; null: torch's own initialisation."""


class SmoothingConfig(Config):
    """Options of the losses that have a target for real images."""

    smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """One-sided label smoothing: real images get the target 1 - smoothing (Salimans et al. 2016, section 3.4)."""


class RelativisticConfig(Config):
    """Options of the relativistic average loss."""

    base: Literal["vanilla", "lsgan", "hinge"] = "vanilla"
    """The loss that is made relativistic: vanilla gives RaSGAN, lsgan RaLSGAN, hinge RaHingeGAN."""


class GradientPenaltyConfig(Config):
    """Options of the gradient penalty."""

    weight: Annotated[float, Field(gt=0)] = 10.0
    """Factor of the penalty (lambda in the paper)."""
    target: Annotated[float, Field(ge=0)] = 1.0
    """Gradient norm that costs nothing."""
    one_sided: bool = False
    """Let smaller norms cost nothing either."""
    every: Annotated[int, Field(ge=1)] = 1
    """Compute it in every n-th step only, n times as strong."""


class R1Config(Config):
    """Options of the R1 penalty."""

    weight: Annotated[float, Field(gt=0)] = 10.0
    """Factor of half the squared gradient norm (gamma in the paper)."""
    every: Annotated[int, Field(ge=1)] = 16
    """Compute it in every n-th step only, n times as strong: lazy regularisation (Karras et al. 2020, section 3.1)."""


class OptimizerConfig(Config):
    """Options of torch's own optimisers."""

    lr: Annotated[float, Field(gt=0)] = 2e-4
    """Learning rate at the start."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.5, 0.999)
    """Decay of the moment estimates of adam and adamw."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the denominator for stability."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Weight decay; decoupled for adamw."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum of rmsprop and sgd."""


class ScheduleConfig(Config):
    """Options of the schedules."""

    hold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the run at the full rate before linear, linear-epochs or cosine decay starts."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate first rises linearly from 0."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor of the step schedule."""
    every: Annotated[int, Field(ge=1)] = 50_000
    """Steps between two falls of the step schedule."""


class MultiStepConfig(Config):
    """Options of the schedule that falls at given steps."""

    milestones: tuple[Annotated[int, Field(ge=1)], ...] = (50_000, 100_000, 200_000, 300_000)
    """Steps from which on the rate is multiplied by gamma once more; the defaults are ESRGAN's."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Factor of the rate at each of them."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps over which the rate first rises linearly from 0."""
