#!/usr/bin/env bash
# A progressive JPEG that lost whole scans, read by a decoder that fails on warnings.
#
# One would guess: strict decoding (simplejpeg's strict=True makes every warning of libjpeg an error) finds what is missing.
# What happens: with simplejpeg 1.9.0 and an end marker behind what is left, a file without its last scans is accepted: the
# picture is merely coarser, and libjpeg does not warn. Pillow 13.0.0 accepts it as well.
# What to do: walk through the scan headers and note which coefficients, and which of their bits, have come (T.81 G.1.1.1.1).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.6 pillow==13.0.0 simplejpeg==1.9.0
"$folder/env/bin/python" - <<'PYTHON'
import io

import numpy as np
import simplejpeg
from PIL import Image

y, x = np.mgrid[:64, :96]
pixels = np.stack([x * 2, y * 3, (x * y) % 256], axis=-1).astype(np.uint8)
file = io.BytesIO()
Image.fromarray(pixels).save(file, "JPEG", quality=95, progressive=True)
whole = file.getvalue()
scans = [at for at in range(len(whole) - 1) if whole[at : at + 2] == b"\xff\xda"]
fewer = whole[: scans[len(scans) // 2]] + b"\xff\xd9"
full, coarse = (simplejpeg.decode_jpeg(data, "RGB", strict=True).astype(int) for data in (whole, fewer))
pillow = np.asarray(Image.open(io.BytesIO(fewer))).astype(int)
print(f"{len(scans)} scans, {len(scans) - len(scans) // 2} of them dropped: no warning from simplejpeg or Pillow")
print(f"largest difference from the whole picture: {np.abs(full - coarse).max()} of 255")
assert len(scans) > 4
assert np.abs(full - coarse).max() > 8
assert np.abs(full - pillow).max() > 8
PYTHON
