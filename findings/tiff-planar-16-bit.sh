#!/usr/bin/env bash
# An uncompressed TIFF of 16-bit colour whose planes are stored one after the other (planar configuration 2), as
# microscopes and satellite tools write it.
#
# One would guess: a reader gives the right pixels or an error.
# What happens: OpenCV 5.0.0 and Pillow 13.0.0 both open the file, report the right size and three channels, and give pixels
# that are not those of the file. Interleaved, the same picture is right in both (Pillow cuts it to 8 bits).
# What to do: read such files with tifffile, or take the strips apart yourself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 opencv-python-headless==5.0.0.93 pillow==13.0.0 tifffile==2026.3.3
"$folder/env/bin/python" - <<'PYTHON'
import io

import cv2
import numpy as np
import PIL
import tifffile
from PIL import Image

pixels = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), np.uint16)
right = {}
for layout in ("contig", "separate"):
    file = io.BytesIO()
    stored = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if layout == "separate" else pixels
    tifffile.imwrite(file, stored, photometric="rgb", planarconfig=layout)
    opencv = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
    pillow = np.asarray(Image.open(file))
    assert opencv.shape == pillow.shape == pixels.shape
    right[layout] = ((opencv[..., ::-1] == pixels).mean(), (pillow == pixels // 256).mean())
    print(f"{layout}: right values: opencv {cv2.__version__} {right[layout][0]:.0%}, "
          f"pillow {PIL.__version__} {right[layout][1]:.0%} (of the upper 8 bits)")
assert right["contig"] == (1, 1)
assert max(right["separate"]) < 0.1
PYTHON
