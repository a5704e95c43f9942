"""Several images for one: BicycleGAN on pairs (`bicyclegan`), StarGAN v2 between domains (`starganv2`)."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The generators of BicycleGAN and StarGAN v2."""
    from i2i_multimodal import options as o

    bicycle, stargan = "i2i_multimodal.bicycle_networks:build_generator", "i2i_multimodal.starganv2_networks"
    return [
        i2i.Component("unet-code", bicycle, o.CodedUNetConfig, "U-Net whose encoder sees a code (BicycleGAN)"),
        i2i.Component(
            "adain", f"{stargan}:build_generator", o.AdaINGeneratorConfig, "Residual blocks with a style (StarGAN v2)"
        ),
    ]


@i2i.hookimpl
def i2i_discriminators() -> list[i2i.Component]:
    """The discriminator of StarGAN v2."""
    from i2i_multimodal.options import DomainDiscriminatorConfig

    build = "i2i_multimodal.starganv2_networks:build_discriminator"
    return [i2i.Component("domains", build, DomainDiscriminatorConfig, "One logit for each domain (StarGAN v2)")]


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipes `bicyclegan` and `starganv2`."""
    from i2i_multimodal import bicyclegan, starganv2

    return [
        i2i.Component(
            "bicyclegan",
            bicyclegan.BicycleGAN,
            bicyclegan.BicycleGANConfig,
            "Paired translation with several outputs: a code says which",
            bicyclegan.PRESETS,
        ),
        i2i.Component(
            "starganv2",
            starganv2.StarGANv2,
            starganv2.StarGANv2Config,
            "Image to any domain in any style, drawn or taken from a reference",
            starganv2.PRESETS,
        ),
    ]
