"""Datasets of plugins: as subclasses of `i2i.Dataset`, and as classes of their own with some of its members."""

from pathlib import Path

import pytest

import i2i
from helpers.layout_folders import folders, images, spoil
from i2i.config import DataConfig
from i2i.data.adapter import AdaptedDataset
from i2i.data.batches import BatchOrder, batches
from i2i.data.checks.check_dataset import check_dataset
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.data.reading.reader import DatasetReader
from i2i.plugins import Plugins


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))


class Plain:
    """What every dataset must have, and nothing else."""

    built = ()

    def __init__(self, config, *, root, split, transform, read):
        type(self).built = (*self.built, split)
        self.transform, self.read = transform, read
        self.paths = sorted((root / split).glob("*.png"))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.transform({"target": self.read(self.paths[index])})


class Derived(Plain, i2i.Dataset):
    """The same with the base class."""


class Pairs(i2i.Dataset):
    """Pairs that know their files, and leave one out."""

    def __init__(self, config, *, root, split, transform, read):
        self.transform, self.read = transform, read
        self.pairs = [(path, root / f"{split}B" / path.name) for path in sorted((root / f"{split}A").glob("*.png"))]
        lost = str(root / "lost.png")
        self.problems = [i2i.DataError("stands alone", kind=i2i.ErrorKind.NO_PARTNER, path=lost), f"{lost}x: is odd"]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        source, target = map(self.read, self.pairs[index])
        return self.transform({"source": source, "target": target})

    def sample_files(self, index):
        return self.pairs[index]


def plugins_with(**datasets):
    plugins = Plugins()
    plugin = next(plugin for plugin in plugins.all if plugin.name == "data")
    plugin.components.extend(("dataset", i2i.Component(name, build)) for name, build in datasets.items())
    return plugins


def opened(plugins, root, layout):
    return open_data(
        DataConfig(root=str(root), size=32, layout=layout), plugins, Requirements(frozenset({"target"})), seed=0
    )


def test_what_a_class_leaves_out_has_the_default_of_the_base_class():
    plain = AdaptedDataset(Plain(None, root=Path(), split="train", transform=dict, read=None), "", DatasetReader(0))
    assert (plain.paired, plain.has_splits, plain.labels, plain.problems) == (True, True, (), [])
    assert (plain.key(3), plain.sample_files(3), plain.looks_complete) == ("3", (), True)


@pytest.mark.parametrize("dataset", [Plain, Derived])
def test_a_dataset_with_and_without_the_base_class_trains_alike_and_is_built_once_a_split(tmp_path, dataset):
    images(tmp_path)
    dataset.built = ()
    data = opened(plugins_with(own=dataset), tmp_path, "own")
    assert (len(data.train), len(data.val), data.problems) == (9, 3, [])
    assert data.train[0, 0]["target"].shape == data.val[0, 0]["target"].shape == (3, 32, 32)
    assert dataset.built == ("train", "val")


def test_files_left_out_keep_the_kind_that_the_dataset_gives_them(tmp_path):
    files = folders(tmp_path)
    both = [files[2], tmp_path / "trainB" / "02.png"]
    for path in both:
        spoil(path)
    config = DataConfig(root=str(tmp_path), size=32, layout="own", source_kind="image")
    result = check_dataset(config, plugins_with(own=Pairs), Requirements(frozenset()), everything=True)
    lost = str(tmp_path / "lost.png")
    kinds = {(finding.file, finding.kind) for finding in result.findings}
    assert kinds == {(lost, "partner"), (f"{lost}x", "unusable"), *((str(path), "truncated") for path in both)}
    assert f"{lost}: stands alone" in result.problems
    assert len(result.train.usable) == 8


class Own(i2i.DataError):
    """An error that cannot be made from its message alone."""

    def __init__(self, number, path):
        super().__init__(f"number {number}", kind=i2i.ErrorKind.CUT_OFF, path=path)


class Broken:
    """Samples of which none can be read."""

    def __len__(self):
        return 4

    def __getitem__(self, place):
        raise Own(7, "a.png")

    def preload(self):
        pass


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_loader_process_comes_with_kind_and_path(workers):
    with pytest.raises(i2i.DataError) as error:
        next(batches(Broken(), BatchOrder(4, 2, seed=0), workers))
    assert str(error.value) == "a.png: number 7"
    assert (error.value.kind, error.value.path, error.value.exit_code) == (i2i.ErrorKind.CUT_OFF, "a.png", 2)
