"""Restoration: inpainting and colourisation, and the degradations behind denoising and deblurring."""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_generators() -> list[i2i.Component]:
    """The generators of inpainting, which take an image and a mask."""
    from i2i_restoration import options as o

    gated, partial = "i2i_restoration.gated:build", "i2i_restoration.partial:build"
    return [
        i2i.Component("gated", gated, o.GatedConfig, "Two stages of gated convolutions, for images with holes"),
        i2i.Component("partial", partial, o.PartialConfig, "U-Net of partial convolutions, for images with holes"),
    ]


@i2i.hookimpl
def i2i_discriminators() -> list[i2i.Component]:
    """The discriminator of inpainting."""
    from i2i_restoration import options as o

    build = "i2i_restoration.sn_patch:build"
    return [i2i.Component("sn-patch", build, o.SNPatchConfig, "Logits for every feature of every patch (SN-PatchGAN)")]


@i2i.hookimpl
def i2i_transforms() -> list[i2i.Component]:
    """Degradations for ``data.degrade``."""
    from i2i_restoration import degradation_options as o

    holes, noise, blur = (
        f"i2i_restoration.{name}" for name in ("holes:Holes", "degradation:Noise", "degradation:Blur")
    )
    return [
        i2i.Component("holes", holes, o.HolesConfig, "A mask of boxes, strokes or given shapes, and what it leaves"),
        i2i.Component("noise", noise, o.NoiseConfig, "Gaussian noise"),
        i2i.Component("blur", blur, o.BlurConfig, "Motion or Gaussian blur"),
    ]


@i2i.hookimpl
def i2i_recipes() -> list[i2i.Component]:
    """The recipes `inpaint` and `colorize`."""
    from i2i_restoration import options as o
    from i2i_restoration import presets as p

    inpaint, colorize = "i2i_restoration.inpaint:Inpaint", "i2i_restoration.colorize:Colorize"
    return [
        i2i.Component("inpaint", inpaint, o.InpaintConfig, "Fills what a mask covers, and nothing else", p.INPAINT),
        i2i.Component("colorize", colorize, o.ColorizeConfig, "Colours for grey images, lightness kept", p.COLORIZE),
    ]
