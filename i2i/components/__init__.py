"""Networks and losses that several families share, offered through the same hooks as any plugin's."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_generators() -> list[Component]:
    """U-Net and ResNet."""
    from i2i.components import resnet, unet

    return [
        Component("unet", unet.build, unet.UNetConfig, "Encoder and decoder with skip connections (pix2pix)"),
        Component("resnet", resnet.build, resnet.ResNetConfig, "Residual blocks at a quarter of the size (CycleGAN)"),
    ]


@hookimpl
def i2i_discriminators() -> list[Component]:
    """PatchGAN and its 1x1 variant."""
    from i2i.components import patchgan

    return [
        Component(
            "patch", patchgan.build_patch, patchgan.PatchConfig, "PatchGAN: one logit for each overlapping patch"
        ),
        Component("pixel", patchgan.build_pixel, patchgan.PixelConfig, "PixelGAN: one logit for each pixel"),
    ]


@hookimpl
def i2i_losses() -> list[Component]:
    """Adversarial objectives, and penalties on the discriminator's gradient."""
    from i2i.components import adversarial as a
    from i2i.components import penalties as p

    return [
        Component("vanilla", a.NonSaturating, a.SmoothingConfig, "Non-saturating GAN loss"),
        Component("minimax", a.Minimax, a.SmoothingConfig, "GAN loss with the saturating generator"),
        Component("lsgan", a.LeastSquares, a.SmoothingConfig, "Least-squares GAN loss"),
        Component("hinge", a.Hinge, summary="Hinge GAN loss"),
        Component("wasserstein", a.Wasserstein, summary="Wasserstein distance by a critic"),
        Component("relativistic", a.Relativistic, a.RelativisticConfig, "Relativistic average GAN loss"),
        Component("gradient-penalty", p.GradientPenalty, p.GradientPenaltyConfig, "Penalty of WGAN-GP"),
        Component("r1", p.R1, p.R1Config, "Penalty on the gradient at real images, lazy"),
    ]
