"""How long the check of a data folder takes: 10,000 files of 64x64 to 256x256, PNG and JPEG, the first time and again.

The promise is less than a minute on two cores. The files are made of facades drawn by code, each with noise of its own,
so that PNG and JPEG are about as large as those of photographs; a tenth of them is broken in five ways, and the check
must name exactly those.

    python benchmarks/data_check.py [--count 10000] [--folder FOLDER]

With ``--links 100000`` it measures time and memory of ``i2i data check`` and of what a training does before its first
step, on that many hard links to 16 small files. The promises are 700 MB for the check and 20 s for the training.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
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
    parser.add_argument("--links", type=int, default=0, help="number of hard links; measures memory instead")
    options = parser.parse_args()
    if options.links:
        measure_links(options.links)
        return
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["I2I_CACHE"] = str(Path(scratch) / "cache")
        folder = options.folder or Path(scratch) / "images"
        broken = make(folder, options.count)
        for what in ("first check", "second check"):
            checked(folder, what, broken)


CHECK = "sys.argv = ['i2i', 'data', 'check', folder, '--set', 'data.layout=images', '--set', 'data.size=64']; main()"
OPEN = (
    "from i2i.data.loading import open_data; from i2i.config import DataConfig; from i2i.plugins import Plugins; "
    "from i2i.data.detect import Requirements; config = DataConfig(root=folder, layout='images', size=64); "
    "open_data(config, Plugins(), Requirements(frozenset({'target'})), seed=0)"
)


def measure_links(count: int) -> None:
    """Checks the links and opens them for a training, each in a process of its own, and prints a line each."""
    with tempfile.TemporaryDirectory() as scratch:
        files, folder = Path(scratch) / "files", Path(scratch) / "links"
        make(files, 16)
        usable = [path for path in sorted(files.rglob("*.*")) if int(path.stem) % 10 != 3]
        folder.mkdir()
        for number in range(count):
            first = usable[number % len(usable)]
            os.link(first, folder / f"{number:06d}{first.suffix}")
        environment = os.environ | {"I2I_CACHE": str(Path(scratch) / "cache")}
        for what, code in (("start of a training", OPEN), ("data check", CHECK)):
            head = f"import sys; from i2i.cli import main; folder = {str(folder)!r}; "
            begin = time.perf_counter()
            process = subprocess.Popen([sys.executable, "-c", head + code], env=environment, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds, busy = time.perf_counter() - begin, usage.ru_utime + usage.ru_stime
            state = "" if status == 0 else f", which failed with {os.waitstatus_to_exitcode(status)}"
            print(
                f"{what}: {count} files in {seconds:.1f} s, {busy:.1f} s of CPU time, "
                f"{usage.ru_maxrss / 1024:.0f} MB{state}"
            )


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
