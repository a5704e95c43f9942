"""Conditional GANs: noise and a class to an image (`cgan`), an image to any of several domains (`stargan`)."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The generators of DCGAN and StarGAN."""
    from i2i_conditional import options as o

    dcgan, stargan = "i2i_conditional.dcgan:build_generator", "i2i_conditional.stargan_networks:build_generator"
    padded = "Residual blocks at a quarter of the size, padded with zeros (StarGAN)"
    return [
        i2i.Component("dcgan", dcgan, o.DCGANGeneratorConfig, "Noise and label to image (DCGAN)"),
        i2i.Component("stargan", stargan, o.StarGANGeneratorConfig, padded),
    ]


@i2i.hookimpl
def i2i_discriminators() -> list[i2i.Component]:
    """The discriminators of DCGAN and StarGAN."""
    from i2i_conditional import options as o

    dcgan, stargan = "i2i_conditional.dcgan:build_discriminator", "i2i_conditional.stargan_networks:build_discriminator"
    patches = "Logits of patches, and of the image's class (StarGAN)"
    projection = "One logit an image, given its label (DCGAN, projection discriminator)"
    return [
        i2i.Component("dcgan", dcgan, o.DCGANDiscriminatorConfig, projection),
        i2i.Component("stargan", stargan, o.StarGANDiscriminatorConfig, patches),
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
