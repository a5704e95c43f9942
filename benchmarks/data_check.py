"""How long the check of a data folder takes: 10,000 files of 64x64 to 256x256, PNG and JPEG, the first time and again.

The promise is less than a minute on two cores. The files are made of facades drawn by code, each with noise of its own,
so that PNG and JPEG are about as large as those of photographs; a tenth of them is broken in five ways, and the check
must name exactly those.

    python benchmarks/data_check.py [--count 10000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

SIZES = (64, 128, 192, 256)


def main() -> None:
    """Makes the files, checks them twice and prints a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="number of files")
    parser.add_argument("--folder", type=Path, help="where the files are made, or lie from an earlier call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["I2I_CACHE"] = str(Path(scratch) / "cache")
        folder = options.folder or Path(scratch) / "images"
        broken = make(folder, options.count)
        for what in ("first check", "second check"):
            checked(folder, what, broken)


def checked(folder: Path, what: str, broken: set[str]) -> None:
    """Checks the folder and prints how long that took."""
    from i2i.config import DataConfig
    from i2i.data.checks.check_dataset import check_dataset
    from i2i.data.detect import Requirements
    from i2i.plugins import Plugins

    plugins = Plugins()
    config = DataConfig(root=str(folder), layout="images", size=64)
    begin, busy = time.perf_counter(), time.process_time()
    found = check_dataset(config, plugins, Requirements(frozenset({"target"})), everything=True)
    seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    named = {finding.file for finding in found.findings if finding.severity == "error"}
    files = sum(found.samples.values())
    print(
        f"{what}: {files} files in {seconds:.1f} s ({files / seconds:.0f} files/s, {busy:.1f} s of CPU time), "
        f"{found.decoded} decoded, {len(named)} of {len(broken)} broken files named, {len(named - broken)} others"
    )


def make(folder: Path, count: int) -> set[str]:
    """Draws the files that are not there yet; returns the names of those that are broken."""
    from i2i_samples.facades import draw_facade

    rng = np.random.default_rng(0)
    drawn = [draw_facade(seed, size=256)[1][..., ::-1] for seed in range(16)]
    broken = set()
    for number in range(count):
        ending = (".png", ".jpg")[number // 2 % 2]
        path = folder / ("val" if number % 10 == 5 else "train") / f"{number:06d}{ending}"
        if number % 10 == 3:
            broken.add(str(path))
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        side = SIZES[number % len(SIZES)]
        image = cv2.resize(drawn[number % len(drawn)], (side, side), interpolation=cv2.INTER_AREA)
        noisy = np.clip(image + rng.integers(-8, 9, image.shape), 0, 255).astype(np.uint8)
        data = cv2.imencode(ending, noisy)[1].tobytes()
        path.write_bytes(broken_as(number // 10, data) if number % 10 == 3 else data)
    return broken


def broken_as(kind: int, data: bytes) -> bytes:
    """The bytes of an image, broken in one of five ways."""
    half = len(data) // 2
    return (b"", data[:half], data[:-20], b"<html>404</html>", data[:10] + bytes(40) + data[50:])[kind % 5]


if __name__ == "__main__":
    main()
