"""Fixtures: small folders of real pixels, plugins, and the command line in a process of its own."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import atexit
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from i2i.data.facades import draw_facade
from i2i.plugins import Plugins
from image_files import stored  # noqa: F401  a fixture
from small_models import model, photos  # noqa: F401  fixtures

ROOT = Path(__file__).parent.parent
os.environ["I2I_CACHE"] = tempfile.mkdtemp(prefix="i2i-cache-")  # findings on the tests' folders are of no use later
atexit.register(shutil.rmtree, os.environ["I2I_CACHE"], ignore_errors=True)
torch.set_num_threads(1)  # two threads on a busy machine were ten times slower
cv2.setNumThreads(1)

TINY = [
    "data.size=32",
    "data.load_size=36",
    "train.log_every=1",
    "train.val_images=3",
    "train.sample_count=2",
    "engine.threads=1",
    "engine.precision=fp32",
    "pix2pix.generator.filters=8",
    "pix2pix.discriminator={name: patch, filters: 8, layers: 2}",
]
"""Settings that make pix2pix small enough to train in a test."""


def save(path: Path, image: np.ndarray) -> None:
    """Writes an RGB, grey or RGBA array as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if image.ndim == 3:
        image = image[..., ::-1] if image.shape[2] == 3 else image[..., [2, 1, 0, 3]]
    assert cv2.imwrite(str(path), image)


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return Plugins()


@pytest.fixture(scope="session")
def pairs_root(tmp_path_factory) -> Path:
    """Side-by-side files, label map left: 10 in train, 4 in val."""
    root = tmp_path_factory.mktemp("pairs")
    for split, start, count in (("train", 0, 10), ("val", 100, 4)):
        for index in range(count):
            save(root / split / f"{index:02d}.png", np.hstack(draw_facade(start + index, size=40)))
    return root


@pytest.fixture
def folders_root(tmp_path) -> Path:
    """Two folders with the same names: grey masks in A, colour images in B."""
    for index in range(8):
        labels, facade = draw_facade(index, size=40)
        save(tmp_path / "data" / "A" / f"{index}.png", labels[..., 2])
        save(tmp_path / "data" / "B" / f"{index}.png", facade)
    return tmp_path / "data"


@pytest.fixture
def i2i_data() -> Path:
    """The folder of real images."""
    folder = Path(os.environ.get("I2I_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real images: set I2I_DATA ({folder} is not there)")
    return folder


@pytest.fixture
def cli():
    """Runs ``i2i`` in a process of its own and returns the finished process."""

    def run(*words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "i2i", *map(str, words)],
            cwd=cwd,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run
