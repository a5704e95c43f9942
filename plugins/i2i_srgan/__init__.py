"""Super-resolution: SRResNet, SRGAN and ESRGAN, with their networks, degradations and perceptual features."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The generators of SRGAN and ESRGAN."""
    from i2i_srgan import options as o

    srresnet, rrdb = "i2i_srgan.srresnet:build", "i2i_srgan.rrdb:build"
    return [
        i2i.Component("srresnet", srresnet, o.SRResNetConfig, "Residual blocks, then enlarging (SRGAN)"),
        i2i.Component("rrdb", rrdb, o.RRDBConfig, "Residual in residual dense blocks (ESRGAN)"),
    ]


@i2i.hookimpl
def i2i_discriminators() -> list[i2i.Component]:
    """The discriminator of SRGAN."""
    from i2i_srgan import options as o

    vgg = "i2i_srgan.discriminator:build"
    return [i2i.Component("vgg", vgg, o.VGGDiscriminatorConfig, "One logit an image, VGG-style (SRGAN)")]


@i2i.hookimpl
def i2i_features() -> list[i2i.Component]:
    """VGG19."""
    from i2i_srgan import options as o

    return [i2i.Component("vgg19", "i2i_srgan.features:build", o.VGG19Config, "VGG19 trained on ImageNet")]


@i2i.hookimpl
def i2i_transforms() -> list[i2i.Component]:
    """Degradations for ``data.degrade``."""
    from i2i_srgan import degradation_options as o

    bicubic, real = "i2i_srgan.degradation:Bicubic", "i2i_srgan.degradation:Real"
    return [
        i2i.Component("bicubic", bicubic, o.BicubicConfig, "Antialiased bicubic shrinking"),
        i2i.Component("real", real, o.RealConfig, "Blur, noise and JPEG, twice (Real-ESRGAN)"),
    ]


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipes `srresnet`, `srgan` and `esrgan`."""
    from i2i_srgan import presets as p
    from i2i_srgan import recipes as r

    srresnet = {"paper": p.SRRESNET_PAPER, "small": p.SRRESNET_SMALL, "samples": p.SRRESNET_SAMPLES}
    srgan = {"paper": p.SRGAN_PAPER, "samples": p.SRGAN_SAMPLES}
    esrgan = {"paper": p.ESRGAN_PAPER, "samples": p.ESRGAN_SAMPLES}
    return [
        i2i.Component("srresnet", r.SRResNet, r.SRResNetConfig, "Super-resolution: pixel loss", srresnet),
        i2i.Component("srgan", r.SRGAN, r.SRGANConfig, "Super-resolution: pixel loss, then a GAN", srgan),
        i2i.Component("esrgan", r.SRGAN, r.SRGANConfig, "Super-resolution: RRDB, relativistic GAN", esrgan),
    ]
