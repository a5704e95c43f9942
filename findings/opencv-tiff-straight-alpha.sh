#!/usr/bin/env bash
# A TIFF with straight ("unassociated") alpha, read by OpenCV with IMREAD_UNCHANGED.
#
# One would guess: unchanged means the stored numbers, at 8 and at 16 bits alike.
# What happens: OpenCV 5.0.0 multiplies the colours by alpha where the file has 8 bits, and leaves them alone where it has 16.
# The same picture is half as bright in one of the two.
# What to do: read alpha TIFFs with another library, or divide 8-bit colours by alpha again (which loses precision).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 opencv-python-headless==5.0.0.93 tifffile==2026.3.3
"$folder/env/bin/python" - <<'PYTHON'
import io

import cv2
import numpy as np
import tifffile

found = {}
for dtype, full in ((np.uint8, 255), (np.uint16, 65535)):
    pixels = np.zeros((4, 4, 4), dtype)
    pixels[...] = [full * 4 // 5, full * 2 // 5, 0, full // 2]  # RGB and half transparent
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", extrasamples=["unassalpha"])
    read = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)[0, 0]
    red = int(read[2]) / full
    found[np.dtype(dtype).name] = red
    print(f"opencv {cv2.__version__}, {np.dtype(dtype).name}: red {red:.2f} of full scale, stored 0.80")
assert abs(found["uint8"] - 0.4) < 0.01, "multiplied by alpha"
assert abs(found["uint16"] - 0.8) < 0.01, "as stored"
PYTHON
