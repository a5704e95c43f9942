"""Folders that cannot be evaluated, or not wholly: one line each, and the exit code."""

import os
import shutil
import sqlite3

import pytest

import i2i
from helpers.evaluated_folders import picture_folder

FID = ("--metric", "fid", "--features", "random")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of good images and of others, by name in one place."""
    root = tmp_path_factory.mktemp("folders")
    picture_folder(root / "real")
    picture_folder(root / "fake", first=50)
    picture_folder(root / "five", 5)
    picture_folder(root / "single", 1)
    picture_folder(root / "larger", size=56)
    for file in picture_folder(root / "pages", 2).iterdir():
        file.write_bytes(b"<html>404</html>")
    damaged = picture_folder(root / "damaged", first=50)
    (damaged / "2.png").write_bytes((damaged / "2.png").read_bytes()[:200])
    (damaged / "4.png").write_bytes(b"")
    (damaged / "5.png").unlink()
    os.mkfifo(damaged / "5.png")  # nobody writes to it: whoever opened it would wait for ever
    (root / "empty").mkdir()
    return root


REFUSED = {
    "unequal counts": (("five", "real"), ("--metric", "psnr"), "psnr: only pairs of images", "has 5 images and ", "6"),
    "no covariance": (("single", "real"), FID, "FID needs at least 2 real and 2 generated images", "got 6 and 1"),
    "no covariance of real images": (("real", "single"), FID, "a covariance needs two", "got 1 and 6"),
    "other sizes": (("larger", "real"), ("--metric", "psnr"), "0.png: 56x56 pixels", "real/0.png has 48x48 pixels"),
    "small for MS-SSIM": (("fake", "real"), ("--metric", "ms-ssim"), "0.png: MS-SSIM", "at least 161x161", "48x48"),
    "no image readable": (("pages", "real"), FID, "none of the images can be read", "1.png: not an image"),
    "empty folder": (("empty", "real"), (), "empty: no image in it"),
    "empty folder of real images": (("real", "empty"), (), "empty: no image in it"),
    "missing folder": (("gone", "real"), (), "gone: no such file or folder"),
    "one folder": (("real",), (), "or two folders of images"),
    "folder and file": (("real/0.png", "real"), (), "real is a folder of images, and no model"),
    "metric that is no YAML": (("fake", "real"), ("--metric", "{name: psnr"), "--metric {name: psnr: ", "no valid"),
    "features that are no YAML": (("fake", "real"), ("--features", "{name: x"), "--features {name: x: ", "no valid"),
    "option of models": (("fake", "real"), ("--images", 3), "images: only for models"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_one_line_and_exit_code_2(case, folders, cli):
    names, options, *said = REFUSED[case]
    done = cli("evaluate", *(folders / name for name in names), *options)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("i2i: error: ")]
    for part in said:
        assert part in line


@pytest.mark.parametrize("options", [FID, ("--metric", "psnr")])
def test_images_that_cannot_be_read_are_named_and_the_others_measured(options, folders, cli):
    done = cli("evaluate", folders / "damaged", folders / "real", *options)
    assert done.returncode == 1
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert [line.partition(".png: ")[2] for line in failed] == [
        "cut off: the end of the PNG is missing",
        "the file is empty",
        "not a regular file",
    ]
    assert done.stdout.splitlines()[1].endswith(" 3")


def test_figures_that_need_more_images_are_left_out_with_a_note(folders, cli):
    done = cli("evaluate", folders / "single", folders / "real", "--metric", "precision", *FID)
    assert done.returncode == 0
    assert "fid-random ↓        -" in done.stdout
    assert "note: not measured: fid-random: FID needs at least 2 real and 2 generated images" in done.stderr


# Kept features that are not what they say


def measured(folders):
    return i2i.evaluate(folders / "fake", folders / "real", metrics=["fid", "kid"], features="random")[0]


@pytest.fixture
def cache(folders, tmp_path, monkeypatch):
    """The figures, and the file with the features that were kept for them."""
    monkeypatch.setenv("I2I_CACHE", str(tmp_path))
    first = measured(folders)
    assert first.notes == []
    (file,) = tmp_path.rglob("*.sqlite")
    return first.figures, file


def overwrite(file):
    file.write_bytes(b"no database " * 1000)


def cut(file):
    file.write_bytes(file.read_bytes()[:5000])


def make_folder(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [overwrite, cut, make_folder])
def test_a_damaged_cache_is_noted_and_the_figures_are_the_same(damage, cache, folders):
    figures, file = cache
    damage(file)
    again = measured(folders)
    assert again.figures == figures
    (note,) = again.notes
    assert note.startswith("features are not kept: ")
    assert note.endswith(f"remove the file if this goes on: {file}")


def change_bytes(database):
    database.execute("UPDATE features SET rows = zeroblob(length(rows))")


def exchange_images(database):
    rows = database.execute("SELECT image, rows, crc FROM features ORDER BY image").fetchall()
    others = [(image, *other[1:]) for (image, *_), other in zip(rows, reversed(rows), strict=True)]
    database.executemany("REPLACE INTO features VALUES (?, ?, ?)", others)


@pytest.mark.parametrize("damage", [change_bytes, exchange_images])
def test_kept_features_that_are_not_those_of_the_image_are_taken_anew(damage, cache, folders):
    figures, file = cache
    with sqlite3.connect(file) as database:
        damage(database)
    database.close()
    assert measured(folders).figures == figures
    assert measured(folders).figures == figures


def test_features_of_another_network_are_not_taken_for_the_right_ones(cache, folders):
    figures, file = cache
    i2i.evaluate(folders / "fake", folders / "real", metrics=["fid"], features="efficientnet-lite0")
    (other,) = set(file.parent.glob("*.sqlite")) - {file}
    shutil.copy(other, file)
    assert measured(folders).figures == figures
