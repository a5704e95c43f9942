"""Denoising: the recipe and generator `dncnn`, the transform `gaussian-noise`, the metric `psnr-mean`."""

from __future__ import annotations

import i2i

PLUGIN_API = 1


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The network that predicts the noise."""
    from i2i_denoise import network

    return [i2i.Component("dncnn", network.DnCNN, network.DnCNNConfig, "Predicts the noise and subtracts it (DnCNN)")]


@i2i.hookimpl
def i2i_transforms() -> list[i2i.Component]:
    """Noise for ``data.degrade``."""
    from i2i_denoise import noise

    return [i2i.Component("gaussian-noise", noise.GaussianNoise, noise.NoiseConfig, "White Gaussian noise")]


@i2i.hookimpl
def i2i_metrics() -> list[i2i.Component]:
    """PSNR as papers on denoising give it."""
    from i2i_denoise import metric

    return [i2i.Component("psnr-mean", metric.MeanPSNR, summary="PSNR of each image in dB, the mean over the images")]


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipe `dncnn`."""
    from i2i_denoise import recipe

    return [i2i.Component("dncnn", recipe.Denoise, recipe.DenoiseConfig, "Denoising: pixel loss", recipe.PRESETS)]
