"""Training samples that are drawn as often as their dataset's weights say."""

import re
import shutil
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

import i2i
from helpers.recipes import small, train_only
from i2i.config import DataConfig, resolve
from i2i.data.batches import SKIPPED, BatchOrder, batches
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.engine import launch
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.setup import open_training
from i2i.errors import PluginError
from i2i.plugins import Plugins

PLUGIN = """
from pathlib import Path
import i2i, numpy as np

class Config(i2i.Config):
    weight: str = "1"

class Weighted(i2i.Dataset):
    gives = frozenset({"source", "target"})
    has_splits = False

    def __init__(self, config, *, root=None, split, transform):
        self.config, self.transform = config, transform

    def __len__(self):
        return 20

    def __getitem__(self, index):
        image = np.random.default_rng(index).integers(0, 256, (40, 40, 3), np.uint8)
        image[0] = image[:, 0] = index
        return self.transform({"source": image, "target": image})

    def weights(self, index):
        return eval(self.config.weight, {"index": index, "inf": float("inf"), "np": np})

class Without(Weighted):
    weights = None

class Duck:
    __init__, __len__, __getitem__ = Weighted.__init__, Weighted.__len__, Weighted.__getitem__

class OfList(Duck):
    weights = [1.0] * 20

class OfItsOwn(Duck):
    def weights(self):
        return [1.0] * 20

class Vanishing(Weighted):
    def __getitem__(self, index):
        if index % 2 and Path(__file__).with_name("gone").exists():
            raise i2i.DataError("gone")
        image = np.full((40, 40, 3), index, np.uint8)
        return self.transform({"source": image, "target": image})

@i2i.hookimpl
def i2i_datasets():
    classes = {"weighted": Weighted, "without": Without, "list": OfList, "own": OfItsOwn, "vanishing": Vanishing}
    return [i2i.Component(name, cls, Config, "X") for name, cls in classes.items()]
"""


@pytest.fixture
def plugins(tmp_path):
    (tmp_path / "weighted.py").write_text(PLUGIN)
    return Plugins([tmp_path / "weighted.py"])


def opened(plugins, weight, name="weighted"):
    config = DataConfig(layout={"name": name, "weight": weight}, size=32, jitter=1.25, val_fraction=0.2)
    return open_data(config, plugins, Requirements(frozenset({"source", "target"})), seed=0)


def drawn(weights, epochs=1, batch=5, seed=0, **more):
    order = BatchOrder(weights, batch, seed, **more)
    count = len(weights) if isinstance(weights, np.ndarray) else weights
    return [place for places in islice(iter(order), epochs * count // batch) for place in places]


@pytest.mark.parametrize("scale", [1, 1e-300, 1e300])
def test_samples_come_as_often_as_their_weights_say(scale):
    weights = np.array([0, 1, 2, 7]) * scale
    counts = Counter(position for _, position in drawn(weights, epochs=5000))
    assert counts[0] == 0
    for position, share in ((1, 0.1), (2, 0.2), (3, 0.7)):
        assert abs(counts[position] / 20_000 - share) < 4 * np.sqrt(share * (1 - share) / 20_000)


def test_the_order_goes_on_where_it_was_left_and_processes_share_it():
    weights = np.arange(1.0, 21)
    whole = drawn(weights, epochs=6, batch=4)
    assert drawn(weights, epochs=4, batch=4, taken=40) == whole[40:]
    parts = [drawn(weights, epochs=6, batch=4, rank=rank, world=2) for rank in range(2)]  # each with half of a batch
    assert [
        one
        for pair in zip(*(np.reshape(p, (-1, 2, 2)).tolist() for p in parts), strict=True)
        for half in pair
        for one in half
    ] == [list(place) for place in whole]
    assert [p for _, p in whole[:20]] != [p for _, p in whole[20:40]]
    assert drawn(weights, epochs=6, batch=4, seed=1) != whole


def test_without_weights_the_order_is_the_permutation_that_it_always_was(plugins):
    for data in (opened(plugins, "1"), opened(plugins, "0.5"), opened(plugins, "1", name="without")):
        assert data.weights is None
    expected = [(epoch, int(p)) for epoch in (0, 1) for p in np.random.default_rng((3, epoch)).permutation(20)]
    assert drawn(20, epochs=2, seed=3) == expected


def test_only_training_samples_are_weighed_and_held_out_ones_are_not_asked(plugins):
    data = opened(plugins, "index")
    assert data.weights.tolist() == data.train.indices
    assert len(data.val) > 0


def test_a_sample_that_comes_again_has_another_crop(plugins):
    data = opened(plugins, "1 if index in (3, 4, 5, 6) else 0")
    stream = batches(data.train, BatchOrder(data.weights, 4, seed=0), 0)
    images = torch.cat([next(stream)["source"] for _ in range(4)])
    assert len({image.numpy().tobytes() for image in images}) > 12


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        ("-1 if index == 7 else 1", r"weighted.*: weights\(7\) must be a finite number from 0, not -1"),
        ("inf", r"weights\(\d+\) must be a finite number from 0, not inf"),
        ("inf - inf", r"weights\(\d+\) must be a finite number from 0, not nan"),
        ("'much'", r"weights\(\d+\) must be a finite number from 0, not 'much'"),
        ("10**400", r"weights\(\d+\) must be a finite number from 0, not 10+\.\.\."),
        ("np.complex64(1j)", r"weights\(\d+\) must be a finite number from 0, not np\.complex64\(1j\)"),
        ("np.timedelta64(1, 's')", r"weights\(\d+\) must be a finite number from 0, not np\.timedelta64"),
        ("np.float16('inf')", r"weights\(\d+\) must be a finite number from 0, not np\.float16\(inf\)"),
        ("0", "weights is 0 for every training sample"),
        ("1 / 0", r"weights\(\d+\): ZeroDivisionError"),
    ],
)
def test_weights_that_are_none_are_refused_before_the_first_step(plugins, tmp_path, weight, says):
    sets = [*settings(), f'data.layout={{name: weighted, weight: "{weight}"}}']
    with pytest.raises(PluginError, match=says) as error:
        i2i.train("pix2pix", out=tmp_path / "run", sets=sets, steps=1, plugins=plugins)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.parametrize("name", ["list", "own"])
def test_something_else_of_that_name_is_not_used_and_the_run_says_so_once(plugins, tmp_path, capsys, name):
    """A dataset that was written before there were weights may have the name for something of its own."""
    data = opened(plugins, "1", name=name)
    assert data.weights is None
    [line] = [line for line in data.warnings if "weights" in line]
    assert re.fullmatch(rf"dataset '[^']*{name}.*: its weights is no method weights\(index\): not used", line)
    sets = [*settings(), f"data.layout={name}"]
    train_only("pix2pix", out=tmp_path / "run", sets=sets, steps=1, plugins=plugins)
    assert capsys.readouterr().err.count(f"warning: {line}") == 1


@pytest.mark.parametrize("name", ["weighted", "without"])
def test_a_dataset_with_weights_or_none_is_not_warned_of(plugins, name):
    assert not [line for line in opened(plugins, "1 + index", name=name).warnings if "weights" in line]


def test_no_sample_of_weight_0_replaces_one_that_vanishes(plugins, tmp_path):
    data = opened(plugins, "index % 2 or index % 4 == 0", name="vanishing")  # after an odd one may come 2, 6, 10...
    (tmp_path / "gone").touch()
    samples = [data.train[0, position] for position in range(len(data.train))]
    seen = {int(value) for sample in samples for value in sample["source"].unique()}
    assert seen == {index for index in data.train.indices if index % 4 == 0}
    assert sum(len(sample[SKIPPED]) > 0 for sample in samples) == sum(index % 2 for index in data.train.indices)


def settings():
    return [*small("pix2pix", drawn=False), "train.checkpoint_every=1", "train.keep_last=9", "data.val_fraction=0.2"]


def test_a_resumed_run_draws_the_same_samples(plugins, tmp_path):
    sets = [*settings(), "data.layout={name: weighted, weight: 1 + index}"]
    whole = train_only("pix2pix", out=tmp_path / "run", sets=sets, steps=6, plugins=plugins).run
    shutil.copytree(whole, tmp_path / "again")
    for step in range(3, 7):
        shutil.rmtree(tmp_path / f"again/checkpoints/step-{step:07d}")
    train_only(out=tmp_path / "again", resume=True, plugins=plugins)
    files = [run / "checkpoints/step-0000006/networks.safetensors" for run in (whole, tmp_path / "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_training_sees_what_is_drawn(plugins):
    """In the first row of each image, which no flip moves, is the sample's number."""
    kept = [line for line in settings() if not line.startswith(("data.size", "data.load_size"))]
    sets = [*kept, "data.size=40", "data.resize=none", "pix2pix.generator.depth=3", "train.steps=50"]
    sets.append("data.layout={name: weighted, weight: index % 3 == 1}")
    config = resolve(plugins, "pix2pix", sets=sets)
    fabric = launch(config.engine)
    training, data = open_training(config, plugins, fabric)
    steps = islice(step_batches(training, data, fabric), 50)
    rows = torch.cat([batch["source"][:, 0, 0, 0] for step in steps for batch in step])
    seen = Counter(((rows + 1) * 127.5).round().int().tolist())
    assert set(seen) == {index for index in data.train.indices if index % 3 == 1}
    assert seen.total() == 200
