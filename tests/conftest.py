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

from helpers.command import Command
from helpers.image_files import save, stored  # noqa: F401  stored is a fixture
from helpers.paths import DATA
from helpers.small_models import model, photos  # noqa: F401  fixtures
from i2i.plugins import Plugins
from i2i_samples.facades import draw_facade

os.environ["I2I_CACHE"] = tempfile.mkdtemp(prefix="i2i-cache-")  # findings on the tests' folders are of no use later
atexit.register(shutil.rmtree, os.environ["I2I_CACHE"], ignore_errors=True)
torch.set_num_threads(1)  # two threads on a busy machine were ten times slower
cv2.setNumThreads(1)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: many tests wait for commands and do not compute."""
    return (os.cpu_count() or 1) + 1


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
    if not DATA.is_dir():
        pytest.skip(f"no real images: set I2I_DATA ({DATA} is not there)")
    return DATA


@pytest.fixture
def cli():
    """Runs ``i2i`` in a process of its own that has imported torch already, and returns the finished process."""

    def run(*words: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return Command(*words, cwd=cwd, **environment).completed()

    return run


@pytest.fixture
def cold_cli():
    """Runs ``python -m i2i`` as a shell would, for what happens at the start; importing what trains takes 10 s."""

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
