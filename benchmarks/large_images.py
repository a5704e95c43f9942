"""Large images through full-size networks with little memory, and what tiling changes.

    python benchmarks/large_images.py [--models DIR] [JOB]...

Jobs: ``resnet`` 4096x4096, ``srresnet`` 2048x2048 to 8192x8192, ``rrdb`` 512x512 to 2048x2048: seconds and the greatest
memory of the whole process. ``differences``: the largest and the mean difference between tiled and whole at 1024x1024,
in 1/255. The image is photo `--photo`, resized; weights are random with the variance that He et al. 2015 keep, for
with the initial ones of the papers a network's output is nearly flat.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

JOBS = {"resnet": 4096, "srresnet": 2048, "rrdb": 512}
DIFFERENCES = ("srresnet", "rrdb", "unet", "unet-of-one-image", "resnet")


def export(name: str, folder: Path) -> Path:
    """The network of that name as a file in the folder."""
    import torch
    from torch import nn

    from i2i.api import Translator
    from i2i.components import resnet, unet
    from i2i.components.inference import for_inference
    from i2i.export.onnx_file import write_onnx
    from i2i_srgan.networks import rrdb, srresnet

    path = folder / f"{name}.onnx"
    if path.exists():
        return path
    torch.manual_seed(0)
    side = 48 if "rr" in name or name == "srresnet" else 256
    size = {"in_channels": 3, "out_channels": 3, "size": (side, side)}
    if name == "resnet":
        network: nn.Module = resnet.build(resnet.ResNetConfig(), **size)
    elif name == "srresnet":
        network = srresnet.build(srresnet.SRResNetConfig(), **size)
    elif name == "rrdb":
        network = rrdb.build(rrdb.RRDBConfig(), **size)
    else:
        network = for_inference(unet.build(unet.UNetConfig(), **size), image_statistics=name != "unet")
    if name != "rrdb":  # whose initial weights are He's already
        for parameter in network.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter.data).mul_(0.6 if name == "srresnet" else 1)  # residuals add up
    write_onnx(path, Translator(network.eval(), {"image": torch.rand(1, 3, side, side) * 2 - 1}), "uint8", {})
    return path


def picture(path: Path, side: int):
    """The photo, as a square of that side."""
    import cv2

    return cv2.resize(cv2.imread(str(path)), (side, side), interpolation=cv2.INTER_CUBIC)


def run_job(name: str, model: Path, photo: Path) -> None:
    """One image, and what it took; in a process of its own."""
    from i2i.translate import load
    from i2i.translate.tiles.tiling import Tiling

    loaded, side = load(model, device="cpu"), JOBS[name]
    tiling, start = Tiling(loaded.network), time.perf_counter()
    result = tiling.translate(picture(photo, side))["image_out"]
    seconds, most = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    tile = tiling.side(side, side)
    print(f"{name}: {side} -> {result.shape[0]}, tile {tile}, {seconds:.0f} s, at most {most:.2f} GiB {tiling.notes}")


def run_difference(name: str, model: Path, photo: Path, tile: int, side: int) -> None:
    """Tiled against whole."""
    import numpy as np

    from i2i.translate import load
    from i2i.translate.tiles.tiling import Tiling

    loaded, image = load(model, device="cpu"), picture(photo, side)
    whole = Tiling(loaded.network, "none").translate(image)["image_out"].astype(int)
    apart = np.abs(Tiling(loaded.network, tile).translate(image)["image_out"] - whole)
    print(
        f"{name}: {side}x{side} in tiles of {tile}, overlap {loaded.info.receptive_field}: at most {apart.max()}, "
        f"mean {apart.mean():.4f}"
    )


def main() -> None:
    """Exports the networks and runs each job in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", help="by default all")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder where the networks are kept")
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--tile", type=int, default=256, help="of the differences")
    parser.add_argument("--side", type=int, default=1024, help="of the differences")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.models.mkdir(exist_ok=True, parents=True)
    if options.child:
        kind, name = options.child.split(":")
        if kind == "export":
            export(name, options.models)
        elif kind == "job":
            run_job(name, options.models / f"{name}.onnx", options.photo)
        else:
            run_difference(name, options.models / f"{name}.onnx", options.photo, options.tile, options.side)
        return
    wanted = options.jobs or [*JOBS, "differences"]
    tasks = [("job", job) for job in wanted if job in JOBS]
    tasks += [("difference", job.removeprefix("difference-")) for job in wanted if job.startswith("difference-")]
    tasks += [("difference", name) for name in DIFFERENCES if "differences" in wanted]
    for kind, name in tasks:
        for step in ("export", kind):
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--child", f"{step}:{name}"], check=True)


if __name__ == "__main__":
    main()
