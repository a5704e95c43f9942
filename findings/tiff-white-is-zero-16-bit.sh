#!/usr/bin/env bash
# A grey TIFF in which white is zero (photometric interpretation 0), as scanners write it.
#
# One would guess: a reader that turns the values of an 8-bit file the right way round does so for 16 bits.
# What happens: OpenCV 5.0.0 and Pillow 13.0.0 invert 8-bit files and hand out 16-bit files as stored, as negatives.
# What to do: look at tag 262 yourself for files of more than 8 bits.
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

inverted = {}
for dtype in (np.uint8, np.uint16):
    full = np.iinfo(dtype).max
    stored = np.array([[0, 10], [20, full]], dtype)  # white, nearly white, ..., black
    file = io.BytesIO()
    tifffile.imwrite(file, stored, photometric="miniswhite")
    opencv = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
    pillow = np.asarray(Image.open(file))
    inverted[dtype] = [bool((read == full - stored).all()) for read in (opencv, pillow)]
    print(f"{np.dtype(dtype).name}: white comes out as {opencv[0, 0]} (opencv {cv2.__version__}) "
          f"and {pillow[0, 0]} (pillow {PIL.__version__})")
    assert all((read == stored).all() or (read == full - stored).all() for read in (opencv, pillow))
assert inverted == {np.uint8: [True, True], np.uint16: [False, False]}
PYTHON
