"""Every component that the plugins give keeps its promises: a new one is tested without a new line here."""

import pytest

from helpers.metric_files import needed_options
from i2i.plugins import KINDS, Plugins
from i2i.testing import findings

PLUGINS = Plugins()
COMPONENTS = [(kind, name) for kind in KINDS for name in PLUGINS.table(kind)]
PAIR_METRICS = {"l1", "lpips", "miou", "ms-ssim", "pixel-accuracy", "psnr", "ssim"} | {
    f"{name}-y" for name in ("l1", "ms-ssim", "psnr", "ssim")
}
SKIPPED = {  # (kind, check) -> who may skip it
    ("generator", "value-range"): {"msrresnet", "rrdb", "srresnet", "srvgg"},  # they end in a convolution
    ("generator", "any-size"): {"dcgan"},  # from noise
    ("generator", "encoder-features"): {
        *("adain", "dcgan", "gated", "msrresnet", "partial", "rrdb"),
        *("srresnet", "spade", "srvgg", "stargan", "unet-code"),
    },  # optional
    ("features", "feature-maps"): {"vgg19"},  # its weights are not here; test_super_resolution has made ones
    ("features", "embedding"): {"alexnet", "onnx", "vgg16", "vgg19"},  # optional: their last feature maps are taken
    ("metric", "some-images"): {"coverage", "density", "fid", "inception-score", "kid", "precision", "recall"},
    ("metric", "embedding"): PAIR_METRICS | {"class-accuracy"},
    ("dataset", "detection"): {"day-night", "facades", "pictures", "styles", "tinted-styles", "tints"},
    ("transform", "together"): {"bicubic", "blur", "holes", "noise", "real"},
    ("backend", "fast"): {"onnxruntime", "torch"},  # onnxruntime: with TensorRT only
    ("tracker", "pictures"): {"csv", "jsonl"},  # optional
    ("tracker", "texts"): {"csv"},
    **{
        ("backend", check): {"torch"}  # it takes models in run folders only: test_backends has some
        for check in ("opening", "order", "exact", "arrays", "threads", "stop")
    },
}
SERVICES = {"mlflow", "trackio", "wandb"}
"""Trackers whose packages need not be installed; test_tracker_services tries those that are."""
EXPORTED_BY_RECIPES = {
    *("unet", "resnet", "dcgan", "gated", "partial", "stargan", "srresnet", "rrdb", "unet-code", "adain", "spade"),
}
"""Generators whose export is checked with the recipe that trains them: it compares with torch at two sizes, too."""


def may_skip(kind, check):
    """The components of a kind that may skip a check."""
    return SKIPPED.get((kind, check), set()) | (SERVICES if kind == "tracker" else set())


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=[f"{kind}-{name}" for kind, name in COMPONENTS])
def test_component_keeps_its_promises(kind, name, tmp_path):
    skip = ["export"] if kind == "generator" and name in EXPORTED_BY_RECIPES else []
    found = list(findings(kind, name, plugins=PLUGINS, skip=skip, sets=needed_options(tmp_path, kind, name)))
    assert len(found) > 2
    assert not [str(finding) for finding in found if finding.problem or finding.notes]
    for finding in found:
        assert not finding.skipped or finding.check in skip or name in may_skip(kind, finding.check), finding
