#!/usr/bin/env bash
# Importing lightning-fabric for its launcher and collectives alone.
#
# One would guess: a package that needs torch and a few small ones imports not much more than those.
# What happens: where torchmetrics is installed, lightning-fabric 2.6.6 imports it, and torchmetrics 1.9.0 imports torchvision
# where that is installed, only to compare version numbers: thousands of modules for nothing, in every process that trains.
# What to do: import it late, and in training processes only.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet lightning-fabric==2.6.6 torchmetrics==1.9.0 torch==2.15.0 torchvision==0.29.2
"$folder/env/bin/python" - <<'PYTHON'
import sys
import warnings

warnings.simplefilter("ignore")
import torch

before = set(sys.modules)
import lightning_fabric

added = {name.partition(".")[0] for name in set(sys.modules) - before}
count = len(set(sys.modules) - before)
print(f"lightning-fabric {lightning_fabric.__version__} beside torch {torch.__version__}: {count} further modules")
print("among them", sorted(added & {"torchmetrics", "torchvision", "PIL"}))
assert {"torchmetrics", "torchvision"} <= added
PYTHON
