"""Commands of plugins on trained networks: those in `plugins/`, and the one in the documentation."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import i2i
from helpers import typed_data
from helpers.doc_blocks import PLUGINS as DOCUMENTED
from helpers.recipes import SHARED, small, train_only
from i2i.plugins import Plugins
from i2i.testing import check_component

FOLDER = Path(__file__).parent / "plugins"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A GAN of a plugin, trained for a few steps: a network `generator` from noise of length 8 to 32 x 32 pixels."""
    folder = tmp_path_factory.mktemp("gan")
    typed_data.make(folder / "data")
    sets = [*SHARED, "data.layout=images", "data.jitter=1", "train.optimizer.lr=0.02"]  # else all images are grey
    options = {"data": folder / "data/masked/images", "out": folder / "run", "sets": sets, "steps": 12}
    return train_only("anomaly", plugins=Plugins([FOLDER / "anomaly.py"]), **options).run


@pytest.fixture(scope="module")
def interpolation(tmp_path_factory):
    """The file of the documentation's plugin."""
    file = tmp_path_factory.mktemp("documented") / "interpolate.py"
    file.write_text(next(block.text for block in DOCUMENTED if '"interpolate"' in block.text))
    return file


def read(file):
    return np.asarray(Image.open(file)).astype(float)


def test_the_noise_that_inversion_finds_makes_the_image(run, cli, tmp_path):
    plugins = Plugins([FOLDER / "anomaly.py"])
    generator = i2i.load_networks(run, plugins=plugins).networks["generator"]
    image = generator(torch.randn(1, 8, generator=torch.Generator().manual_seed(1)))[0]
    pixels = ((image.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
    Image.fromarray(pixels).save(tmp_path / "image.png")
    loaded = ["-p", FOLDER / "anomaly.py", "-p", FOLDER / "inversion.py"]
    done = cli(*loaded, "run", "invert", run, "image.png", "--steps", 300, "-o", "found.npy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mean squared error ")
    found = generator(torch.from_numpy(np.load(tmp_path / "found.npy")))[0]
    start = generator(torch.zeros(1, 8))[0]
    errors = [(one - image).square().mean().item() for one in (found, start)]
    assert errors[0] < 0.05 * errors[1]


def test_interpolation_goes_from_one_image_to_another(interpolation, cli, tmp_path):
    train_only("cgan", out=tmp_path / "run", sets=[*small("cgan"), "train.optimizer.lr=0.01", "train.ema=0"], steps=12)
    done = cli("-p", interpolation, "run", "interpolate", tmp_path / "run", "--steps", 5, "-o", tmp_path / "out")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    images = [read(tmp_path / "out" / f"{number}.png") for number in range(5)]
    assert len(list((tmp_path / "out").iterdir())) == 5
    steps = [np.abs(one - other).mean() for one, other in pairwise(images)]
    assert 0 < max(steps) < np.abs(images[0] - images[-1]).mean()


def test_a_run_that_is_not_from_noise_and_one_that_is_not_there_are_told(interpolation, run, cli, tmp_path):
    words = ["-p", FOLDER / "anomaly.py", "-p", interpolation, "run", "interpolate"]
    done = cli(*words, run, "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"i2i: error: {run}: its recipe anomaly makes no images of noise\n"
    done = cli(*words, "nowhere", "-o", tmp_path / "out", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "i2i: error: nowhere: no such run folder\n")
    assert not (tmp_path / "out").exists()


def test_inversion_keeps_what_every_command_promises():
    check_component("command", "invert", plugins=Plugins([FOLDER / "inversion.py"]))
