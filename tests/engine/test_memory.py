"""Out of memory is one line with a way out, and `batch_size=auto` finds what fits."""

import re

import pytest

import i2i
from helpers.recipes import TINY, train_only
from i2i.config import resolve
from i2i.errors import TrainingError
from i2i.plugins import Plugins

HUNGRY = '''
import torch
from torch import nn

import i2i
from i2i.engine.device import memory


class Config(i2i.Config):
    most: int = 1000


class Hungry(nn.Module):
    """Takes 64 MiB a sample, and the whole address space for more than some samples."""

    def __init__(self, config, channels):
        super().__init__()
        self.most, self.paint = config.most, nn.Conv2d(*channels, 1)

    def forward(self, image):
        if len(image) > self.most:
            torch.empty(2**50)
        food = torch.ones(len(image), 2**24) * self.paint.weight.sum()
        return self.paint(image) + 0 * food.mean()


memory.available = lambda device: 800 * 2**20


def build(config, *, in_channels, out_channels, size):
    return Hungry(config, (in_channels, out_channels))


@i2i.hookimpl
def i2i_generators():
    return [i2i.Component("hungry", build, Config)]
'''
STOP = [*TINY, "train.max_hours=1e-9", "train.steps=2"]


@pytest.fixture
def hungry(tmp_path):
    (tmp_path / "hungry.py").write_text(HUNGRY)
    return tmp_path / "hungry.py"


def options(*sets):
    return [word for line in sets for word in ("--set", line)]


def test_out_of_memory_names_batch_size_and_a_way_out(pairs_root, tmp_path, hungry, cli):
    words = ["-p", hungry, "train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "run"]
    done = cli(*words, *options(*STOP, "pix2pix.generator={name: hungry, most: 3}", "batch_size=8"))
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if "error" in line]
    assert "out of memory at step 0: batch_size 8 at 32 x 32 on cpu" in line
    assert "--set train.batch_size=4 --set train.accumulate=2" in line
    assert "engine.precision=bf16" in line
    assert not (tmp_path / "run").exists()


def test_out_of_memory_at_batch_1_advises_smaller_images(pairs_root, tmp_path, hungry):
    sets = [*STOP, "pix2pix.generator={name: hungry, most: 0}", "data.size=[32,64]", "data.load_size=null"]
    with pytest.raises(TrainingError, match="batch_size 1 at 32 x 64") as caught:
        i2i.train("pix2pix", data=pairs_root, sets=sets, dry_run=True, plugins=Plugins([str(hungry)]))
    assert "train.batch_size" not in str(caught.value)
    assert "a smaller data.size needs less" in str(caught.value)


def test_the_batch_that_fits_is_found_and_written_into_the_configuration(pairs_root, tmp_path, hungry, cli):
    words = ["-p", hungry, "train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "run"]
    done = cli(*words, *options(*STOP, "pix2pix.generator={name: hungry}", "batch_size=auto"))
    assert done.returncode == 0, done.stderr
    found = int(re.search(r"train.batch_size=auto: (\d+), (\d+) MiB a sample", done.stderr)[1])
    # 70 % of 800 MiB, each sample 64 MiB twice; gradients and buffers take a part
    assert 2 <= found <= 5
    assert f"batch_size: {found}\n" in (tmp_path / "run" / "config.yaml").read_text()


def test_a_small_data_set_is_one_batch_and_trains_as_if_the_number_had_been_given(pairs_root, tmp_path, capfd):
    runs = [
        i2i.train("pix2pix", data=pairs_root, out=tmp_path / value, sets=[*STOP, f"batch_size={value}"]).run
        for value in ("auto", "10")
    ]
    assert "train.batch_size=auto: 10, as many as there are samples" in capfd.readouterr().err
    files = [run / "checkpoints" / "step-0000001" / "networks.safetensors" for run in runs]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert (runs[0] / "config.yaml").read_text() == (runs[1] / "config.yaml").read_text()
    again = train_only(out=runs[0], resume=True, sets=["batch_size=auto"])  # the same command again
    assert again.step == 2


def test_a_batch_size_is_a_number_from_1_or_auto(plugins):
    assert resolve(plugins, "pix2pix", sets=["batch_size=auto"]).to_dict()["train"]["batch_size"] == "auto"
    for wrong in ("0", "-1", "most"):
        with pytest.raises(i2i.ConfigError, match=r"train\.batch_size: input should be"):
            resolve(plugins, "pix2pix", sets=[f"batch_size={wrong}"])
