"""Whether settings that make a training faster leave its result as it is: validation L1 on the drawn facades.

Each setting trains the same steps from the same seeds as plain fp32, which is `engine.tune=off` with contiguous
weights. The three seeds tell how much the result varies by itself.

    python benchmarks/settings_quality.py [--steps 300] [--seeds 3] [--size 64] [--filters 16] [--threads 1] [--compile]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import tempfile
from pathlib import Path

import torch

import i2i

PLAIN = "plain fp32"


def main() -> None:
    """Prints the L1 of each setting and seed, their mean, and its ratio to that of plain fp32."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("steps", 300), ("seeds", 3), ("size", 64), ("filters", 16), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--compile", action="store_true", help="try compiled networks too")
    options = parser.parse_args()
    settings = {
        PLAIN: ["engine.tune=off", "engine.precision=fp32", "engine.memory_format=contiguous"],
        "tuned fp32": ["engine.tune=auto", "engine.precision=fp32", "engine.memory_format=contiguous"],
        "tuned fp32, channels last": ["engine.precision=fp32", "engine.memory_format=channels_last"],
        "bf16": ["engine.precision=bf16", "engine.memory_format=contiguous"],
        "bf16, channels last": ["engine.precision=bf16", "engine.memory_format=channels_last"],
    }
    if options.compile:
        settings["compiled fp32"] = ["engine.precision=fp32", "engine.compile=true"]
    print(f"pix2pix with a ResNet, {options.size} pixels, {options.steps} steps, torch {torch.__version__}")
    found: dict[str, list[float]] = {}
    for title, sets in settings.items():
        found[title] = [validation_l1(sets, seed, options) for seed in range(options.seeds)]
        ratio = statistics.fmean(found[title]) / statistics.fmean(found[PLAIN])
        values = " ".join(f"{value:.4f}" for value in found[title])
        print(f"{title:28}{values}  mean {statistics.fmean(found[title]):.4f}  ratio {ratio:.3f}", flush=True)


def validation_l1(sets: list[str], seed: int, options: argparse.Namespace) -> float:
    """Mean absolute error of the validation after a training with these settings; its own lines are not shown."""
    common = [
        "data.layout=facades",
        f"data.size={options.size}",
        "train.batch_size=2",
        "pix2pix.generator=resnet",  # its last convolution is one of those that go by rows
        "pix2pix.generator.blocks=3",
        f"pix2pix.generator.filters={options.filters}",
        f"pix2pix.discriminator.filters={options.filters}",
        f"engine.threads={options.threads}",
    ]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        out = Path(folder) / "run"
        return i2i.train("pix2pix", out=out, steps=options.steps, seed=seed, sets=[*common, *sets]).metrics["l1"]


if __name__ == "__main__":
    main()
