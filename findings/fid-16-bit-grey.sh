#!/usr/bin/env bash
# FID of two folders of 16-bit grey PNG files, such as microscopes and depth cameras write.
#
# One would guess: it is that of their 8-bit copies, or the files are refused.
# What happens: torch-fidelity 0.4.0 opens files by Pillow 13.0.0 as `Image.open(file).convert("RGB")`, which takes the
# 16-bit values for 8-bit ones and cuts them off at 255. What is brighter than 255 of 65535 is white: images that have
# nothing to do with each other become the same, and their FID is 0.0. clean-fid 0.1.35 opens them in this way, too.
# What to do: scale to 8 bits by the file's own range before any such tool sees the images.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 pillow==13.0.0 torch==2.15.0 torchvision==0.29.2 torch-fidelity==0.4.0
FOLDER="$folder" "$folder/env/bin/python" - <<'PYTHON'
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch_fidelity
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchvision.models import Inception3

place = Path(os.environ["FOLDER"])
torch.manual_seed(0)
network = Inception3(num_classes=1008, aux_logits=False, init_weights=False)
for layer in network.modules():
    if isinstance(layer, torch.nn.Conv2d):
        torch.nn.init.kaiming_normal_(layer.weight)
torch.save(network.state_dict(), place / "inception.pth")  # random: of equal images the features are equal with any

y, x = np.mgrid[:64, :64]
for bits, dtype in ((8, np.uint8), (16, np.uint16)):
    for name, picture in (("stripes", 0.3 + 0.6 * (x // 8 % 2)), ("disc", 0.9 - 0.5 * ((x - 32) ** 2 + (y - 32) ** 2 < 400))):
        (place / f"{name}-{bits}").mkdir()
        for number in range(3):
            level = picture * (1 - 0.1 * number)
            Image.fromarray((level * np.iinfo(dtype).max).astype(dtype)).save(place / f"{name}-{bits}" / f"{number}.png")


def fid(bits):
    return torch_fidelity.calculate_metrics(
        input1=str(place / f"stripes-{bits}"),
        input2=str(place / f"disc-{bits}"),
        fid=True,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,
        feature_extractor_weights_path=str(place / "inception.pth"),
    )["frechet_inception_distance"]


print("torch-fidelity", version("torch-fidelity"), "Pillow", version("pillow"), "torch", torch.__version__)
white = np.asarray(Image.open(place / "stripes-16" / "0.png").convert("RGB"))
print("levels of a 16-bit file after convert:", np.unique(white))
found = {bits: fid(bits) for bits in (8, 16)}
print(f"FID of stripes and discs: {found[8]:.6g} with 8 bits, {found[16]:.6g} with 16")
assert np.unique(white).tolist() == [255]
assert abs(found[16]) < 1e-9 < 1e-6 < found[8]
PYTHON
