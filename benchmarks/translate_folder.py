"""Does translating a folder overlap its stages, and does its memory stay the same?

Draws a folder of small images, translates it as `i2i translate` does, and times the same number of images through each
stage alone: decoding, the network, encoding. Everything runs in turn in one process, once for each round, and the wall
time of the whole is compared with that of each stage. On a file system where many files were deleted in the last minute
new ones may take three times as long (ext4 does not take their inodes at once).

    python benchmarks/translate_folder.py [--images 10000] [--size 64] [--model MODEL] [--batch 1] [--rounds 1]

Without a model the smallest that a preset of i2i trains is exported first, untrained: the ResNet of CycleGAN's samples
preset. That happens in a process of its own, for this one must not load torch.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from i2i.images import find_images, read_image, write_image
from i2i.translate import Model, load, translate_folder
from i2i.translate.pictures import to_network

EXPORT = """
import sys
import torch
import i2i
from i2i.plugins.builder import Builder
from i2i.export.onnx_file import write_onnx
from i2i.plugins import Plugins
from pathlib import Path

size, options = int(sys.argv[2]), Plugins().get("recipe", "cyclegan").presets["samples"]["cyclegan"]["generator"]
network = Builder(Plugins(), (size, size), inference=True).generator("resnet", in_channels=3, out_channels=3, **options)
write_onnx(Path(sys.argv[1]), i2i.Translator(network.eval(), {"image": torch.zeros(1, 3, size, size)}), "uint8", {})
"""
WARM = 500
"""Images after which memory is looked at first."""


def main() -> None:
    """Prints a table: seconds of the whole and of each stage alone, their ratio, and resident memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("images", 10_000), ("size", 64), ("batch", 1), ("rounds", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--format", default="png", choices=["png", "jpg"])
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.images} {options.format} of {options.size} pixels")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        model = options.model or export_smallest(place / "model.onnx", options.size)
        draw(place / "in", options)
        for number in range(options.rounds):
            compare(load(model, device="cpu"), place, place / f"out{number}", options.batch)


def export_smallest(path: Path, size: int) -> Path:
    """The smallest network of any preset, untrained."""
    subprocess.run([sys.executable, "-c", EXPORT, str(path), str(size)], check=True)
    return path


def draw(folder: Path, options: argparse.Namespace) -> None:
    """Smooth noise, which compresses about as photographs do."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for index in range(options.images):
        coarse = rng.integers(0, 256, (9, 9, 3), np.uint8)
        image = cv2.resize(coarse, (options.size, options.size), interpolation=cv2.INTER_CUBIC)
        write_image(folder / f"{index}.{options.format}", image)


def compare(model: Model, place: Path, out: Path, batch: int) -> None:
    """Times the whole and each stage, and prints them."""
    whole, (early, late) = whole_folder(model, place / "in", out, batch)
    alone = stages_alone(model, find_images(place / "in"), place / "again", batch)
    slowest, images = max(alone, key=lambda stage: alone[stage]), len(find_images(out))
    print(f"whole: {whole:.2f} s, {images / whole:.0f} images/s, {whole / alone[slowest]:.2f} x {slowest} alone")
    for stage, seconds in alone.items():
        rate, ratio = images / seconds, whole / seconds
        print(f"  {stage} alone: {seconds:.2f} s, {rate:.0f} images/s (ratio {ratio:.2f})")
    print(f"  resident memory: {early:.0f} MB after {WARM} images, {late:.0f} MB at the end")


def whole_folder(model: Model, source: Path, out: Path, batch: int) -> tuple[float, tuple[float, float]]:
    """Seconds, and resident megabytes after the first images and at the end."""
    start, early = time.perf_counter(), 0.0
    for count, result in enumerate(translate_folder(model, source, out, batch=batch), start=1):
        assert result.status == "written", result.reason
        if count == WARM:
            early = resident()
    return time.perf_counter() - start, (early, resident())


def stages_alone(model: Model, files: list[Path], out: Path, batch: int) -> dict[str, float]:
    """Seconds of each stage for all images with nothing beside it, in as many threads as the whole has.

    The network is given the same image again and again, and the encoder its output. Small images go through the network
    in several runs at once, which uses the cores better than a plain loop over them; both are timed.
    """
    image = to_network(read_image(files[0]), model.info)
    images = np.stack([image] * batch)
    output = model.translate_batch(images)[0]
    out.mkdir(exist_ok=True)
    return {
        "decode": threaded(lambda file: to_network(read_image(file), model.info), files),
        "network in a loop": seconds(lambda: [model.translate_batch(images) for _ in files[::batch]]),
        "network in several runs at once": threaded(lambda _: model.translate_batch(images), files[::batch]),
        "encode": threaded(lambda file: write_image(out / file.name, output), files),
    }


def threaded(work: Callable[[Path], object], files: Iterable[Path]) -> float:
    """Seconds of that work on all files, in as many threads as the whole has."""
    with ThreadPoolExecutor(min(8, (os.cpu_count() or 1) + 1)) as pool:
        return seconds(lambda: list(pool.map(work, files)))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def resident() -> float:
    """Megabytes of this process in memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
