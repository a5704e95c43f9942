"""Networks, losses, optimisers and schedules that methods share, offered through the same hooks as any plugin's."""

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
    """PatchGAN, several of them at different scales, and its 1x1 variant."""
    from i2i.components import options as o

    patch, pixel = "i2i.components.patchgan:build_patch", "i2i.components.patchgan:build_pixel"
    multiscale = "i2i.components.multiscale:build"
    return [
        Component("patch", patch, o.PatchConfig, "PatchGAN: one logit for each overlapping patch"),
        Component("multiscale", multiscale, o.MultiscaleConfig, "PatchGANs at several scales (pix2pixHD, SPADE)"),
        Component("pixel", pixel, o.PixelConfig, "PixelGAN: one logit for each pixel"),
    ]


@hookimpl
def i2i_losses() -> list[Component]:
    """Adversarial objectives, and penalties on the discriminator's gradient."""
    from i2i.components import options as o

    a, p = "i2i.components.adversarial.losses", "i2i.components.adversarial.penalties"
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


@hookimpl
def i2i_optimizers() -> list[Component]:
    """Optimisers of torch."""
    from i2i.components import options as o

    t = "i2i.components.optimizers"
    return [
        Component("adam", f"{t}:adam", o.OptimizerConfig, "Adam"),
        Component("adamw", f"{t}:adamw", o.OptimizerConfig, "Adam with decoupled weight decay"),
        Component("rmsprop", f"{t}:rmsprop", o.OptimizerConfig, "Steps divided by the gradient's root mean square"),
        Component("sgd", f"{t}:sgd", o.OptimizerConfig, "Gradient descent, with momentum if asked for"),
    ]


@hookimpl
def i2i_schedules() -> list[Component]:
    """Schedules of the learning rate, each with a warm-up if asked for."""
    from i2i.components import options as o

    s = "i2i.components.schedules"
    return [
        Component("constant", f"{s}:constant", o.ScheduleConfig, "The full rate"),
        Component("linear", f"{s}:linear", o.ScheduleConfig, "Falls from 1 towards 0 at each step"),
        Component("linear-epochs", f"{s}:linear_epochs", o.ScheduleConfig, "Falls at each epoch, to 0 in the last one"),
        Component("cosine", f"{s}:cosine", o.ScheduleConfig, "Falls from 1 towards 0 along half a cosine"),
        Component("step", f"{s}:step", o.ScheduleConfig, "Multiplied by gamma every few steps"),
        Component("multi-step", f"{s}:multi_step", o.MultiStepConfig, "Multiplied by gamma at each of given steps"),
    ]
