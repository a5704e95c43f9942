"""`i2i translate` as it is used: what it says, and what it makes of a folder that nobody has cleaned."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers.command import Command
from helpers.small_models import make_model, noise, tree
from i2i.images import read_image, write_image

KEYS = {"written", "skipped", "failed", "complete", "seconds", "images_per_second", "work_seconds", "notes", "results"}


@pytest.fixture
def translate(tmp_path):
    """Runs the command with a model of that graph on the folder ``in``."""

    def run(*options, graph="identity", value_type="uint8"):
        path = make_model(tmp_path / f"{graph}-{value_type}.onnx", graph, value_type)
        words = ["translate", path, tmp_path / "in", "-o", tmp_path / "out", *options]
        return Command(*words).completed()

    (tmp_path / "in").mkdir()
    return run


def test_json_tells_all_about_each_file_and_the_whole(translate, tmp_path):
    write_image(tmp_path / "in/a.png", noise(6, 8, 3))
    (tmp_path / "in/b.jpg").write_text("no image")
    done = translate("--json", graph="double")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report.keys() == KEYS
    assert [report[key] for key in ("written", "skipped", "failed", "complete")] == [1, 0, 1, True]
    assert report["work_seconds"].keys() == {"decode", "network", "encode"}
    first, second = report["results"]
    assert first.pop("seconds") > 0
    assert first == {
        "input": str(tmp_path / "in/a.png"),
        "output": str(tmp_path / "out/a.png"),
        "status": "written",
        "width": 16,
        "height": 12,
    }
    assert second["status"] == "failed"
    assert second["reason"] == f"{tmp_path / 'in/b.jpg'}: not an image in a known format"
    assert done.stderr.count("b.jpg") == 1


def test_everything_that_is_no_image_is_named_once_and_the_rest_goes_on(translate, tmp_path):
    place = tmp_path / "in"
    write_image(place / "good.png", noise(6, 8, 3))
    whole = (place / "good.png").read_bytes()
    (place / "empty.png").touch()
    (place / "text.jpg").write_text("hello")
    (place / "cut.png").write_bytes(whole[:-40])
    (place / "loop.png").symlink_to("loop.png")
    (place / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(place / "pipe.png")
    (place / "folder.png").mkdir()
    write_image(place / "folder.png/inside.png", noise(6, 8, 3))
    (place / "again").symlink_to(place)
    done = translate()
    assert done.returncode == 1
    for name in ("empty.png", "text.jpg", "cut.png", "loop.png", "gone.png", "pipe.png", "folder.png", "again"):
        assert sum(f"{name}: " in line for line in done.stderr.splitlines()) == 1, (name, done.stderr)
    assert tree(tmp_path / "out") == ["folder.png/inside.png", "good.png"]
    assert "2 written, 7 failed" in done.stderr


NAMES = [
    b"with space.png",
    b"new\nline.png",
    b"\x1b[31mred\x1b[0m.png",
    "größe-日本.png".encode(),
    b"not\xff\xfeutf8.png",
    b"x" * 251 + b".png",
    "rtl\u202egnp.png".encode(),
    b"-o.png",
    b"%s{0}\\.png",
]


def test_any_name_is_kept_and_none_writes_control_codes(translate, tmp_path):
    for name in NAMES:
        write_image(tmp_path / "good.png", noise(4, 5, 3))
        (tmp_path / "good.png").rename(tmp_path / "in" / os.fsdecode(name))
    (tmp_path / "in" / os.fsdecode(b"bad\n\x1b[2J\xff.png")).write_text("no image")
    done = translate("--json")
    assert done.returncode == 1
    assert sorted(os.fsencode(path.name) for path in (tmp_path / "out").iterdir()) == sorted(NAMES)
    assert all(character.isprintable() or character == "\n" for character in done.stderr)
    assert len(done.stderr.splitlines()) == 2
    results = json.loads(done.stdout)["results"]
    assert {os.fsencode(result["output"].rpartition("/")[2]) for result in results} >= set(NAMES)


def test_frames_are_told_of_or_written_each(translate, tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    images = [Image.new("RGB", (9, 7), colour) for colour in colours]
    for name in ("a.gif", "b.tif", "c.webp", "d.png"):
        images[0].save(tmp_path / "in" / name, save_all=True, append_images=images[1:], lossless=True, duration=50)
    done = translate()
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "out") == ["a.png", "b.tif", "c.webp", "d.png"]
    assert done.stderr.count("the first of 3 frames; --frames all writes each") == 4
    for name in tree(tmp_path / "out"):
        assert np.abs(read_image(tmp_path / "out" / name).pixels.mean((0, 1)) - colours[0]).max() < 3
    done = translate("--frames", "all", "--json", "--overwrite")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["written"] == 12
    assert [result["frame"] for result in report["results"]] == [0, 1, 2] * 4
    for result in report["results"]:
        colour = read_image(result["output"]).pixels.mean((0, 1))
        assert np.abs(colour - colours[result["frame"]]).max() < 3, result


def test_frames_are_found_by_content_and_those_behind_a_broken_one_are_told(translate, tmp_path):
    images = [Image.new("RGB", (9, 7), colour) for colour in ("red", "green", "blue")]
    images[0].save(tmp_path / "in/a.jpg", "WEBP", save_all=True, append_images=images[1:], lossless=True)
    pages = [images[0], Image.fromarray(np.full((7, 9), -5, np.int32)), images[2]]
    pages[0].save(tmp_path / "in/b.tif", save_all=True, append_images=pages[1:])
    done = translate("--frames", "all", "--json")
    assert done.returncode == 1
    results = json.loads(done.stdout)["results"]
    assert [result["status"] for result in results] == ["written"] * 4 + ["failed"] * 2
    assert tree(tmp_path / "out") == ["a_0000.png", "a_0001.png", "a_0002.png", "b_0000.tif"]


def test_a_reader_that_has_seen_enough_does_not_stop_the_work(translate, tmp_path):
    for number in range(30):
        write_image(tmp_path / f"in/{number}.png", noise(6, 8, 3))
        (tmp_path / f"in/{number}.jpg").write_text("no image")
    words = ["translate", make_model(tmp_path / "m.onnx", "identity"), tmp_path / "in", "-o", tmp_path / "out"]
    command = [sys.executable, "-m", "i2i", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(600) == 1
    assert len(tree(tmp_path / "out")) == 30


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "0>&-"])
def test_closed_streams_change_nothing(translate, tmp_path, closed):
    write_image(tmp_path / "in/a.png", noise(6, 8, 3))
    (tmp_path / "in/b.jpg").write_text("no image")
    model = make_model(tmp_path / "m.onnx", "identity")
    line = f"{sys.executable} -m i2i translate {model} {tmp_path / 'in'} -o {tmp_path / 'out'} --json {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert tree(tmp_path / "out") == ["a.png"]
    if closed != "1>&-":
        assert json.loads(done.stdout)["written"] == 1


def test_a_closed_reader_of_stdout_hides_no_failure(translate, tmp_path):
    write_image(tmp_path / "in/a.png", noise(6, 8, 3))
    (tmp_path / "in/b.jpg").write_text("no image")
    words = [
        "translate",
        make_model(tmp_path / "m.onnx", "identity"),
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--json",
    ]
    with subprocess.Popen([sys.executable, "-m", "i2i", *map(str, words)], stdout=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(600) == 1


def test_metadata_is_left_out_unless_asked_for(translate, tmp_path):
    made, exif = Image.Exif(), Image.Exif()
    made[0x0112], made[0x010F] = 6, "a maker"
    made.get_ifd(0x8825).update({1: "N", 2: (48.0, 0.0, 0.0)})
    exif.load(made.tobytes())  # as it comes from a file; TIFF takes the place from no other
    for name in ("a.jpg", "b.png", "c.webp", "d.tif"):
        Image.fromarray(noise(6, 8, 3)).save(tmp_path / "in" / name, exif=exif)
    assert translate().returncode == 0
    for name in tree(tmp_path / "out"):
        with Image.open(tmp_path / "out" / name) as image:
            assert image.size == (6, 8), name
            assert not {0x0112, 0x010F} & set(image.getexif()), name
            assert not image.getexif().get_ifd(0x8825), name
    assert translate("--overwrite", "--keep-metadata").returncode == 0
    for name in tree(tmp_path / "out"):
        with Image.open(tmp_path / "out" / name) as image:
            assert image.size == (6, 8), name
            assert image.getexif().get(0x0112, 1) == 1, name
            assert image.getexif()[0x010F] == "a maker", name
            assert image.getexif().get_ifd(0x8825)[1] == "N", name


def test_larger_images_than_allowed_are_refused_from_their_header(translate, tmp_path):
    write_image(tmp_path / "in/small.png", noise(9, 10, 3))
    write_image(tmp_path / "in/large.png", noise(10, 10, 3))
    done = translate("--max-pixels", "99")
    assert done.returncode == 1
    assert "large.png: 10 x 10 pixels are more than the limit of 99" in done.stderr
    assert tree(tmp_path / "out") == ["small.png"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tile", "big"], "--tile is auto, none or a whole number"),
        (["--tile", "0"], "--tile is auto, none or a whole number"),
        (["--alpha", "red"], "alpha is one of keep, drop, white, black"),
        (["--frames", "2"], "frames is one of first, all"),
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--overwrite", "--skip-existing"], "exclude each other"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_one_line(translate, tmp_path, options, said):
    write_image(tmp_path / "in/a.png", noise(4, 4, 3))
    done = translate(*options)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
