"""Super-resolution: SRResNet, SRGAN, ESRGAN and Real-ESRGAN, with networks, degradations and perceptual features."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The generators of SRGAN, ESRGAN, Real-ESRGAN and BasicSR."""
    from i2i_srgan import options as o

    n = "i2i_srgan.networks"
    return [
        i2i.Component("srresnet", f"{n}.srresnet:build", o.SRResNetConfig, "Residual blocks, then enlarging (SRGAN)"),
        i2i.Component("msrresnet", f"{n}.msrresnet:build", o.MSRResNetConfig, "SRResNet without batch norm (BasicSR)"),
        i2i.Component("rrdb", f"{n}.rrdb:build", o.RRDBConfig, "Residual in residual dense blocks (ESRGAN)"),
        i2i.Component("srvgg", f"{n}.srvgg:build", o.SRVGGConfig, "Small chain of convolutions (Real-ESRGAN)"),
    ]


@i2i.hookimpl
def i2i_discriminators() -> list[i2i.Component]:
    """The discriminators of SRGAN and Real-ESRGAN."""
    from i2i_srgan import options as o

    n = "i2i_srgan.networks"
    return [
        i2i.Component("vgg", f"{n}.discriminator:build", o.VGGDiscriminatorConfig, "One logit an image (SRGAN)"),
        i2i.Component("unet-sn", f"{n}.unet_sn:build", o.UNetDiscriminatorConfig, "One logit a pixel (Real-ESRGAN)"),
    ]


@i2i.hookimpl
def i2i_features() -> list[i2i.Component]:
    """VGG19."""
    from i2i_srgan import options as o

    return [i2i.Component("vgg19", "i2i_srgan.features:build", o.VGG19Config, "VGG19 trained on ImageNet")]


@i2i.hookimpl
def i2i_transforms() -> list[i2i.Component]:
    """Degradations for ``data.degrade``."""
    from i2i_srgan.degradations import options as o

    bicubic, real = "i2i_srgan.degradations.transforms:Bicubic", "i2i_srgan.degradations.transforms:Real"
    return [
        i2i.Component("bicubic", bicubic, o.BicubicConfig, "Antialiased bicubic shrinking"),
        i2i.Component("real", real, o.RealConfig, "Blur, noise and JPEG, twice (Real-ESRGAN)"),
    ]


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipes `srresnet`, `srgan`, `esrgan`, `realesrnet` and `realesrgan`."""
    from i2i_srgan import presets as p
    from i2i_srgan import recipes as r

    srresnet = {"paper": p.SRRESNET_PAPER, "small": p.SRRESNET_SMALL, "samples": p.SRRESNET_SAMPLES}
    srgan = {"paper": p.SRGAN_PAPER, "samples": p.SRGAN_SAMPLES}
    esrgan = {"paper": p.ESRGAN_PAPER, "samples": p.ESRGAN_SAMPLES}
    realesrnet = {
        "paper": p.REALESRNET_PAPER,
        "x2": p.REALESRNET_X2,
        "compact": p.REALESRNET_COMPACT,
        "samples": p.REALESRNET_SAMPLES,
    }
    realesrgan = {
        "paper": p.REALESRGAN_PAPER,
        "x2": p.REALESRGAN_X2,
        "compact": p.REALESRGAN_COMPACT,
        "samples": p.REALESRGAN_SAMPLES,
    }
    return [
        i2i.Component("srresnet", r.SRResNet, r.SRResNetConfig, "Super-resolution: pixel loss", srresnet),
        i2i.Component("srgan", r.SRGAN, r.SRGANConfig, "Super-resolution: pixel loss, then a GAN", srgan),
        i2i.Component("esrgan", r.SRGAN, r.SRGANConfig, "Super-resolution: RRDB, relativistic GAN", esrgan),
        i2i.Component("realesrnet", r.SRResNet, r.SRResNetConfig, "Real photographs: pixel loss", realesrnet),
        i2i.Component("realesrgan", r.SRGAN, r.SRGANConfig, "Real photographs: pixel loss, then a GAN", realesrgan),
    ]
