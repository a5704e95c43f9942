"""How much quicker is a student of `distill` than its teacher, the ResNet generator of CycleGAN?

Exports both untrained, for time does not depend on weights, and runs them on one image by one thread in onnxruntime, in
turn and in CPU time; the ratio is the median over the rounds. tests/methods/test_distill_learns.py measures what a
trained pair loses in quality.

    python benchmarks/distill.py [--size 256] [--rounds 9] [--filters 16] [--blocks 4]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

import i2i
from i2i.components.inference import for_inference
from i2i.export import onnx_file
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder


def main() -> None:
    """Prints both networks' milliseconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("size", 256), ("rounds", 9), ("filters", 16), ("blocks", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        teacher = exported(Path(folder, "teacher.onnx"), options.size, filters=64, blocks=9)
        student = exported(Path(folder, "student.onnx"), options.size, filters=options.filters, blocks=options.blocks)
        image = np.random.default_rng(0).integers(0, 256, (options.size, options.size, 3), np.uint8)
        times = [(cpu_seconds(teacher, image), cpu_seconds(student, image)) for _ in range(options.rounds + 1)][1:]
    slow, quick = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    ratio = statistics.median(one / other for one, other in times)
    print(f"{platform.machine()}; {options.size} pixels, one thread, CPU time, median of {options.rounds}")
    print(f"teacher resnet 64 filters, 9 blocks: {slow:.0f} ms")
    print(
        f"student resnet {options.filters} filters, {options.blocks} blocks: {quick:.0f} ms; {ratio:.1f} times as quick"
    )


def exported(path: Path, size: int, **shape: int) -> i2i.Model:
    """An untrained ResNet of that shape, exported and opened."""
    network = Builder(Plugins(), (size, size)).generator("resnet", in_channels=3, out_channels=3, **shape)
    module = for_inference(network, image_statistics=False)
    translator = i2i.Translator(module, {"image": torch.zeros(1, 3, size, size)})
    onnx_file.write_onnx(path, translator, "float32", {})
    return i2i.load(path, threads=1)


def cpu_seconds(model: i2i.Model, image: np.ndarray) -> float:
    """CPU seconds of one translation."""
    begin = time.process_time()
    model.translate(image)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
