"""Optimisation steps of i2i against textbook loops of the same networks: where the ratio is above 1, i2i is faster.

A textbook loop is eager PyTorch as tutorials have it: fp32, contiguous tensors, `torch.optim.Adam` as it comes, the
discriminator called on real and generated images apart. It starts from the weights of i2i's networks. Every contender
is a process of its own, as some settings are those of a process; they make their steps in turn, and CPU time counts.

    python benchmarks/train_step.py [--cases pix2pix-256 srresnet] [--rounds 5] [--threads 1] [--set OPTION=VALUE ...]
                                    [--other PYTHON]

`--other` is the interpreter of another installation of i2i, such as that of an older version, and adds its step.
"""

from __future__ import annotations

import argparse
import copy
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import l1_loss, mse_loss, one_hot, relu
from torch.nn.utils.parametrize import is_parametrized

Batch = dict[str, Tensor]
Networks = dict[str, nn.Module]
Step = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A training to be timed: recipe, options, images a step, and its textbook loop."""

    recipe: str
    sets: tuple[str, ...]
    batch: int
    textbook: Callable[[Networks, Batch], Step]


def adam(*networks: nn.Module, lr: float = 2e-4, beta1: float = 0.5) -> torch.optim.Adam:
    """The optimiser as it comes."""
    return torch.optim.Adam([p for one in networks for p in one.parameters()], lr=lr, betas=(beta1, 0.999))


def pix2pix(networks: Networks, batch: Batch) -> Step:
    """Isola et al. 2017, equations 1 and 4: discriminator first, its loss halved."""
    generator, discriminator = networks["generator"], networks["discriminator"]
    optimizer_g, optimizer_d = adam(generator), adam(discriminator)
    source, target = batch["source"], batch["target"]

    def step() -> None:
        fake = generator(source)
        discriminator.requires_grad_(True)
        optimizer_d.zero_grad()
        loss_fake = judged(discriminator(torch.cat([source, fake.detach()], 1)), 0)
        loss_real = judged(discriminator(torch.cat([source, target], 1)), 1)
        ((loss_fake + loss_real) * 0.5).backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        optimizer_g.zero_grad()
        adversarial = judged(discriminator(torch.cat([source, fake], 1)), 1)
        (adversarial + 100 * l1_loss(fake, target)).backward()
        optimizer_g.step()

    return step


def cyclegan(networks: Networks, batch: Batch) -> Step:
    """Zhu et al. 2017, equation 3 with identity losses (section 5.2) and a history of 50 images (section 4)."""
    a_to_b, b_to_a = networks["AtoB"], networks["BtoA"]
    judges = {"A": networks["discriminator_A"], "B": networks["discriminator_B"]}
    optimizer_g, optimizer_d = adam(a_to_b, b_to_a), adam(*judges.values())
    real = {"A": batch["source"], "B": batch["target"]}
    history: dict[str, list[Tensor]] = {"A": [], "B": []}

    def shown(side: str, image: Tensor) -> Tensor:
        if len(history[side]) < 50:
            history[side].append(image)
            return image
        if random.random() < 0.5:
            return image
        place = random.randrange(50)
        old, history[side][place] = history[side][place], image
        return old

    def step() -> None:
        fake = {"B": a_to_b(real["A"]), "A": b_to_a(real["B"])}
        for judge in judges.values():
            judge.requires_grad_(False)
        optimizer_g.zero_grad()
        loss = square(judges["B"](fake["B"]), 1) + square(judges["A"](fake["A"]), 1)
        loss = loss + 10 * (l1_loss(b_to_a(fake["B"]), real["A"]) + l1_loss(a_to_b(fake["A"]), real["B"]))
        loss = loss + 5 * (l1_loss(b_to_a(real["A"]), real["A"]) + l1_loss(a_to_b(real["B"]), real["B"]))
        loss.backward()
        optimizer_g.step()
        optimizer_d.zero_grad()
        for side, judge in judges.items():
            judge.requires_grad_(True)
            old = shown(side, fake[side].detach())
            ((square(judge(real[side]), 1) + square(judge(old), 0)) * 0.5).backward()
        optimizer_d.step()

    return step


def cut(networks: Networks, batch: Batch) -> Step:
    """Park et al. 2020, section 3, with identity: lambda 1 for both contrastive losses."""
    return contrastive(networks, batch, weight=1.0, identity=True)


def fastcut(networks: Networks, batch: Batch) -> Step:
    """Park et al. 2020, section 3, without identity: lambda 10, half of the images mirrored."""
    return contrastive(networks, batch, weight=10.0, identity=False)


def contrastive(networks: Networks, batch: Batch, *, weight: float, identity: bool) -> Step:
    """Park et al. 2020: features of inputs and outputs by the encoder, of 256 patches in each of five layers."""
    generator, discriminator, projection = (networks[n] for n in ("generator", "discriminator", "projection"))
    optimizer_d, optimizer_g, optimizer_f = adam(discriminator), adam(generator), adam(projection)
    source, target = batch["source"], batch["target"]

    def patches(images: Tensor, places: list[Tensor] | None, mirrored: bool) -> tuple[list[Tensor], list[Tensor]]:
        maps, x = [], images
        for number, layer in enumerate(list(generator)[:17]):
            x = layer(x)
            if number in (0, 4, 8, 12, 16):
                maps.append(x.flip(3) if mirrored else x)
        rows = [x.permute(0, 2, 3, 1).flatten(1, 2) for x in maps]
        places = places or [torch.randperm(row.shape[1])[:256] for row in rows]
        made = [f(row[:, place]) for f, row, place in zip(projection.maps, rows, places, strict=True)]
        return [x / (x.norm(dim=2, keepdim=True) + 1e-7) for x in made], places

    def nce(inputs: Tensor, outputs: Tensor, mirrored: bool) -> Tensor:
        keys, places = patches(inputs, None, False)
        queries, _ = patches(outputs, places, mirrored)
        losses = []
        for key, query in zip(keys, queries, strict=True):
            logits = (query @ key.detach().transpose(1, 2) / 0.07).flatten(0, 1)
            losses.append(nn.functional.cross_entropy(logits, torch.arange(key.shape[1]).repeat(len(key))))
        return weight * torch.stack(losses).mean()

    def step() -> None:
        mirrored = not identity and random.random() < 0.5
        real = torch.cat([source, target]) if identity else source
        made = generator(real.flip(3) if mirrored else real)
        fake = made[: len(source)]
        discriminator.requires_grad_(True)
        optimizer_d.zero_grad()
        ((square(discriminator(fake.detach()), 0) + square(discriminator(target), 1)) * 0.5).backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        optimizer_g.zero_grad()
        optimizer_f.zero_grad()
        loss = square(discriminator(fake), 1) + nce(source, fake, mirrored)
        if identity:
            loss = loss + nce(target, made[len(source) :], mirrored)
        loss.backward()
        optimizer_g.step()
        optimizer_f.step()

    return step


def srresnet(networks: Networks, batch: Batch) -> Step:
    """Ledig et al. 2017, equation 4."""
    generator = networks["generator"]
    optimizer = adam(generator, lr=1e-4, beta1=0.9)

    def step() -> None:
        optimizer.zero_grad()
        mse_loss(generator(batch["source"]), batch["target"]).backward()
        optimizer.step()

    return step


def srgan(networks: Networks, batch: Batch) -> Step:
    """Ledig et al. 2017, equation 3 with the pixel loss as content (SRGAN-MSE): no weights need be downloaded."""
    generator, discriminator = networks["generator"], networks["discriminator"]
    optimizer_g = adam(generator, lr=1e-4, beta1=0.9)
    optimizer_d = adam(discriminator, lr=1e-4, beta1=0.9)
    target = batch["target"]

    def step() -> None:
        fake = generator(batch["source"])
        discriminator.requires_grad_(True)
        optimizer_d.zero_grad()
        (judged(discriminator(target), 1) + judged(discriminator(fake.detach()), 0)).backward()
        optimizer_d.step()
        discriminator.requires_grad_(False)
        optimizer_g.zero_grad()
        (mse_loss(fake, target) + 1e-3 * judged(discriminator(fake), 1)).backward()
        optimizer_g.step()

    return step


def spade(networks: Networks, batch: Batch) -> Step:
    """Park et al. 2019, as its code goes about it: the generator first, then an image made anew for the discriminator.

    Hinge loss and feature matching, without the perceptual loss, whose weights would have to be downloaded.
    """
    generator, discriminator = networks["generator"], networks["discriminator"]
    rates = (generator, 1e-4), (discriminator, 4e-4)
    optimizer_g, optimizer_d = (torch.optim.Adam(one.parameters(), lr=lr, betas=(0.0, 0.9)) for one, lr in rates)
    target, labels = batch["target"], one_hot(batch["source"], 35).permute(0, 3, 1, 2).float()

    def both(fake: Tensor) -> list[tuple[list[Tensor], list[Tensor]]]:
        pairs = torch.cat([torch.cat([labels, fake], 1), torch.cat([labels, target], 1)])
        scales = [[tensor.chunk(2) for tensor in scale] for scale in discriminator(pairs)]
        return [([made for made, _ in scale], [true for _, true in scale]) for scale in scales]

    def step() -> None:
        optimizer_g.zero_grad()
        scales = both(generator(labels))
        loss = sum(-made[0].mean() for made, _ in scales) / len(scales)
        for made, true in scales:
            for one, other in zip(made[1:], true[1:], strict=True):
                loss = loss + 10 * l1_loss(one, other.detach()) / len(scales)
        loss.backward()
        optimizer_g.step()
        with torch.no_grad():
            fake = generator(labels)
        optimizer_d.zero_grad()
        scales = both(fake)
        hinges = [relu(1 + made[0]).mean() + relu(1 - true[0]).mean() for made, true in scales]
        (sum(hinges) / len(scales)).backward()
        optimizer_d.step()

    return step


def judged(logits: Tensor, target: float) -> Tensor:
    """Binary cross-entropy of logits with one answer for all of them."""
    return cross_entropy(logits, torch.full_like(logits, target))


def square(logits: Tensor, target: float) -> Tensor:
    """Squared distance of logits from one answer for all of them."""
    return mse_loss(logits, torch.full_like(logits, target))


SRGAN_MSE = ("srgan.pretrain=0", "srgan.features=null", "srgan.pixel=1")
CASES = {
    "pix2pix-256": Case("pix2pix", ("data.size=256",), 1, pix2pix),
    "cyclegan-128": Case("cyclegan", ("data.size=128", "cyclegan.generator.blocks=9"), 1, cyclegan),
    "cyclegan-256": Case("cyclegan", ("data.size=256", "cyclegan.generator.blocks=9"), 1, cyclegan),
    "cut-128": Case("cut", ("data.size=128", "cut.nce=1", "cut.nce_identity=1"), 1, cut),
    "fastcut-128": Case("fastcut", ("data.size=128",), 1, fastcut),
    "srresnet": Case("srresnet", ("data.size=96",), 16, srresnet),
    "spade-128": Case("spade", ("data.size=128", "data.layout=folders", "spade.features=null"), 1, spade),
    "srgan": Case("srgan", ("data.size=96", *SRGAN_MSE), 16, srgan),
}


def main() -> None:
    """Prints a table for each case: median seconds of CPU a step, the ratio to the textbook loop, peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", nargs="+", default=[], metavar="OPTION=VALUE", help="for a second i2i, beside fp32")
    parser.add_argument("--other", help="the interpreter of another installation of i2i")
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker[:2], options.worker[2:], options.threads)
        return
    amx = bool(getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16"))
    threads = f"{options.threads} thread{'s' if options.threads > 1 else ''}"
    print(f"{cpu_name()}, AMX {'yes' if amx else 'no'}, {threads}, torch {torch.__version__}")
    for name in options.cases:
        report(name, measure(name, options))


def cpu_name() -> str:
    """The CPU's name as Linux tells it, or "unknown CPU"."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown CPU")


def work(name: str, who: str, sets: list[str], threads: int) -> None:
    """Makes a step for each line on stdin, and says its seconds of CPU and the peak of memory in MiB."""
    torch.set_num_threads(threads)
    step = contender(CASES[name], who, [*sets, f"engine.threads={threads}"])
    for _ in sys.stdin:
        begin = time.process_time()
        step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(time.process_time() - begin, peak, flush=True)


def contender(case: Case, who: str, sets: list[str]) -> Step:
    """The step of a textbook loop or of i2i."""
    from i2i.config import resolve
    from i2i.data.detect import Requirements
    from i2i.data.loading import open_data
    from i2i.engine import launch
    from i2i.engine.setup import build_training
    from i2i.plugins import Plugins

    plugins = Plugins()
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), case.recipe)
        common = [f"data.root={folder}", f"train.batch_size={case.batch}", "train.steps=1000000"]
        config = resolve(plugins, case.recipe, sets=[*common, *case.sets, *sets])
        process: Any
        if who == "textbook":
            from i2i.components.processes import SingleProcess

            process = SingleProcess(torch.device("cpu"))  # `launch` would change settings of the process
        else:
            process = launch(config.engine)
        kinds: Any = {"source": "labels"} if case.recipe == "spade" else {}
        data = open_data(config.data, plugins, Requirements(frozenset(), kinds=kinds), seed=0)
        training = build_training(config, plugins, data, process)
    torch.manual_seed(0)
    shape = {key: (case.batch, *value.shape[1:]) for key, value in training.data.sample.items() if value.ndim == 4}
    batch = {key: torch.rand(size) * 2 - 1 for key, size in shape.items()}
    maps = {key: value.shape[1:] for key, value in training.data.sample.items() if value.ndim == 3}
    batch |= {key: torch.randint(0, 20, (case.batch, *size)) for key, size in maps.items()}
    if who == "textbook":
        return case.textbook({name: plain(module) for name, module in training.modules.items()}, batch)
    return lambda: training.train_step([batch])


def plain(module: nn.Module) -> nn.Module:
    """A copy with contiguous weights and torch's own convolutions."""
    module = copy.deepcopy(module).to(memory_format=torch.contiguous_format).requires_grad_(True)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d) and not is_parametrized(layer):
            layer.__class__ = nn.Conv2d
    return module.train()


def draw(folder: Path, recipe: str) -> None:
    """Some images in the layout that a recipe takes."""
    paired, unpaired = ("pix2pix", "spade"), ("cyclegan", "cut", "fastcut")
    names = dict.fromkeys(paired, ("A", "B")) | dict.fromkeys(unpaired, ("trainA", "trainB"))
    for number in range(4):
        picture = np.random.default_rng(number).integers(0, 256, (300, 300, 3), np.uint8)
        for name in names.get(recipe, (".",)):
            (folder / name).mkdir(exist_ok=True)
            of_labels = recipe == "spade" and name == "A"
            cv2.imwrite(str(folder / name / f"{number}.png"), picture[..., 0] % 20 if of_labels else picture)


def measure(name: str, options: argparse.Namespace) -> dict[str, list[tuple[float, int]]]:
    """Seconds and peak memory of each contender in each round; they take turns, after a round of warming up."""
    fp32 = "engine.precision=fp32"
    commands = {"textbook, fp32": [sys.executable, "textbook", fp32]}
    if options.other:
        commands["other i2i, fp32"] = [options.other, "i2i", fp32]
    commands["i2i, fp32"] = [sys.executable, "i2i", fp32]
    if options.set:
        commands["i2i, " + " ".join(options.set)] = [sys.executable, "i2i", *options.set]
    processes = {}
    for title, (python, who, *sets) in commands.items():
        words = [python, __file__, "--threads", str(options.threads), "--worker", name, who, *sets]
        processes[title] = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found: dict[str, list[tuple[float, int]]] = {title: [] for title in commands}
    try:
        for number in range(options.rounds + 1):
            for title, process in processes.items():
                assert process.stdin and process.stdout
                print("step", file=process.stdin, flush=True)
                seconds, peak = process.stdout.readline().split()
                if number:
                    found[title].append((float(seconds), int(peak)))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    return found


def report(name: str, found: dict[str, list[tuple[float, int]]]) -> None:
    """Prints the table of a case; ratios are medians of those of the rounds."""
    first = next(iter(found.values()))
    print(f"\n{name}, median of {len(first)} rounds\n{'':30}{'s/step':>10}{'ratio':>8}{'MiB':>8}")
    for title, rounds in found.items():
        ratio = statistics.median(one[0] / own[0] for one, own in zip(first, rounds, strict=True))
        seconds = statistics.median(own[0] for own in rounds)
        print(f"{title:30}{seconds:10.3f}{ratio:8.2f}{max(own[1] for own in rounds):8}", flush=True)


if __name__ == "__main__":
    main()
