#!/usr/bin/env bash
# Rotating a 16-bit grey image with Pillow.
#
# One would guess: a mode that resize() handles is handled, or refused, by rotate() and transform() too.
# What happens: in Pillow 13.0.0 an I;16 image survives resize(), while rotate() with the bilinear filter gives numbers that
# have nothing to do with the picture: the two bytes of a value are interpolated apart. Augmentations that are built on PIL
# images (torchvision's rotations among them) inherit it.
# What to do: rotate with OpenCV, or convert to mode F before and back after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 pillow==13.0.0
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import PIL
from PIL import Image

ramp = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
image = Image.fromarray(ramp)
assert image.mode == "I;16"
resized = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
turned = np.asarray(image.rotate(10, Image.Resampling.BILINEAR)).astype(int)
floats = np.asarray(image.convert("F").rotate(10, Image.Resampling.BILINEAR))
middle = (slice(24, 40), slice(24, 40))
error = np.abs(turned - floats)[middle].mean()
print("pillow", PIL.__version__)
print("rotated as I;16", turned[32, 28:34].tolist())
print("rotated as F   ", floats[32, 28:34].astype(int).tolist())
assert np.abs(resized - ramp.reshape(32, 2, 32, 2).mean((1, 3)))[1:-1, 1:-1].max() < 1000, "resize is right"
assert error > 5000, "rotate is not"
PYTHON
