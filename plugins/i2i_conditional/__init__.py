"""Conditional GANs: noise and a class to an image (`cgan`), an image to any of several domains (`stargan`)."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The generators of DCGAN and StarGAN."""
    from i2i_conditional import dcgan, stargan_networks

    return [
        i2i.Component("dcgan", dcgan.build_generator, dcgan.GeneratorConfig, "Noise and label to image (DCGAN)"),
        i2i.Component(
            "stargan",
            stargan_networks.build_generator,
            stargan_networks.GeneratorConfig,
            "Residual blocks at a quarter of the size, padded with zeros (StarGAN)",
        ),
    ]


@i2i.hookimpl
def i2i_discriminators() -> list[i2i.Component]:
    """The discriminators of DCGAN and StarGAN."""
    from i2i_conditional import dcgan, stargan_networks

    return [
        i2i.Component(
            "dcgan",
            dcgan.build_discriminator,
            dcgan.DiscriminatorConfig,
            "One logit an image, given its label (DCGAN, projection discriminator)",
        ),
        i2i.Component(
            "stargan",
            stargan_networks.build_discriminator,
            stargan_networks.DiscriminatorConfig,
            "Logits of patches, and of the image's class (StarGAN)",
        ),
    ]


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipes `cgan` and `stargan`."""
    from i2i_conditional import cgan, stargan

    return [
        i2i.Component(
            "cgan", cgan.ConditionalGAN, cgan.ConditionalGANConfig, "Noise and a class label to an image", cgan.PRESETS
        ),
        i2i.Component(
            "stargan",
            stargan.StarGAN,
            stargan.StarGANConfig,
            "Image and wanted domain to image: one generator for many domains",
            stargan.PRESETS,
        ),
    ]
