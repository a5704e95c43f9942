"""Features of FID: `i2i evaluate` against torch-fidelity, the same network, weights and images, in turn in one run.

    python benchmarks/evaluate.py [--images 2000] [--size 256] [--turns 10] [--data FOLDER]

Both read the same PNG files and take features of Inception-v3 with the same random weights, torch with one thread: i2i
as in `i2i evaluate`, torch-fidelity by its own function and defaults: batches of 64, and four processes that read. The
images are dealt out to the turns; in each both take its part, so that a busy machine hurts both alike. Printed
are medians of images a second, of the wall clock and of CPU time, reading included, the median of the ratios of a turn,
and how far the features are apart. `--data` names a folder whose photos are cut at random to squares and resized, in
place of drawn pictures; no two images are the same. Features are not kept.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import cv2
import numpy as np
import torch
from torch_fidelity.datasets import ImagesPathDataset
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.utils import get_featuresdict_from_dataset

from helpers.metric_files import inception_file
from i2i import MetricChoice, MetricContext
from i2i.evaluation.choosing import Measuring, Wanted
from i2i.evaluation.feature_cache import FeatureCache
from i2i.evaluation.folders import FolderEvaluation, Folders
from i2i.metrics.building import build_metrics
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_samples.facades import draw_facade

Features = Callable[[list[Path]], torch.Tensor]


def main() -> None:
    """Lets both take features in turns, and prints their medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=256, help="width and height")
    parser.add_argument(
        "--turns", type=int, default=10, help="of 64 images and more, which are one batch of torch-fidelity"
    )
    parser.add_argument("--data", type=Path, help="a folder of photos")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["I2I_CACHE"] = scratch
        weights = inception_file(Path(scratch))
        files = make(Path(scratch) / "images", given.images, given.size, given.data)
        contenders = {"i2i": by_i2i(weights), "torch-fidelity": by_torch_fidelity(weights)}
        for take in contenders.values():  # warms up
            take(files[:4])
        compare(contenders, [files[turn :: given.turns] for turn in range(given.turns)])


def compare(contenders: dict[str, Features], parts: list[list[Path]]) -> None:
    """Prints a line for each contender, the ratios, and how far the features are apart."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    apart = 0.0
    for turn, part in enumerate(parts):
        found = []
        for name in sorted(contenders, reverse=turn % 2 == 1):
            begin, busy = time.perf_counter(), cpu_seconds()
            found.append(contenders[name](part))
            rates[name].append((len(part) / (time.perf_counter() - begin), len(part) / (cpu_seconds() - busy)))
        apart = max(apart, float((found[0] - found[1]).abs().max() / found[1].abs().max()))
    for name, of_turns in rates.items():
        wall, busy = (statistics.median(one[kind] for one in of_turns) for kind in (0, 1))
        print(f"{name:15} {wall:6.2f} images/s, {busy:6.2f} a second of CPU time")
    pairs = list(zip(*rates.values(), strict=True))
    wall, busy = (statistics.median(ours[kind] / theirs[kind] for ours, theirs in pairs) for kind in (0, 1))
    print(f"ratio {wall:.2f}, of CPU time {busy:.2f}; features differ by {apart:.1e} of the largest")


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def by_i2i(weights: Path) -> Features:
    """Features as `i2i evaluate` takes them for FID."""
    plugins = Plugins()
    builder = Builder(plugins, (0, 0))
    context = MetricContext(builder)
    choice = MetricChoice("kid", features={"name": "inception-v3", "weights": str(weights)})
    metrics = build_metrics(builder, [choice], context, scale=1)
    (metric,) = (built.metric for built in metrics.values())
    measuring = Measuring(Wanted(), context, plugins, FeatureCache(enabled=False), 0, lambda done, total: None)

    def take(files: list[Path]) -> torch.Tensor:
        folders = Folders("images", files, files[:2], (), "one folder")
        FolderEvaluation(folders, metrics, measuring).run()
        return metric.collector.fake.kept("features").float()

    return take


def by_torch_fidelity(weights: Path) -> Features:
    """Features as torch-fidelity takes them for FID."""
    network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights)).eval()

    def take(files: list[Path]) -> torch.Tensor:
        images = ImagesPathDataset([str(file) for file in files])
        return get_featuresdict_from_dataset(images, network, 64, False, False, False)["2048"]

    return take


def make(folder: Path, count: int, size: int, data: Path | None) -> list[Path]:
    """Writes the PNG files."""
    folder.mkdir()
    endings = (".jpg", ".jpeg", ".png")
    photos = sorted(path for path in data.rglob("*") if path.suffix.lower() in endings) if data else []
    rng, files = np.random.default_rng(0), []
    drawn = [] if photos else [draw_facade(number, size=size)[1][..., ::-1] for number in range(64)]
    for number in range(count):
        if photos:
            whole = cv2.imread(str(photos[number % len(photos)]))
            side = int(min(whole.shape[:2]) * rng.uniform(0.5, 1))
            top, left = (int(rng.integers(whole.shape[axis] - side + 1)) for axis in (0, 1))
            cut = whole[top : top + side, left : left + side]
            image = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA)
        else:
            image = np.clip(drawn[number % len(drawn)] + rng.integers(-8, 9, (size, size, 3)), 0, 255).astype(np.uint8)
        files.append(folder / f"{number:06d}.png")
        cv2.imwrite(str(files[-1]), image)
    return files


if __name__ == "__main__":
    main()
