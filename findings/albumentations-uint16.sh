#!/usr/bin/env bash
# Augmenting 16-bit images with albumentations 2.0.8 (the last release under the MIT licence).
#
# One would guess: a transform keeps the type, as flips and blurs do, or refuses it.
# What happens: some pixel transforms return floats in which all pixels are 255 (Downscale), or values far above the largest
# 16-bit number (RandomGamma); float32 images outside of [0, 1] are clipped by a blur, and RandomGamma turns their negative
# values into NaN.
# What to do: check type and range after every transform, or give it float32 in [0, 1].
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet albumentations==2.0.8 numpy==2.4.6 opencv-python-headless==5.0.0.93
"$folder/env/bin/python" - <<'PYTHON'
import os
import warnings

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would look for updates over the network
warnings.simplefilter("ignore")
import albumentations
import numpy as np

deep = (np.random.default_rng(0).random((32, 32, 3)) * 20000 + 10000).astype(np.uint16)
brighter = albumentations.RandomGamma(gamma_limit=(120, 120), p=1)
found = {}
for transform in (albumentations.HorizontalFlip(p=1), albumentations.Downscale(p=1), brighter):
    image = transform(image=deep)["image"]
    found[type(transform).__name__] = image
    print(f"uint16 10000..30000 through {type(transform).__name__}: {image.dtype} {image.min():.6g}..{image.max():.6g}")
assert found["HorizontalFlip"].dtype == np.uint16
assert found["Downscale"].dtype == np.float32 and (found["Downscale"] == 255).all()
assert found["RandomGamma"].dtype.kind == "f" and found["RandomGamma"].max() > 2 * 65535
wide = np.linspace(-0.5, 1.5, 3 * 64, dtype=np.float32).reshape(8, 8, 3)
blurred = albumentations.GaussianBlur(p=1)(image=wide)["image"]
print(f"float32 -0.5..1.5 through GaussianBlur: {blurred.min():.3g}..{blurred.max():.3g}")
assert blurred.min() == 0 and blurred.max() == 1
assert np.isnan(brighter(image=wide)["image"]).any()
PYTHON
