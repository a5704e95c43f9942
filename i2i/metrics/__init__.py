"""Image metrics, from torchmetrics, for validation and evaluation."""

from i2i.api import Component, hookimpl


@hookimpl
def i2i_metrics() -> list[Component]:
    """Mean absolute error, PSNR and SSIM, the last two also on luma."""
    pixels, luma = "i2i.metrics.pixels", "i2i.metrics.luma"
    return [
        Component("l1", f"{pixels}:l1", summary="Mean absolute error, images in [-1, 1]"),
        Component("psnr", f"{pixels}:psnr", summary="Peak signal-to-noise ratio in dB, over all pixels together"),
        Component("ssim", f"{pixels}:ssim", summary="Structural similarity (Wang et al. 2004)"),
        Component(
            "psnr-y", f"{luma}:psnr_y", summary="PSNR of each image's luma without the border, for super-resolution"
        ),
        Component("ssim-y", f"{luma}:ssim_y", summary="SSIM of the luma without the border, for super-resolution"),
    ]
