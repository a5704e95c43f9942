"""One optimisation step of i2i's pix2pix against a plain loop, in one process and in turn.

The plain loop is textbook eager code: fp32, contiguous tensors, separate passes of the discriminator on the real and
the fake image, `torch.optim.Adam` as it comes. Both train the same networks from the same weights on the same batch.

    python benchmarks/train_step.py [--size 256] [--filters 64] [--batch 1] [--rounds 8] [--threads 2] [--device cpu]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import l1_loss

from i2i.config import resolve
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.engine import launch
from i2i.engine.setup import build_training
from i2i.engine.state import Training
from i2i.plugins import Plugins
from i2i_samples.facades import draw_facade

Batch = dict[str, torch.Tensor]


def main() -> None:
    """Prints a table: median seconds a step, and the ratio to the plain loop, round by round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("size", 256), ("filters", 64), ("batch", 1), ("rounds", 8), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for index in range(4):
            cv2.imwrite(f"{folder}/{index}.png", np.hstack(draw_facade(index, size=options.size)))
        fp32 = training(Path(folder), options)
        unwatched = training(Path(folder), options, "train.health=false")
        bf16 = training(Path(folder), options, "engine.precision=bf16")
    device = fp32.context.device
    batch = {
        key: torch.rand(options.batch, 3, options.size, options.size, device=device) * 2 - 1
        for key in ("source", "target")
    }
    contenders = {
        "plain loop, fp32": plain_loop(fp32, batch),
        "i2i, fp32": lambda: fp32.train_step([batch]),
        "i2i, fp32, unwatched": lambda: unwatched.train_step([batch]),
        "i2i, bf16": lambda: bf16.train_step([batch]),
    }
    report(measure(contenders, options.rounds, device), options, device)


def training(folder: Path, options: argparse.Namespace, *more: str) -> Training:
    """An i2i training run in memory."""
    plugins = Plugins()
    sets = [
        f"data.root={folder}",
        "data.layout=side-by-side",
        f"data.size={options.size}",
        f"pix2pix.generator.filters={options.filters}",
        f"pix2pix.discriminator.filters={options.filters}",
        f"train.batch_size={options.batch}",
        f"engine.threads={options.threads}",
        f"engine.device={options.device}",
        "engine.precision=fp32",
        "train.steps=1000000",
        *more,
    ]
    config = resolve(plugins, "pix2pix", sets=sets)
    fabric = launch(config.engine)
    return build_training(config, plugins, open_data(config.data, plugins, Requirements(frozenset()), seed=0), fabric)


def plain_loop(run: Training, batch: Batch) -> Callable[[], None]:
    """The textbook step on copies of the same networks."""
    from copy import deepcopy

    generator, discriminator = (deepcopy(run.modules[name]).train() for name in ("generator", "discriminator"))
    for network in (generator, discriminator):
        network.to(memory_format=torch.contiguous_format).requires_grad_(True)
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    source, target = batch["source"], batch["target"]

    def step() -> None:
        fake = generator(source)
        discriminator.requires_grad_(True)
        optimizer_d.zero_grad()
        judged_fake = discriminator(torch.cat([source, fake.detach()], 1))
        judged_real = discriminator(torch.cat([source, target], 1))
        loss_fake = cross_entropy(judged_fake, torch.zeros_like(judged_fake))
        loss_real = cross_entropy(judged_real, torch.ones_like(judged_real))
        ((loss_fake + loss_real) * 0.5).backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        optimizer_g.zero_grad()
        judged = discriminator(torch.cat([source, fake], 1))
        (cross_entropy(judged, torch.ones_like(judged)) + 100 * l1_loss(fake, target)).backward()
        optimizer_g.step()

    return step


def measure(contenders: dict[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of a step for each contender in each round; they take turns, after two rounds of warming up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(rounds + 2):
        for name, step in contenders.items():
            synchronise(device)
            begin = time.perf_counter()
            step()
            synchronise(device)
            if round_number >= 2:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def synchronise(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def report(seconds: dict[str, list[float]], options: argparse.Namespace, device: torch.device) -> None:
    """Prints the table."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    amx = bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16"))
    print(
        f"pix2pix step, {options.size}x{options.size}, batch {options.batch}, {options.filters} filters, {name}, ",
        end="",
    )
    print(f"{torch.get_num_threads()} threads, AMX {'yes' if amx else 'no'}, torch {torch.__version__}")
    plain = seconds["plain loop, fp32"]
    print(f"{'':22}{'s/step':>10}{'speed-up':>10}   (median of {len(plain)} rounds; speed-up round by round)")
    for name, times in seconds.items():
        ratio = statistics.median(p / t for p, t in zip(plain, times, strict=True))
        print(f"{name:22}{statistics.median(times):10.3f}{ratio:10.2f}")


if __name__ == "__main__":
    main()
