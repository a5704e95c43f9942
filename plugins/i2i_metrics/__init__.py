"""Figures of merit for images: of pairs, of two sets and of one set, and the feature networks that they look through.

The page docs/metrics.md says of each how it is computed. torch is imported when a component is built.
"""

from __future__ import annotations

import i2i


@i2i.hookimpl
def i2i_metrics() -> list[i2i.Component]:
    """Metrics of pairs, of two sets of images, and of one set."""
    from i2i_metrics import options as o

    pixels, pairs, sets, given = (f"i2i_metrics.{name}" for name in ("pixels", "similarity", "sets.metrics", "given"))
    return [
        i2i.Component("l1", f"{pixels}:l1", o.PixelsConfig, "Mean absolute error, images in [-1, 1]"),
        i2i.Component("psnr", f"{pixels}:psnr", o.PixelsConfig, "Peak signal-to-noise ratio in dB, over all pixels"),
        i2i.Component("ssim", f"{pairs}:ssim", o.SSIMConfig, "Structural similarity (Wang et al. 2004)"),
        i2i.Component("ms-ssim", f"{pairs}:ms_ssim", o.PixelsConfig, "SSIM at five scales (Wang et al. 2003)"),
        i2i.Component("l1-y", f"{pairs}:l1_y", o.LumaConfig, "Mean absolute error of the luma, 0 to 255"),
        i2i.Component("psnr-y", f"{pairs}:psnr_y", o.LumaConfig, "PSNR of each image's luma without the border"),
        i2i.Component("ssim-y", f"{pairs}:ssim_y", o.LumaConfig, "SSIM of the luma without the border"),
        i2i.Component("ms-ssim-y", f"{pairs}:ms_ssim_y", o.LumaConfig, "MS-SSIM of the luma without the border"),
        i2i.Component("lpips", "i2i_metrics.lpips:LPIPS", o.LPIPSConfig, "Perceptual distance (Zhang et al. 2018)"),
        i2i.Component("fid", f"{sets}:fid", o.SetsConfig, "Fréchet distance of features (Heusel et al. 2017)"),
        i2i.Component(
            "kid", f"{sets}:kid", o.KIDConfig, "Kernel distance of features, unbiased (Binkowski et al. 2018)"
        ),
        i2i.Component(
            "inception-score", f"{sets}:inception_score", o.ISConfig, "Classes of one set (Salimans et al. 2016)"
        ),
        i2i.Component("precision", f"{sets}:precision", o.PrecisionConfig, "Share of outputs among the real images"),
        i2i.Component("recall", f"{sets}:recall", o.PrecisionConfig, "Share of real images among the outputs"),
        i2i.Component("density", f"{sets}:density", o.DensityConfig, "Real neighbourhoods around an output"),
        i2i.Component("coverage", f"{sets}:coverage", o.DensityConfig, "Real images that have an output near them"),
        i2i.Component("miou", f"{given}:mean_iou", o.SegmenterConfig, "Mean intersection over union, by a segmenter"),
        i2i.Component("pixel-accuracy", f"{given}:pixel_accuracy", o.SegmenterConfig, "Pixels of the right class"),
        i2i.Component("class-accuracy", f"{given}:ClassAccuracy", o.ClassifierConfig, "Outputs of the right class"),
    ]


@i2i.hookimpl
def i2i_features() -> list[i2i.Component]:
    """Feature networks for metrics; perceptual losses can use all but `onnx`."""
    from i2i_metrics import options as o

    here = "i2i_metrics.networks"
    lite = f"{here}.efficientnet:build"
    return [
        i2i.Component(
            "inception-v3", f"{here}.inception:build", o.InceptionConfig, "Inception-v3 that FID is defined on"
        ),
        i2i.Component("vgg16", f"{here}.backbones:vgg16", o.WeightsConfig, "VGG16 trained on ImageNet, five ReLUs"),
        i2i.Component(
            "alexnet", f"{here}.backbones:alexnet", o.WeightsConfig, "AlexNet trained on ImageNet, five ReLUs"
        ),
        i2i.Component("efficientnet-lite0", lite, o.LiteConfig, "EfficientNet-Lite0 trained on ImageNet"),
        i2i.Component("onnx", f"{here}.onnx_file:OnnxFeatures", o.OnnxConfig, "Any network in an ONNX file"),
        i2i.Component("random", f"{here}.untrained:RandomFeatures", summary="Fixed random weights, without a download"),
        i2i.Component(
            "available",
            f"{here}.available:build",
            summary="inception-v3, efficientnet-lite0 or random: what is there without a download",
        ),
    ]
