"""``i2i data check``: the table, the JSON object and the exit codes."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import i2i
from helpers.image_files import save
from helpers.layout_folders import SIZE, classes, folders, images, side_by_side, spoil
from i2i.cli import data as command
from i2i.config import DataConfig
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.errors import DataError


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))


def checked(root, *words):
    return CliRunner().invoke(command.app, ["check", str(root), *words], obj={"extra": (), "disable": ()})


def test_the_command_shows_one_table_and_every_bad_file(tmp_path):
    files = folders(tmp_path / "data")
    spoil(files[1])
    files[2].unlink()
    done = checked(tmp_path / "data", "--recipe", "pix2pix", "--set", "data.size=32")
    assert done.exit_code == 1, done.output
    assert "layout folders, 7 of 8 training and 3 of 3 validation samples can be used" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["cut", "off", "1", "left", "out"] in rows
    assert ["no", "partner", "1", "left", "out"] in rows
    assert f"error: {files[1]}: cut off" in done.stdout
    assert f"error: {tmp_path / 'data' / 'trainB' / '02.png'}: no partner in" in done.stdout


def test_the_command_leaves_with_0_when_nothing_is_left_out(tmp_path):
    files = images(tmp_path / "data")
    assert checked(tmp_path / "data", "--recipe", "srresnet", "--set", "data.size=32").exit_code == 0
    save(files[0], np.zeros((SIZE, SIZE, 3), np.uint8))
    done = checked(tmp_path / "data", "--set", "data.size=32")
    assert (done.exit_code, "warning: " in done.stdout) == (0, True)


def test_the_command_leaves_with_2_when_the_folder_is_of_no_use(tmp_path):
    for folder, words in ((tmp_path / "none", []), (tmp_path, []), (images_only(tmp_path), ["--recipe", "pix2pix"])):
        done = checked(folder, *words)
        assert isinstance(done.exception, DataError), done.output
        assert done.exception.exit_code == 2
    for path in side_by_side(tmp_path / "data")[:5]:
        spoil(path)
    done = checked(tmp_path / "data", "--set", "data.layout=side-by-side", "--json")
    assert "5 of 9 samples cannot be used" in str(done.exception)
    assert json.loads(done.stdout)["refusal"] == str(done.exception)


def images_only(tmp_path):
    images(tmp_path / "pictures")
    return tmp_path / "pictures"


def test_json_is_one_object_with_all_findings(tmp_path):
    files = classes(tmp_path / "data")
    files[0].write_text("no picture")
    files[1].rename(files[1].with_name("a\x1b[2Jb.png"))
    save(files[2], np.zeros((SIZE, SIZE, 3), np.uint8))
    spoil(files[1].with_name("a\x1b[2Jb.png"))
    done = checked(tmp_path / "data", "--recipe", "cgan", "--json", "--set", "data.size=32")
    record = json.loads(done.stdout)
    assert done.exit_code == 1
    assert record["counts"] == {"unreadable": 1, "truncated": 1, "constant": 1}
    assert (record["layout"], record["samples"], record["usable"]) == (
        "classes",
        {"train": 9, "val": 3},
        {"train": 7, "val": 3},
    )
    by_kind = {finding["kind"]: finding for finding in record["findings"]}
    assert by_kind["unreadable"]["file"] == str(files[0])
    assert by_kind["unreadable"]["severity"] == "error"
    assert by_kind["constant"] == {
        "file": str(files[2]),
        "kind": "constant",
        "severity": "warning",
        "split": "train",
        "key": "target",
        "reason": "all pixels of the target are the same (black)",
    }
    assert r"a\x1b[2Jb.png" in by_kind["truncated"]["file"]


def test_without_a_recipe_only_data_options_can_be_set(tmp_path):
    side_by_side(tmp_path / "data")
    for words, text in (
        (["--set", "train.steps=3"], "without --recipe NAME only options of data can be set"),
        (["--set", "data.sise=3"], "data.sise: "),
        (["--preset", "paper"], "give --recipe NAME too"),
    ):
        done = checked(tmp_path / "data", *words)
        assert isinstance(done.exception, i2i.UserError)
        assert text in str(done.exception)
        assert "\n" not in str(done.exception)


def test_the_command_and_the_training_say_the_same(plugins, tmp_path):
    files = side_by_side(tmp_path / "data")
    spoil(files[1])
    save(files[2], np.zeros((SIZE, 2 * SIZE, 3), np.uint8))
    record = json.loads(checked(tmp_path / "data", "--recipe", "pix2pix", "--set", "data.size=32", "--json").stdout)
    data = open_data(
        DataConfig(root=str(tmp_path / "data"), size=32), plugins, Requirements(frozenset({"source", "target"})), seed=0
    )
    errors = [f for f in record["findings"] if f["severity"] == "error"]
    assert [f"{f['file']}: {f['reason']}" for f in errors] == data.problems
    assert record["warnings"] == data.warnings


def test_an_unknown_option_of_a_layout_is_one_line(tmp_path):
    folders(tmp_path / "data")
    done = checked(tmp_path / "data", "--set", "data.layout={name: folders, windw: 3}")
    assert isinstance(done.exception, i2i.ConfigError)
    assert "dataset 'folders', option windw: " in str(done.exception)


def test_many_small_images_are_told_once_and_each_in_json(tmp_path):
    images(tmp_path / "data")
    files = sorted((tmp_path / "data").rglob("*.png"))
    done = checked(tmp_path / "data", "--set", "data.size=128")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith("warning: ") and "data.size" in line]
    first = files[0]
    size = f"{SIZE} pixels high and {SIZE} wide, and data.size is 128"
    assert lines == [
        f"warning: {len(files)} images are much smaller than data.size, such as {first}: {size} (--json lists all)"
    ]
    record = json.loads(checked(tmp_path / "data", "--set", "data.size=128", "--json").stdout)
    assert record["counts"]["small"] == len(files) == sum(one["kind"] == "small" for one in record["findings"])


def test_files_that_no_layout_looks_at_are_counted_by_ending(tmp_path):
    images(tmp_path / "data")
    for number in range(30):
        (tmp_path / "data" / f"x.{number:02d}").touch()
    for name in ("a.heic", "b.HEIC", "c.mp4", "README"):
        (tmp_path / "data" / name).touch()
    done = checked(tmp_path / "data")
    (note,) = (line for line in done.stdout.splitlines() if line.startswith("note: "))
    assert note.startswith(f"note: {tmp_path / 'data'}: 34 files with other endings left out (.heic 2, ")
    counts = note[note.index("(") + 1 : -1].split(", ")
    assert sum(int(one.rpartition(" ")[2]) for one in counts) == 34
    assert counts[-1].startswith("13 further endings 13")
    assert json.loads(checked(tmp_path / "data", "--json").stdout)["notes"] == [note.removeprefix("note: ")]


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("pix2pix", "single images, and the recipe needs pairs of source and target"),
        ("pix2pix", "Without pairs: cyclegan with two folders, srresnet to enlarge"),
        ("cyclegan", "images of one kind, and the recipe needs two: a folder for each, such as trainA and trainB"),
        ("stargan", "images without classes, and the recipe needs a folder for each class, such as zebra/1.jpg"),
    ],
)
def test_a_folder_of_photos_is_told_what_it_lacks_and_what_it_is_good_for(tmp_path, recipe, said):
    images(tmp_path / "photos")
    done = checked(tmp_path / "photos", "--recipe", recipe)
    assert str(done.exception).startswith(f"{tmp_path / 'photos'}: ")
    assert said in str(done.exception)


def test_side_by_side_pairs_of_odd_width_are_told_that_their_width_is_odd(tmp_path):
    for index in range(3):
        save(tmp_path / "data" / f"{index}.png", np.random.default_rng(index).integers(0, 256, (64, 129, 3), np.uint8))
    done = checked(tmp_path / "data", "--recipe", "pix2pix")
    assert done.exception.exit_code == 2
    assert "needs an even width, this is 129 pixels wide" in str(done.exception)
    save(tmp_path / "data" / "3.png", np.random.default_rng(3).integers(0, 256, (64, 128, 3), np.uint8))
    for index in range(4, 9):
        save(tmp_path / "data" / f"{index}.png", np.random.default_rng(index).integers(0, 256, (64, 128, 3), np.uint8))
    done = checked(tmp_path / "data", "--recipe", "pix2pix", "--set", "data.size=32")
    assert done.exit_code == 1, done.output
    assert done.stdout.count("needs an even width") == 3
