"""A data folder that is not clean: what is found, what is left out by name, and what is remembered of it."""

import json
import shutil
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

import i2i
from helpers.image_files import save
from helpers.layout_folders import LAYOUTS, SIZE, folders, images, pictures, side_by_side, spoil, unpaired
from helpers.recipes import OWN, TINY, train_only
from i2i.config import DataConfig, resolve
from i2i.data.batches import SKIPPED, collate
from i2i.data.checks.check_dataset import check_dataset
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.data.reading import cache
from i2i.errors import DataError
from i2i.plugins import Plugins


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def checked(plugins, root, **options):
    pictures = {"source_kind": "image", "target_kind": "image"}  # drawn with few colours
    config = DataConfig(root=str(root), **({"size": 32, "load_size": 36} | pictures | options))
    return check_dataset(config, plugins, Requirements(frozenset()), everything=True)


def found(plugins, root, **options):
    return sorted((Path(f.file).name, f.kind, f.split) for f in checked(plugins, root, **options).findings)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_clean_folder_of_every_layout_has_no_findings(plugins, tmp_path, layout):
    LAYOUTS[layout](tmp_path / "data")
    result = checked(plugins, tmp_path / "data")
    assert (result.layout, result.findings, result.refusal) == (layout, [], "")
    assert result.samples == {"train": 9, "val": 3}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cut_empty_and_foreign_files_are_named_in_every_layout(plugins, tmp_path, layout):
    files = LAYOUTS[layout](tmp_path / "data")
    spoil(files[1])
    files[4].write_bytes(b"")
    files[6].write_text("no picture at all")
    result = checked(plugins, tmp_path / "data", layout=layout)
    kinds = {(Path(f.file).name, f.kind) for f in result.findings}
    assert kinds == {(files[1].name, "truncated"), (files[4].name, "truncated"), (files[6].name, "unreadable")}
    assert len(result.train.usable) == 6
    assert all(str(files[n]) in " ".join(result.problems) for n in (1, 4, 6))


def test_both_files_of_a_pair_are_named_when_both_are_bad(plugins, tmp_path):
    files = folders(tmp_path / "data")
    both = [files[2], tmp_path / "data" / "trainB" / "02.png"]
    for path in both:
        spoil(path)
    result = checked(plugins, tmp_path / "data")
    assert sorted(f.file for f in result.findings) == sorted(map(str, both))
    assert len(result.train.usable) == 8


def test_pairs_that_do_not_fit_are_left_out(plugins, tmp_path):
    root = tmp_path / "data"
    folders(root)
    save(root / "trainB" / "03.png", pictures(1)[0][1][:20])
    save(root / "trainA" / "alone.png", pictures(1)[0][0])
    save(root / "trainA" / "05.bmp", pictures(1)[0][0])
    assert found(plugins, root) == [
        ("03.png", "size", "train"),
        ("05.bmp", "name", "train"),
        ("alone.png", "partner", "train"),
    ]
    side_by_side(tmp_path / "wide")
    save(tmp_path / "wide" / "train" / "03.png", np.hstack(pictures(1)[0])[:, 1:])
    assert found(plugins, tmp_path / "wide") == [("03.png", "size", "train")]


def test_numbers_of_channels_that_no_image_has_are_left_out(plugins, tmp_path):
    files = images(tmp_path / "data")
    np.save(files[0].with_suffix(".npy"), np.zeros((SIZE, SIZE, 5), np.uint8))
    assert found(plugins, tmp_path / "data") == [("00.npy", "channels", "train")]


def test_images_unlike_most_are_told_and_kept(plugins, tmp_path):
    files = images(tmp_path / "data")
    save(files[0], pictures(1)[0][1][..., 0])
    save(files[1], pictures(2)[1][1].astype(np.uint16) * 257)
    result = checked(plugins, tmp_path / "data")
    assert [(Path(f.file).name, f.kind) for f in result.findings] == [("00.png", "mode"), ("01.png", "mode")]
    assert "00.png: grey, and most targets are RGB" in result.findings[0].line
    assert len(result.train.usable) == 9


LABELLED = """
import numpy as np
import i2i


class Labelled:
    gives = frozenset({"target", "label"})
    labels = ("old", "new")

    def __init__(self, config, *, root, split, transform, read):
        self.transform, self.read = transform, read
        self.paths = sorted((root / split).glob("*.png"))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        stem = self.paths[index].stem
        label = np.full((1, 4, 4), int(stem) % 4) if stem == "07" else 2 if stem in ("02", "05") else index % 2
        return self.transform({"target": self.read(self.paths[index]), "label": label})


@i2i.hookimpl
def i2i_datasets():
    return [i2i.Component("labelled", Labelled, summary="numbers some classes wrong")]
"""


def test_labels_out_of_range_are_left_out_by_name(tmp_path):
    images(tmp_path / "data")
    (tmp_path / "labelled.py").write_text(LABELLED)
    plugins = Plugins([str(tmp_path / "labelled.py")])
    result = checked(plugins, tmp_path / "data", layout="labelled")
    assert [(Path(f.file).name, f.kind) for f in result.findings] == [(f"{n}.png", "label") for n in ("02", "05", "07")]
    assert result.findings[0].reason == "label is 2, and the dataset's labels are 2, from 0"
    assert result.findings[2].reason == "label has the value 3, and the dataset's labels are 2, from 0"
    assert len(result.train.usable) == 6


def test_copies_of_training_pictures_in_validation_are_told(plugins, tmp_path):
    files = images(tmp_path / "data")
    shutil.copy(files[3], tmp_path / "data" / "val" / "copy.png")
    cv2.imwrite(str(tmp_path / "data" / "val" / "same.bmp"), cv2.imread(str(files[4])))
    result = checked(plugins, tmp_path / "data")
    assert [(Path(f.file).name, f.kind, f.split) for f in result.findings] == [
        ("copy.png", "duplicate", "val"),
        ("same.bmp", "duplicate", "val"),
    ]
    assert f"has the pixels of a training sample, {files[3]}" in result.findings[0].line
    [line] = result.warnings
    assert line.startswith("2 validation samples are in the training data too")


def test_pairs_are_copies_only_when_both_images_are(plugins, tmp_path):
    root = tmp_path / "data"
    folders(root)
    shutil.copy(root / "trainA" / "01.png", root / "valA" / "01.png")
    assert found(plugins, root) == []
    shutil.copy(root / "trainB" / "01.png", root / "valB" / "01.png")
    shutil.move(root / "valA" / "01.png", root / "valA" / "x.png")
    shutil.move(root / "valB" / "01.png", root / "valB" / "x.png")
    assert found(plugins, root) == [("x.png", "duplicate", "val")]


@pytest.mark.parametrize("again", ["decoded", "remembered"])
def test_the_share_of_constant_targets_is_told_before_training(plugins, tmp_path, again):
    files = side_by_side(tmp_path / "data")
    for number, path in enumerate(files[:3]):  # the right half: the target
        save(path, np.hstack([pictures(1, 30 + number)[0][0], np.zeros((SIZE, SIZE, 3), np.uint8)]))
    config = DataConfig(root=str(tmp_path / "data"), size=32, source_kind="image", target_kind="image")
    if again == "remembered":
        open_data(config, plugins, Requirements(frozenset({"source", "target"})), seed=0)
    [line] = open_data(config, plugins, Requirements(frozenset({"source", "target"})), seed=0).warnings
    assert line.startswith(f"33.3 % of the training targets are constant images (3 of 9), such as {files[0]}: ")
    [line] = open_data(
        config.model_copy(update={"direction": "BtoA"}), plugins, Requirements(frozenset({"target"})), seed=0
    ).warnings
    assert line.startswith("33.3 % of the training sources are constant images")


def test_small_images_rare_classes_and_odd_shapes_are_told(plugins, tmp_path):
    for index, (_, image) in enumerate(pictures(12)):
        save(tmp_path / "data" / "many" / f"{index}.png", image)
    save(tmp_path / "data" / "few" / "x.png", np.tile(pictures(1, 60)[0][1], (1, 3, 1)))
    result = checked(plugins, tmp_path / "data", val_fraction=0, size=100, load_size=100)
    kinds = [f.kind for f in result.findings]
    assert (kinds.count("small"), kinds[-2:]) == (13, ["class", "shape"])
    assert "class few: 1 training images, and the largest class has 12" in result.warnings
    assert "targets: their heights and widths go from 40x40 to 40x120" in result.warnings[-1]


@pytest.mark.parametrize("recipe", OWN)
def test_drawn_samples_are_never_warned_of(plugins, recipe):
    """Only a few of them are looked at, which tells nothing of how many there are of each class."""
    for preset in (None, *plugins.get("recipe", recipe).presets):
        config = resolve(plugins, recipe, preset=preset)
        result = check_dataset(config.data, plugins, Requirements(frozenset()))
        assert (result.warnings, result.problems) == ([], [])


def test_a_second_look_decodes_nothing_and_says_the_same(plugins, tmp_path, monkeypatch, cache_folder):
    files = folders(tmp_path / "data")
    spoil(files[1])
    first = checked(plugins, tmp_path / "data")
    assert first.decoded == 24
    assert list(cache_folder.rglob("*.json"))
    assert not [path for path in (tmp_path / "data").rglob("*") if path.suffix == ".json"]
    monkeypatch.setattr(cache, "read_image", lambda path: pytest.fail(f"decoded {path} again"))
    second = checked(plugins, tmp_path / "data")
    assert (second.decoded, second.findings, second.train.usable) == (0, first.findings, first.train.usable)


def test_a_changed_file_is_looked_at_anew(plugins, tmp_path):
    files = images(tmp_path / "data")
    assert checked(plugins, tmp_path / "data").decoded == 12
    spoil(files[2])
    save(tmp_path / "data" / "train" / "new.png", pictures(1, 70)[0][1])
    result = checked(plugins, tmp_path / "data")
    assert result.decoded == 2
    assert [Path(f.file).name for f in result.findings] == ["02.png"]


@pytest.mark.parametrize("how", ["no folder", "damaged", "foreign"])
def test_a_cache_that_cannot_be_used_changes_nothing(plugins, tmp_path, cache_folder, how):
    files = images(tmp_path / "data")
    spoil(files[0])
    if how == "no folder":
        cache_folder.write_text("a file")
    else:
        checked(plugins, tmp_path / "data")
        [kept] = cache_folder.rglob("*.json")
        values = json.loads(kept.read_text())
        for path in values["files"]:
            values["files"][path][1] = {"colour": "red"}
        kept.write_text("{" if how == "damaged" else json.dumps(values))
    result = checked(plugins, tmp_path / "data")
    assert (result.decoded, [Path(f.file).name for f in result.findings]) == (12, ["00.png"])


def test_a_dataset_that_looks_at_pixels_gets_the_real_ones(tmp_path):
    images(tmp_path / "data")
    text = LABELLED.replace("stem = self", "assert np.unique(self.read(self.paths[index])).size > 2; stem = self")
    (tmp_path / "labelled.py").write_text(text)
    plugins = Plugins([str(tmp_path / "labelled.py")])
    first, second = (checked(plugins, tmp_path / "data", layout="labelled") for _ in range(2))
    assert first.findings == second.findings


def test_training_with_a_tenth_of_broken_files_finishes_and_lists_exactly_those(tmp_path, capsys):
    root = tmp_path / "data"
    for index, pair in enumerate(pictures(60)):
        save(root / "train" / f"{index:02d}.png", np.hstack(pair))
    for index, pair in enumerate(pictures(3, 80)):
        save(root / "val" / f"{index:02d}.png", np.hstack(pair))
    broken = [root / "train" / f"{index:02d}.png" for index in (3, 11, 27, 28, 42, 59)]
    for number, path in enumerate(broken):
        path.write_bytes((b"", b"junk", path.read_bytes()[: 100 + 100 * number])[number % 3])
    sets = [*TINY, "train.batch_size=4", "train.log_every=8"]
    trained = train_only("pix2pix", data=root, out=tmp_path / "run", sets=sets, steps=16)
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out " in line]
    assert sorted(line.partition("left out ")[2].partition(": ")[0] for line in lines) == sorted(map(str, broken))
    assert trained.step == 16


def test_more_than_half_broken_stops_before_anything_is_written(tmp_path):
    for path in side_by_side(tmp_path / "data")[:5]:
        spoil(path)
    sets = ["data.size=32", "data.layout=side-by-side"]
    with pytest.raises(DataError, match="5 of 9 samples cannot be used; the first: ") as error:
        i2i.train("pix2pix", data=tmp_path / "data", out=tmp_path / "run", sets=sets)
    assert error.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_more_than_half_of_one_unpaired_side_stops_too(plugins, tmp_path):
    unpaired(tmp_path / "data")
    for path in sorted((tmp_path / "data" / "trainB").iterdir())[:5]:
        spoil(path)
    config = DataConfig(root=str(tmp_path / "data"), size=32)
    with pytest.raises(DataError, match=r"5 of 9 samples have no target; the first: .*b0\d\.png"):
        open_data(config, plugins, Requirements(frozenset({"source", "target"}), False), seed=0)


def opened(plugins, root, **options):
    config = DataConfig(root=str(root), size=32, cache_mb=0, **options)
    return open_data(
        config, plugins, Requirements(frozenset({"source", "target"}), options.get("layout") != "unpaired"), seed=0
    )


@pytest.mark.parametrize("layout", ["side-by-side", "folders", "unpaired"])
def test_a_file_that_goes_bad_during_the_run_is_replaced_and_named(plugins, tmp_path, layout):
    files = LAYOUTS[layout](tmp_path / "data")
    data = opened(plugins, tmp_path / "data", layout=layout)
    bad = tmp_path / "data" / "trainB" / "b04.png" if layout == "unpaired" else files[4]
    spoil(bad)
    batches = [collate([data.train[epoch, index] for index in range(9)]) for epoch in range(4)]
    named = {line for batch in batches for line in batch[SKIPPED]}
    assert len(named) == 1
    assert str(bad) in named.pop()
    assert all(len(batch["source"]) == 9 for batch in batches)


def test_what_the_check_has_named_is_not_named_again_during_the_run(plugins, tmp_path):
    unpaired(tmp_path / "data")
    spoil(tmp_path / "data" / "trainB" / "b04.png")
    data = opened(plugins, tmp_path / "data", layout="unpaired")
    assert len(data.problems) == 1
    assert not [line for epoch in range(5) for index in range(9) for line in data.train[epoch, index][SKIPPED]]


def test_a_label_that_is_wrong_during_the_run_is_skipped(tmp_path):
    images(tmp_path / "data")
    (tmp_path / "labelled.py").write_text(LABELLED)
    plugins = Plugins([str(tmp_path / "labelled.py")])
    config = DataConfig(root=str(tmp_path / "data"), size=32, layout="labelled", check_files=1)
    data = open_data(config, plugins, Requirements(frozenset({"target"})), seed=0)
    assert "sample 2: label is 2, and the dataset's labels are 2" in data.train[0, 2][SKIPPED][0]


def test_eight_bits_beside_sixteen_in_a_batch_are_of_one_range(plugins, tmp_path):
    files = images(tmp_path / "data")
    save(files[1], np.full((SIZE, SIZE, 3), 100 * 257, np.uint16))
    save(files[0], np.full((SIZE, SIZE, 3), 100, np.uint8))
    config = DataConfig(root=str(tmp_path / "data"), size=32)
    data = open_data(config, plugins, Requirements(frozenset({"target"})), seed=0)
    batch = collate([data.train[0, 0], data.train[0, 1]])["target"]
    assert np.allclose(batch, 100 / 127.5 - 1, atol=1e-6)


def test_loader_processes_share_what_was_read_before_them(plugins, tmp_path):
    images(tmp_path / "data")
    config = DataConfig(root=str(tmp_path / "data"), size=32)
    open_data(config, plugins, Requirements(frozenset({"target"})), seed=0)
    again = open_data(config, plugins, Requirements(frozenset({"target"})), seed=0)
    assert len(again.train.dataset.reader.preloadable) == 12
    again.train.preload()
    shutil.rmtree(tmp_path / "data")
    assert not again.train[0, 0][SKIPPED]


def test_a_check_of_everything_keeps_no_pixels(plugins, tmp_path):
    save(tmp_path / "0.png", np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8))
    for number in range(1, 200):
        (tmp_path / f"{number}.png").hardlink_to(tmp_path / "0.png")
    config = DataConfig(root=str(tmp_path), layout="images", size=64)
    tracemalloc.start()
    try:
        found = check_dataset(config, plugins, Requirements(frozenset({"target"})), everything=True)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert sum(found.samples.values()) == 200
    assert kept < 200 * 10_000  # an image has 49,152 bytes; what is known of it, some 3,000
