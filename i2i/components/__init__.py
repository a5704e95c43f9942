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
    """Adversarial objectives."""
    from i2i.components import adversarial

    return [
        Component("vanilla", adversarial.NonSaturating, summary="Non-saturating GAN loss on logits"),
        Component("lsgan", adversarial.LeastSquares, summary="Least-squares GAN loss"),
    ]
