"""Networks and losses that several families share, offered through the same hooks as any plugin's."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_generators() -> list[Component]:
    """U-Net and ResNet."""
    from i2i.components import options as o

    unet, resnet = "i2i.components.unet:build", "i2i.components.resnet:build"
    return [
        Component("unet", unet, o.UNetConfig, "Encoder and decoder with skip connections (pix2pix)"),
        Component("resnet", resnet, o.ResNetConfig, "Residual blocks at a quarter of the size (CycleGAN)"),
    ]


@hookimpl
def i2i_discriminators() -> list[Component]:
    """PatchGAN and its 1x1 variant."""
    from i2i.components import options as o

    patch, pixel = "i2i.components.patchgan:build_patch", "i2i.components.patchgan:build_pixel"
    return [
        Component("patch", patch, o.PatchConfig, "PatchGAN: one logit for each overlapping patch"),
        Component("pixel", pixel, o.PixelConfig, "PixelGAN: one logit for each pixel"),
    ]


@hookimpl
def i2i_losses() -> list[Component]:
    """Adversarial objectives, and penalties on the discriminator's gradient."""
    from i2i.components import options as o

    a, p = "i2i.components.adversarial", "i2i.components.penalties"
    return [
        Component("vanilla", f"{a}:NonSaturating", o.SmoothingConfig, "Non-saturating GAN loss"),
        Component("minimax", f"{a}:Minimax", o.SmoothingConfig, "GAN loss with the saturating generator"),
        Component("lsgan", f"{a}:LeastSquares", o.SmoothingConfig, "Least-squares GAN loss"),
        Component("hinge", f"{a}:Hinge", summary="Hinge GAN loss"),
        Component("wasserstein", f"{a}:Wasserstein", summary="Wasserstein distance by a critic"),
        Component("relativistic", f"{a}:Relativistic", o.RelativisticConfig, "Relativistic average GAN loss"),
        Component("gradient-penalty", f"{p}:GradientPenalty", o.GradientPenaltyConfig, "Penalty of WGAN-GP"),
        Component("r1", f"{p}:R1", o.R1Config, "Penalty on the gradient at real images, lazy"),
    ]
