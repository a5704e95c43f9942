"""Reads JPEG files with this version of i2i and, in turn, with another one: CPU time a file, in one thread.

    uv run python benchmarks/read_jpeg.py --against ../i2i-before/.venv/bin/python [--data FOLDER]

Each version runs in a process of its own, and they take turns, so that a busy machine hurts both alike. Without
``--data`` the files are drawn: soft noise of 256 and 1024 pixels, quality 90, baseline and progressive.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS, FILES = 7, {256: 40, 1024: 6}
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
CHILD = """
import json, sys, time
try:
    from i2i.images import read_image
except ImportError:  # a version before the rooms
    from i2i.data.images import read_image
print("ready", flush=True)
for line in sys.stdin:
    paths, took = json.loads(line), []
    for path in paths:
        start = time.process_time()
        read_image(path)
        took.append(time.process_time() - start)
    print(json.dumps(took), flush=True)
"""


def main() -> None:
    """Prints a line for each group of files."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--against", type=Path, help="the python of an environment with another version of i2i")
    options.add_argument("--data", type=Path, help="a folder whose JPEG files are read instead of drawn ones")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        groups = real(given.data) if given.data else drawn(Path(folder))
        pythons = [Path(sys.executable)] + ([given.against] if given.against else [])
        readers = [reader(python, folder) for python in pythons]
        for name, paths in groups.items():
            compare(name, paths, readers)
        for process in readers:
            process.stdin.close()
            process.wait()


def drawn(folder: Path) -> dict[str, list[str]]:
    """Writes the drawn files into a folder; their paths by the name of their group."""
    import cv2
    import numpy as np

    rng, groups = np.random.default_rng(0), {}
    for side, count in FILES.items():
        for kind, progressive in (("baseline", 0), ("progressive", 1)):
            paths = [folder / f"{kind}-{side}-{number}.jpg" for number in range(count)]
            for path in paths:
                coarse = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
                soft = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
                image = np.clip(soft + rng.normal(0, 8, soft.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
            groups[f"{side} pixels, {kind}"] = [str(path) for path in paths]
    return groups


def real(folder: Path) -> dict[str, list[str]]:
    """About a hundred files of a folder, spread evenly over it, as one group."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    step = max(1, len(paths) // 100)
    return {f"{folder}, {len(paths[::step])} files": [str(path) for path in paths[::step]]}


def reader(python: Path, folder: str) -> subprocess.Popen:
    """Starts a process that reads lists of files with the i2i of that interpreter."""
    command = [str(python.absolute()), "-c", CHILD]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | THREADS, cwd=folder
    )
    assert process.stdout.readline() == "ready\n"
    return process


def compare(name: str, paths: list[str], readers: list[subprocess.Popen]) -> None:
    """Lets the processes read the files in turns, and prints their medians."""
    rounds = [[] for _ in readers]
    for number in range(ROUNDS + 1):
        for process, medians in zip(readers, rounds, strict=True):
            process.stdin.write(json.dumps(paths) + "\n")
            process.stdin.flush()
            took = json.loads(process.stdout.readline())
            if number:  # the first round warms up
                medians.append(statistics.median(took) * 1000)
    times = [statistics.median(medians) for medians in rounds]
    line = f"{name:28} {times[0]:7.2f} ms"
    if len(times) > 1:
        line += f", the other version {times[1]:7.2f} ms: {times[1] / times[0]:.1f} times"
    print(line)


if __name__ == "__main__":
    main()
