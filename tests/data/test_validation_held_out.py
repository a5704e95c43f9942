"""Where no validation sample can be used, training samples are held out instead, and it is said."""

import json
import shutil
from pathlib import Path

import pytest

from helpers.layout_folders import LAYOUTS, side_by_side, spoil
from helpers.recipes import TINY, train_only
from i2i.config import DataConfig
from i2i.data.checks import check_dataset as check_dataset_module
from i2i.data.checks.check_dataset import check_dataset
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.runs import checkpoint as checkpoints
from i2i.runs.folder import RunFolder


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))


def opened(plugins, root, **options):
    config = DataConfig(root=str(root), **({"size": 32, "load_size": 36} | options))
    return open_data(config, plugins, Requirements(frozenset()), seed=0)


def told(data):
    """The warnings about the validation split; there may be others about the pictures."""
    return [line for line in data.warnings if line.startswith("validation: ")]


def validation_files(root):
    return [path for path in root.rglob("*.png") if path.relative_to(root).parts[0].startswith(("val", "test"))]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_samples_are_held_out_where_all_of_validation_is_unreadable(plugins, tmp_path, layout):
    LAYOUTS[layout](tmp_path)
    files = validation_files(tmp_path)
    for file in files:
        spoil(file)
    data = opened(plugins, tmp_path, layout=layout)
    assert len(data.val) >= 1 and len(data.train) + len(data.val) == 9
    assert not set(data.train.indices) & set(data.val.indices)
    assert data.val[0, 0].keys() == data.train[0, 0].keys()
    named = [file for file in files if layout != "unpaired" or file.parent.name == "testA"]  # without A, B is not read
    assert all(any(str(file) in line for line in data.problems) for file in named)
    [line] = told(data)
    assert line == (
        f"validation: the validation split has no sample that can be used: {len(data.val)} of the 9 training samples "
        "are held out instead (data.val_fraction=0.1)"
    )


def test_one_side_of_unpaired_images_is_not_enough(plugins, tmp_path):
    LAYOUTS["unpaired"](tmp_path)
    for file in (tmp_path / "testB").iterdir():
        spoil(file)
    config = DataConfig(root=str(tmp_path), size=32, load_size=36)
    data = open_data(config, plugins, Requirements(frozenset({"source", "target"}), False), seed=0)
    assert data.layout == "unpaired" and data.val[0, 0].keys() == data.train[0, 0].keys()
    assert told(data)


def test_one_readable_sample_is_enough(plugins, tmp_path):
    side_by_side(tmp_path)
    for file in sorted(validation_files(tmp_path))[1:]:
        spoil(file)
    data = opened(plugins, tmp_path)
    assert (len(data.train), len(data.val), told(data)) == (9, 1, [])


def test_a_held_out_sample_that_cannot_be_read_is_replaced_by_another(plugins, tmp_path):
    files = side_by_side(tmp_path)
    shutil.rmtree(tmp_path / "val")
    first = set(opened(plugins, tmp_path).val.indices)
    for index in first:
        spoil(files[index])
    data = opened(plugins, tmp_path)
    assert data.val.indices and not first & set(data.val.indices)
    assert set(data.train.indices) == set(range(9)) - first - set(data.val.indices)
    assert told(data)


def test_an_empty_folder_and_another_folder_count_too(plugins, tmp_path):
    side_by_side(tmp_path / "data")
    shutil.move(tmp_path / "data" / "val", tmp_path / "other")
    (tmp_path / "data" / "val").mkdir()
    [line] = told(opened(plugins, tmp_path / "data"))
    assert line.startswith("validation: the validation split has no sample: 3 of the 9 training samples are held out")
    assert told(opened(plugins, tmp_path / "data", val_root=str(tmp_path / "other"))) == []
    for file in (tmp_path / "other").iterdir():
        spoil(file)
    [line] = told(opened(plugins, tmp_path / "data", val_root=str(tmp_path / "other")))
    assert "that can be used: 3 of the 9 training samples are held out instead" in line


def test_without_a_share_to_hold_out_it_is_said_that_nothing_is_measured(plugins, tmp_path):
    side_by_side(tmp_path)
    for file in validation_files(tmp_path):
        spoil(file)
    data = opened(plugins, tmp_path, val_fraction=0)
    assert (len(data.train), len(data.val)) == (9, 0)
    assert told(data)[0].endswith("that can be used: nothing is measured, and no checkpoint is the best one")
    shutil.rmtree(tmp_path / "val")  # nobody asked for a validation
    assert told(opened(plugins, tmp_path, val_fraction=0)) == []


def test_data_check_and_training_say_it_and_there_is_a_best_checkpoint(plugins, cli, tmp_path):
    side_by_side(tmp_path / "data")
    for file in validation_files(tmp_path / "data"):
        spoil(file)
    shown, found = cli("data", "check", tmp_path / "data"), cli("data", "check", tmp_path / "data", "--json")
    assert (shown.returncode, found.returncode) == (1, 1)
    assert "6 of 6 training and 3 of 3 validation samples can be used" in shown.stdout
    assert "warning: validation: the validation split has no sample that can be used: 3 of the 9" in shown.stdout
    record = json.loads(found.stdout)
    assert record["usable"] == {"train": 6, "val": 3}
    assert (record["counts"]["truncated"], record["counts"]["validation"]) == (3, 1)
    sets = [word for line in [*TINY, "train.checkpoint_every=1"] for word in ("--set", line)]
    words = ("train", "pix2pix", "--data", tmp_path / "data", "--dry-run", *sets)
    assert "warning: validation: the validation split has no sample that can be used" in cli(*words).stderr
    options = {"data": tmp_path / "data", "out": tmp_path / "run", "steps": 2, "plugins": plugins}
    run = RunFolder(Path(train_only("pix2pix", sets=[*TINY, "train.checkpoint_every=1"], **options).run))
    assert checkpoints.best(run.checkpoints) is not None
    assert '"val/l1"' in run.metrics.read_text()


def test_the_check_of_a_part_of_the_files_holds_out_too(plugins, tmp_path):
    side_by_side(tmp_path)
    for file in validation_files(tmp_path):
        spoil(file)
    config = DataConfig(root=str(tmp_path), size=32, load_size=36, check_files=3)
    result = check_dataset(config, plugins, Requirements(frozenset()))
    assert (len(result.train.usable), len(result.val.usable)) == (6, 3)


def test_a_part_of_the_validation_samples_shows_that_none_can_be_used(plugins, tmp_path, monkeypatch):
    monkeypatch.setattr(check_dataset_module, "MIN_CHECKED", 1)
    side_by_side(tmp_path)
    for file in validation_files(tmp_path):
        spoil(file)
    config = DataConfig(root=str(tmp_path), size=32, load_size=36, check_files=2)
    result = check_dataset(config, plugins, Requirements(frozenset()))
    assert len(result.val.samples) < 3
    assert "validation" in {finding.kind for finding in result.findings}
    assert len(result.train.usable) + len(result.val.usable) == 9
