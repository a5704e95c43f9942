"""What naming outputs promises."""

import contextlib
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.planning import STRANGE, names, planned, touch
from i2i.errors import UserError
from i2i.images import read_image, write_image
from i2i.translate.folders.planning import names as names_module
from i2i.translate.folders.planning.inputs import InputFile
from i2i.translate.folders.planning.outputs import OutputPixels
from i2i.translate.folders.planning.plan import PlannedImage


def test_each_input_has_its_own_name_and_one_as_png(tmp_path):
    touch(tmp_path / "in", "a.jpg", "b.png", "c.gif", "d.TIF", "sub/e.webp", "f.npy", "g.ppm")
    assert names(tmp_path / "in", tmp_path / "out") == {
        "a.jpg": ["a.jpg", "a.png"],
        "b.png": ["b.png"],
        "c.gif": ["c.png"],
        "d.TIF": ["d.TIF", "d.png"],
        "e.webp": ["sub/e.webp", "sub/e.png"],
        "f.npy": ["f.npy", "f.png"],
        "g.ppm": ["g.ppm", "g.png"],
    }


def test_what_no_image_format_holds_becomes_npy(tmp_path):
    touch(tmp_path / "in", "a.jpg", "b.png", "c.npy")
    expected = {"a.jpg": ["a.npy"], "b.png": ["b.npy"], "c.npy": ["c_npy.npy"]}
    assert names(tmp_path / "in", tmp_path / "out", channels=2) == expected | {"c.npy": ["c.npy"]}
    touch(tmp_path / "in", "a.npy")
    assert names(tmp_path / "in", tmp_path / "out", channels=2)["a.jpg"] == ["a_jpg.npy"]


def test_the_input_with_that_ending_has_the_name(tmp_path):
    touch(tmp_path / "in", "a.gif", "a.jpg", "a.png", "b.gif", "b.jpg", "b_jpg.png", "c.gif", "c.png/d.png")
    assert names(tmp_path / "in", tmp_path / "out") == {
        "a.gif": ["a_gif.png"],
        "a.jpg": ["a.jpg", "a_jpg.png"],
        "a.png": ["a.png"],
        "b.gif": ["b.png"],
        "b.jpg": ["b.jpg", "b_jpg_2.png"],
        "b_jpg.png": ["b_jpg.png"],
        "c.gif": ["c_gif.png"],
        "d.png": ["c.png/d.png"],
    }


def test_several_folders_with_the_same_names_keep_all(tmp_path):
    roots = [touch(tmp_path / root, "x.png", "sub/y.jpg") for root in ("a", "b", "c")]
    images = planned(roots, tmp_path / "out").images
    assert [[output.name for output in image.outputs] for image in images] == [
        ["y.jpg", "y.png"],
        ["x.png"],
        ["y_jpg.jpg", "y_jpg.png"],
        ["x_png.png"],
        ["y_jpg_2.jpg", "y_jpg_2.png"],
        ["x_png_2.png"],
    ]


def test_a_name_without_a_known_ending_gets_one(tmp_path):
    touch(tmp_path, "photo", "photo.v2", ".png")
    inputs = [tmp_path / name for name in ("photo", "photo.v2", ".png")]
    expected = {"photo": ["photo.png"], "photo.v2": ["photo.v2.png"], ".png": [".png.png"]}
    assert names(inputs, tmp_path / "out") == expected


def test_long_names_are_cut_at_a_character_and_stay_distinct(tmp_path):
    long = "é" * 125
    touch(tmp_path / "in", f"{long}.gif", f"{long}.jpg", f"{long}.png")
    with_long = names(tmp_path / "in", tmp_path / "out")
    every = [name for both in with_long.values() for name in both]
    assert len(set(every)) == 4
    assert all(len(os.fsencode(name)) <= 255 for name in every)
    assert with_long[f"{long}.gif"] == ["é" * 123 + "_gif.png"]


name_parts = st.text(st.sampled_from("abAé_1"), min_size=1, max_size=4) | st.sampled_from(["x" * 251, "é" * 125])
file_names = st.builds(
    "".join, st.tuples(name_parts, st.sampled_from([".png", ".jpg", ".gif", ".tif", ".PNG", "_gif.png"]))
).filter(lambda name: len(os.fsencode(name)) <= 255)


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), st.sampled_from(["", "sub", "a.png"]), file_names)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("fold", [names_module.as_is, names_module.without_case])
def test_no_two_outputs_are_alike_whatever_the_names_and_their_order(fold, files):
    def reserved(order):
        files = [InputFile(root, name, place) for root, place, name in order]
        names_module.reserve_names(files, OutputPixels(3), lambda place: fold(os.path.normpath(f"/out/{place}")), fold)
        return {(s.folder, s.place, s.name): s.names for s in files}

    files = list(dict.fromkeys(files))
    given_names = reserved(files)
    outputs = [fold(os.fspath(Path(place, name))) for (_, place, _), both in given_names.items() for name in both]
    assert len(set(outputs)) == len(outputs)
    assert all(both and len(os.fsencode(name)) <= 255 for both in given_names.values() for name in both)
    folders = {fold(place) for _, place, _ in given_names if place}
    assert not folders & set(outputs)
    random.Random(0).shuffle(files)
    assert reserved(files) == given_names


def test_any_name_that_the_system_holds_is_planned_and_can_be_written(tmp_path):
    for name in STRANGE:
        write_image(tmp_path / "in.png", np.full((2, 3, 3), 7, np.uint8))
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in.png").rename(tmp_path / "in" / name)
    images = planned(tmp_path / "in", tmp_path / "out").images
    assert sorted(image.input.name for image in images) == sorted(STRANGE)
    for image in images:
        write_image(image.outputs[0], read_image(image.input).pixels)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(STRANGE)
    inputs = [tmp_path / "in" / name for name in STRANGE]
    assert {image.skip for image in planned(inputs, tmp_path / "out", skip_existing=True).images} == {True}


def test_nothing_of_a_name_reaches_the_terminal_as_it_is(tmp_path):
    for name in STRANGE:
        touch(tmp_path / "out", name)
        touch(tmp_path / "in", name)
        with pytest.raises(UserError) as caught:
            planned(tmp_path / "in" / name, tmp_path / "out")
        assert str(caught.value).isprintable()
        str(caught.value).encode()
    touch(tmp_path / "in", "new\nline/x.txt", "\x1b[31m/x.txt")
    with contextlib.suppress(OSError):
        (tmp_path / "in/loop\n").symlink_to(tmp_path / "in/loop\n")
    (tmp_path / "in/again\x1b").symlink_to(tmp_path / "in")
    notes = planned(tmp_path / "in", tmp_path / "out", overwrite=True).notes
    assert len(notes) == 3
    assert all(note.isprintable() for note in notes)


# Which of the reserved names


@pytest.mark.parametrize(
    ("ending", "channels", "dtype", "format", "expected"),
    [
        (".jpg", 3, np.uint8, "JPEG", ".jpg"),
        (".jpg", 4, np.uint8, "JPEG", ".png"),
        (".jpg", 3, np.uint8, "PNG", ".png"),
        (".jpg", 3, np.uint16, "PNG", ".png"),
        (".tif", 3, np.float32, "TIFF", ".tif"),
        (".tif", 4, np.uint16, "TIFF", ".tif"),
        (".tif", 3, np.uint8, "JPEG", ".png"),
        (".ppm", 3, np.uint16, "PPM", ".ppm"),
        (".ppm", 4, np.uint16, "PPM", ".png"),
        (".npy", 3, np.float32, "NPY", ".npy"),
        (".webp", 4, np.uint8, "WEBP", ".webp"),
    ],
)
def test_the_true_format_is_kept_where_it_holds_the_result(tmp_path, ending, channels, dtype, format, expected):
    image = PlannedImage(tmp_path / f"a{ending}", (tmp_path / f"a{ending}", tmp_path / "a.png"))
    assert image.output_for(channels, dtype, format).suffix == expected


def test_a_result_too_large_for_the_format_becomes_png(tmp_path):
    image = PlannedImage(tmp_path / "a.webp", (tmp_path / "a.webp", tmp_path / "a.png"))
    assert image.output_for(3, np.uint8, "WEBP", (20_000, 10)).suffix == ".png"
    assert image.output_for(3, np.uint8, "WEBP", (2_000, 10)).suffix == ".webp"
