#!/usr/bin/env bash
# Saving a transposed numpy array with safetensors.numpy.
#
# One would guess: a view is saved with its values, as numpy.save and torch's save_file (which refuses) would make sure.
# What happens: safetensors 0.8.0 writes the bytes in the order of memory under the shape of the view: the file is valid, the
# shape is right, and the numbers stand in other places.
# What to do: numpy.ascontiguousarray before saving.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 safetensors==0.8.0
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import load, save

view = np.arange(6, dtype=np.float32).reshape(2, 3).T
back = load(save({"view": view}))["view"]
print("safetensors", safetensors.__version__)
print("saved ", view.tolist())
print("loaded", back.tolist())
assert back.shape == view.shape
assert back.tolist() == [[0, 1], [2, 3], [4, 5]], "the numbers of memory, not of the view"
fixed = load(save({"view": np.ascontiguousarray(view)}))["view"]
assert (fixed == view).all()
PYTHON
