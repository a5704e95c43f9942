"""What does rewriting the graph gain, and what does an export take?

Exports a U-Net as pix2pix uses it, untrained, and runs it at the size of its training beside the same file with its
transposed convolutions as they were: in onnxruntime and, where it is installed, in OpenVINO with float32 and bfloat16.
Everything runs in turn in this process, by one thread and in CPU time; ratios are medians over the rounds. An export is
then timed in processes of their own, of which what it imports is a part.

    python benchmarks/export.py [--filters 64] [--size 256] [--rounds 15] [--exports 3]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import onnxruntime
import torch

import i2i
from i2i.components.inference import for_inference
from i2i.export import onnx_file
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

Run = Callable[[], np.ndarray]


def main() -> None:
    """Prints a table of milliseconds and ratios, then the CPU seconds of exports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("filters", 64), ("size", 256), ("rounds", 15), ("exports", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only-export", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.only_export:
        print(*seconds_of_export(options.only_export, options))
        return
    print(f"{platform.machine()}, {cpu_flags()}; U-Net, {options.filters} filters, {options.size} pixels")
    with tempfile.TemporaryDirectory() as folder:
        rewritten, plain = Path(folder, "rewritten.onnx"), Path(folder, "plain.onnx")
        export(rewritten, options)
        with patch.object(onnx_file, "rewrite_transposed", lambda graph: 0):
            export(plain, options)
        image = smooth_image(options.size)
        new, old = dict(runs(rewritten, image)), dict(runs(plain, image))
        pairs = {name: (new[name], old[name]) for name in new}
        compare(pairs, options.rounds)
        words = [sys.executable, __file__, "--only-export", str(Path(folder, "timed.onnx"))]
        words += ["--filters", str(options.filters), "--size", str(options.size)]
        results = [subprocess.run(words, check=True, capture_output=True, text=True) for _ in range(options.exports)]
        times = [[float(word) for word in result.stdout.split()] for result in results]
    imports, all_of_it = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"export: {all_of_it:.1f} s of CPU, {imports:.1f} s of them until torch and i2i are imported")


def export(path: Path, options: argparse.Namespace) -> None:
    """Exports the U-Net with batch norms, as it is exported after training on batches of more than one image."""
    torch.manual_seed(0)
    builder = Builder(Plugins(), (options.size, options.size), inference=True)
    network = builder.generator("unet", in_channels=3, out_channels=3, filters=options.filters)
    image = torch.rand(2, 3, options.size, options.size) * 2 - 1
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # takes the statistics of the next batch as they are
    with torch.inference_mode():
        network.train()(image)
    network = for_inference(network, image_statistics=False)
    onnx_file.write_onnx(path, i2i.Translator(network, {"image": image[:1]}), "uint8", {})


def seconds_of_export(path: Path, options: argparse.Namespace) -> tuple[float, float]:
    """CPU seconds of this process before an export, and after it."""
    before = time.process_time()
    export(path, options)
    return before, time.process_time()


def smooth_image(size: int) -> np.ndarray:
    """A smooth image ``(1, size, size, 3)`` uint8."""
    coarse = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[np.newaxis]


def runs(path: Path, image: np.ndarray) -> Iterator[tuple[str, Run]]:
    """Each runtime by name with a function that runs the file on the image."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    yield "onnxruntime, float32", lambda: session.run(None, {"image": image})[0]
    try:
        import openvino
    except ImportError:
        print("OpenVINO is not installed")
        return
    core = openvino.Core()
    for precision in ("f32", "bf16"):
        one_thread = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
        compiled = core.compile_model(str(path), "CPU", one_thread)
        yield f"OpenVINO, {precision}", openvino_run(compiled.create_infer_request(), image)


def openvino_run(request: object, image: np.ndarray) -> Run:
    """A function that runs a request of OpenVINO."""
    return lambda: next(iter(request.infer({"image": image}).values())).copy()  # type: ignore[attr-defined]


def compare(pairs: dict[str, tuple[Run, Run]], rounds: int) -> None:
    """Prints milliseconds with and without rewriting, their ratio, and the largest difference of the results."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
    apart = {}
    for name, (new, old) in pairs.items():
        apart[name] = np.abs(new().astype(int) - old()).max()
    for _ in range(rounds):
        for name, (new, old) in pairs.items():
            times[name].append((cpu_seconds(new), cpu_seconds(old)))
    print(f"{'':22}{'rewritten':>12}{'plain':>12}{'faster by':>12}{'levels apart':>14}")
    for name, measured in times.items():
        new, old = (1e3 * statistics.median(column) for column in zip(*measured, strict=True))
        ratio = statistics.median(old / new for new, old in measured)
        print(f"{name:22}{new:9.1f} ms{old:9.1f} ms{ratio:12.2f}{apart[name]:14}")


def cpu_seconds(run: Run) -> float:
    """CPU seconds of one run."""
    begin = time.process_time()
    run()
    return time.process_time() - begin


def cpu_flags() -> str:
    """What the processor says of arithmetic with 16 bits, where the system tells it."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "flags unknown"
    return ", ".join(sorted(words & {"amx_bf16", "amx_fp16", "avx512_bf16", "avx512_fp16"})) or "no 16-bit arithmetic"


if __name__ == "__main__":
    main()
