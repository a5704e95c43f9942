"""Translating with i2i against the textbook way, and against another checkout of i2i, in turn in one run.

The textbook way is what the reference implementations do: the network in torch, eager, float32, one image at a time,
decoded and encoded by Pillow in the same loop. Everything computes with one thread; ratios are medians of pairs, of CPU
time where there is one process, so that other work on the machine disturbs less.

    python benchmarks/peers.py inference [--networks unet resnet srresnet] [--pairs 7] [--old CHECKOUT] [--run NAME=RUN]
    python benchmarks/peers.py folder [--images 200] [--size 256] [--pairs 5] [--old CHECKOUT]
    python benchmarks/peers.py process [--pairs 5] [--old CHECKOUT]

``inference``: the network alone, with its floating point operations and their share of what a product of matrices
reaches. ``folder``: a folder of PNGs. ``process``: one image from start to end of the command. CHECKOUT is a clone of
another version with an environment in ``.venv``; RUN is a run folder, whose weights then serve in the place of random
ones and whose examples are translated.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import i2i
from i2i.export.onnx_file import write_onnx
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

NETWORKS = {  # name: (generator, options, side of the images)
    "unet": ("unet", {}, 256),
    "resnet": ("resnet", {"blocks": 9}, 256),
    "srresnet": ("srresnet", {"scale": 4}, 128),
}
EXPORT = """
import sys, torch, i2i
from pathlib import Path
from i2i.export.onnx_file import write_onnx
network, size = torch.load(sys.argv[1], weights_only=False).eval(), int(sys.argv[3])
write_onnx(Path(sys.argv[2]), i2i.Translator(network, {"image": torch.zeros(1, 3, size, size)}), "uint8", {})
"""


def main() -> None:
    """Runs one of the comparisons and prints its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["inference", "folder", "process"])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--run", action="append", default=[], metavar="NAME=RUN")
    options = parser.parse_args()
    torch.set_num_threads(1)
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_fp16") if flag in flags]
    model = next((line.partition(":")[2].strip() for line in flags.splitlines() if "model name" in line), "unknown CPU")
    print(f"{model}, {', '.join(known)}; one thread; torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        {"inference": inference, "folder": whole_folder, "process": one_image}[options.what](options, Path(folder))


def inference(options: argparse.Namespace, place: Path) -> None:
    """The network alone, for each network."""
    runs = dict(word.split("=", 1) for word in options.run)
    peak = matrix_peak(torch.float32)
    half = matrix_peak(torch.bfloat16)
    print(f"a product of matrices: {peak / 1e9:.0f} GFLOP/s in float32, {half / 1e9:.0f} in bfloat16")
    for name in options.networks:
        network, size = build(name, runs.get(name))
        image = picture(size, runs.get(name))
        files = {"i2i": export(network, place / f"{name}.onnx", size)}
        if options.old:
            files["old"] = export_by(options.old, network, place, size)
        contenders: dict[str, Callable[[], np.ndarray]] = {"eager float32": eager(network, image)}
        for version, file in files.items():
            contenders[f"{version}, exact"] = translating(i2i.load(file, device="cpu", threads=1), image)
        fast = i2i.load(files["i2i"], device="cpu", precision="fast", threads=1)
        contenders["i2i, fast"] = translating(fast, image)
        seconds, results = in_turn(contenders, options.pairs)
        work = flops(network, size)
        weights = "trained" if name in runs else "random"
        print(f"\n{name}, {size}x{size}, {work / 1e9:.1f} GFLOP, {weights} weights; {'; '.join(fast.notes)}")
        table(seconds, results)
        shares = {key: work / statistics.median(times) / peak for key, times in seconds.items()}
        print("share of the float32 peak: " + ", ".join(f"{key} {share:.2f}" for key, share in shares.items()))


def whole_folder(options: argparse.Namespace, place: Path) -> None:
    """A folder of PNGs through the U-Net."""
    draw(place / "in", options.images, options.size)
    network, _ = build("unet", None)
    file = export(network, place / "unet.onnx", 256)
    commands = {
        "i2i, exact": command(sys.executable, file, "exact"),
        "i2i, fast": command(sys.executable, file, "fast"),
    }
    if options.old:
        old = export_by(options.old, network, place, 256)
        commands["old, exact"] = command(options.old / ".venv/bin/python", old, None)
    seconds: dict[str, list[float]] = {name: [] for name in ("textbook loop", *commands)}
    for _ in range(options.pairs):
        begin = time.process_time()
        textbook_loop(network, place / "in", place / "textbook")
        seconds["textbook loop"].append(time.process_time() - begin)
        for name, words in commands.items():
            seconds[name].append(cpu_seconds([*words, str(place / "in"), "-o", str(place / "out"), "--overwrite"]))
    print(f"\n{options.images} PNGs of {options.size}x{options.size} through a U-Net, CPU seconds, start included")
    table(seconds, {})


def one_image(options: argparse.Namespace, place: Path) -> None:
    """One image through the U-Net, from the start of the process to its end."""
    draw(place / "in", 1, 256)
    network, _ = build("unet", None)
    file = export(network, place / "unet.onnx", 256)
    commands = {
        "i2i, exact": (command(sys.executable, file, "exact"), False),
        "i2i, fast": (command(sys.executable, file, "fast"), False),
        "i2i, exact, model not known": (command(sys.executable, file, "exact"), True),
    }
    if options.old:
        old = command(options.old / ".venv/bin/python", export_by(options.old, network, place, 256), None)
        commands = {"old, model not known": (old, True), "old, known": (old, False)} | commands
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.pairs + 1):
        for name, (words, forget) in commands.items():
            words = [*words, str(place / "in"), "-o", str(place / "out"), "--overwrite"]
            seconds[name].append(cpu_seconds(words, place / f"cache-{time.time_ns()}" if forget else None))
    print("\none image of 256x256 through a U-Net, whole process, CPU seconds; 'not known': its check included")
    table({name: times[1:] for name, times in seconds.items()}, {})  # the first time, files come from the disk


def build(name: str, run: str | None) -> tuple[nn.Module, int]:
    """A network with random weights, or a run's, and the side of the images that it is tried with."""
    generator, given, size = NETWORKS[name]
    if run is not None:
        loaded = i2i.load_networks(run)
        return loaded.networks["generator"].eval(), size
    torch.manual_seed(0)
    builder = Builder(Plugins(), (size, size), inference=True)
    return builder.generator(generator, in_channels=3, out_channels=3, **given).eval(), size


def flops(network: nn.Module, size: int) -> int:
    """Floating point operations of one image; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, size, size))
    return counter.get_total_flops()


def matrix_peak(dtype: torch.dtype, side: int = 2048) -> float:
    """Floating point operations a second in a product of square matrices, the best of five."""
    one = torch.randn(side, side).to(dtype)
    seconds = []
    for _ in range(6):
        begin = time.process_time()
        one @ one
        seconds.append(time.process_time() - begin)
    return 2 * side**3 / min(seconds)


def picture(size: int, run: str | None) -> np.ndarray:
    """An example of the run, or smooth noise: ``(1, size, size, 3)`` uint8."""
    examples = sorted((Path(run) / "examples").glob("*.png")) if run else []
    if examples:
        return cv2.resize(cv2.cvtColor(cv2.imread(str(examples[0])), cv2.COLOR_BGR2RGB), (size, size))[None]
    coarse = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[None]


def draw(folder: Path, count: int, size: int) -> None:
    """Smooth noise, which compresses about as photographs do."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = rng.integers(0, 256, (9, 9, 3), np.uint8)
        cv2.imwrite(str(folder / f"{index:04}.png"), cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC))


def export(network: nn.Module, file: Path, size: int) -> Path:
    """Exports the network with this version."""
    write_onnx(file, i2i.Translator(network, {"image": torch.zeros(1, 3, size, size)}), "uint8", {})
    return file


def export_by(checkout: Path, network: nn.Module, place: Path, size: int) -> Path:
    """Exports the network with another version."""
    torch.save(network, place / "network.pt")
    words = [checkout / ".venv/bin/python", "-c", EXPORT, place / "network.pt", place / "old.onnx", str(size)]
    subprocess.run(list(map(str, words)), check=True, cwd=checkout)
    return place / "old.onnx"


def eager(network: nn.Module, image: np.ndarray) -> Callable[[], np.ndarray]:
    """The network in torch, from pixels to pixels."""
    source = torch.from_numpy(image)

    def run() -> np.ndarray:
        with torch.inference_mode():
            result = network(source.permute(0, 3, 1, 2).float() / 127.5 - 1)
            return ((result.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    return run


def translating(model: i2i.Model, image: np.ndarray) -> Callable[[], np.ndarray]:
    """The model as users hold it."""
    return lambda: model.translate_batch(image)


def textbook_loop(network: nn.Module, source: Path, target: Path) -> None:
    """What a reference's test script does with each file, without the options and the web page."""
    target.mkdir(exist_ok=True)
    for file in sorted(source.iterdir()):
        image = np.asarray(Image.open(file).convert("RGB"))
        Image.fromarray(eager(network, image[None])()[0]).save(target / file.name)


def command(python: Path | str, model: Path, precision: str | None) -> list[str]:
    """The command line that translates with a model, up to the inputs."""
    threads = [] if precision is None else ["--precision", precision, "--threads", "1"]
    return [str(python), "-m", "i2i", "translate", *threads, str(model)]


def cpu_seconds(words: list[str], cache: Path | None = None) -> float:
    """CPU seconds of a command and its children; with a cache folder of its own, or the benchmark's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        words, check=True, capture_output=True, env=environment | ({"I2I_CACHE": str(cache)} if cache else {})
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turn(
    contenders: Mapping[str, Callable[[], np.ndarray]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    """CPU seconds of each contender in each round, after two that warm up, and their results."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    results: dict[str, np.ndarray] = {}
    for number in range(rounds + 2):
        for name, run in contenders.items():
            begin = time.process_time()
            results[name] = run()
            if number >= 2:
                seconds[name].append(time.process_time() - begin)
    return seconds, results


def table(seconds: Mapping[str, list[float]], results: Mapping[str, np.ndarray]) -> None:
    """Prints medians, and the speed-up to the first contender and, where there is one, to the old version."""
    first = next(iter(seconds))
    old = next((name for name in seconds if name.startswith("old")), None)
    print(f"{'':30}{'CPU ms':>10}{'speed-up':>10}{'to old':>10}{'PSNR':>8}")
    for name, times in seconds.items():
        line = f"{name:30}{1000 * statistics.median(times):10.1f}{ratio(seconds[first], times):10.2f}"
        line += f"{ratio(seconds[old], times):10.2f}" if old else f"{'-':>10}"
        if results:
            square = np.square(results[first].astype(float) - results[name]).mean()
            line += f"{10 * np.log10(255**2 / square):8.1f}" if square else f"{'equal':>8}"
        print(line, flush=True)


def ratio(of: list[float], to: list[float]) -> float:
    """Median over the pairs."""
    return statistics.median(one / other for one, other in zip(of, to, strict=True))


if __name__ == "__main__":
    main()
