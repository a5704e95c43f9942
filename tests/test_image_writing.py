"""What converting, writing and finding image files promises."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from i2i.data import image_writing
from i2i.data.images import (
    can_hold,
    find_images,
    image_info,
    read_image,
    to_channels,
    to_dtype,
    write_image,
)
from i2i.errors import DataError
from image_files import DATA, ROOT, noise, saved, smooth, swapped_profile


def test_bit_depths_convert_exactly_there_and_back():
    every = np.arange(256, dtype=np.uint8)
    wide = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_dtype(every, np.uint16), every.astype(int) * 257)
    for dtype in (np.uint16, np.float32):
        assert np.array_equal(to_dtype(to_dtype(every, dtype), np.uint8), every)
    assert np.array_equal(to_dtype(to_dtype(wide, np.float32), np.uint16), wide)
    assert np.array_equal(to_dtype(wide, np.uint8), np.rint(wide / 257))
    assert np.array_equal(to_dtype(np.array([-1, 0, 0.5, 1, 7], np.float32), np.uint8), [0, 0, 128, 255, 255])
    assert to_dtype(every, np.uint8) is every
    with pytest.raises(ValueError, match="finite"):
        to_dtype(np.array([np.nan], np.float32), np.uint8)
    with pytest.raises(ValueError, match="int64"):
        to_dtype(np.array([1]), np.uint8)


@pytest.mark.parametrize("have", [1, 3, 4])
@pytest.mark.parametrize("want", [1, 3, 4])
def test_channels_convert_between_grey_rgb_and_rgba(have, want):
    pixels = np.full((3, 4, have), 77, np.uint8)
    got = to_channels(pixels, want)
    assert got.shape == (3, 4, want)
    assert (got[..., :3] == 77).all()


ENDINGS = ["a.png", "a.PNG", "a.tif", "a.tiff", "a.bmp", "a.npy"]


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_formats_round_trip(tmp_path, name, channels):
    for dtype in (np.uint8, np.uint16, np.float32):
        if not can_hold(name, channels, dtype) or (dtype == np.float32 and "png" in name.lower()):
            continue
        pixels = noise(33, 47, channels, dtype=dtype)
        write_image(tmp_path / name, pixels)
        got = read_image(tmp_path / name, channels=channels).pixels
        assert got.dtype == dtype
        assert np.array_equal(got, pixels)
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_readers_agree_with_what_is_written(tmp_path):
    pixels = noise(300, 500, 3, dtype=np.uint16)  # several strips
    for name in ("a.tif", "a.png"):
        write_image(tmp_path / name, pixels)
        assert np.array_equal(cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)
    write_image(tmp_path / "a.tif", pixels.astype(np.uint8))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.tif")), pixels.astype(np.uint8))
    write_image(tmp_path / "a.png", noise(5, 6, 4), icc=swapped_profile())
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["icc_profile"] == swapped_profile()
        assert np.array_equal(np.asarray(image), noise(5, 6, 4))


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.webp"])
def test_lossy_formats_come_close_from_any_type(tmp_path, name):
    for dtype in (np.uint8, np.uint16, np.float32):
        for channels in (1, 3):
            write_image(tmp_path / name, to_dtype(smooth(), dtype)[..., :channels], icc=swapped_profile())
            with Image.open(tmp_path / name) as image:
                got = np.asarray(image.convert("RGB"))[..., :channels]
            assert np.abs(got.astype(int) - smooth()[..., :channels]).mean() < 4


def test_a_float_in_a_png_gets_16_bits(tmp_path):
    pixels = noise(9, 8, 3, dtype=np.float32)
    write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, np.rint(pixels * 65535))


@pytest.mark.parametrize(
    ("name", "pixels", "reason"),
    [
        ("a.jpg", noise(4, 4, 4), "JPEG cannot hold 4 channels"),
        ("a.png", noise(4, 4, 2), "PNG cannot hold 2 channels"),
        ("a.gif", noise(4, 4, 3), "unknown ending"),
        ("a", noise(4, 4, 3), "unknown ending"),
        ("a.png", noise(4), "no image"),
        ("a.png", noise(0, 4, 3), "no image"),
        ("a.tif", np.full((2, 2, 3), np.nan, np.float32), "not finite"),
        ("missing/a.png", noise(4, 4, 3), "No such file"),
        ("folder.png", noise(4, 4, 3), "a folder is in the way"),
        ("a.webp", noise(1, 17_000, 3), "damaged or not supported"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path, name, pixels, reason):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match=reason):
        write_image(tmp_path / name, pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", noise(4, 4, 3))
    before = (tmp_path / "a.png").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(image_writing.Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "a.png", noise(4, 4, 3, seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_a_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    write_image(tmp_path / "a.png", noise(4, 4, 3))
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_images_are_found_in_an_order_that_people_expect(tmp_path):
    names = ["10.png", "2.png", "b/1.JPG", "b/c/x.tiff", "a.npy", ".hidden.png", ".hidden/a.png", "notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert found == ["2.png", "10.png", "a.npy", str(Path("b/1.JPG")), str(Path("b/c/x.tiff"))]


def test_links_are_followed_but_never_in_circles(tmp_path):
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "real/deep/x.png").touch()
    (tmp_path / "real/deep/up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "y.png").touch()
    (tmp_path / "linked").symlink_to(outside)
    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert found == [str(Path("linked/y.png")), str(Path("real/deep/x.png"))]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        find_images(tmp_path / "nowhere")


def test_reading_in_threads_gives_what_one_thread_gives(stored):
    paths = [stored(saved(Image.fromarray(noise(40, 40, 3, seed=n)), "PNG")) for n in range(12)]
    got = {}
    threads = [threading.Thread(target=lambda p=p: got.update({p: read_image(p).pixels})) for p in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(got[path], noise(40, 40, 3, seed=n)) for n, path in enumerate(paths))


def test_importing_the_reader_imports_no_torch():
    code = "import sys, i2i.data.images; sys.exit(bool({'torch', 'onnx', 'typer', 'torchvision'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="I2I_DATA names no folder")
def test_real_images_decode_as_pillow_does():
    for path in find_images(DATA)[::97]:
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGBA"))
        picture = read_image(path, channels=4)
        if picture.icc is None and "icc_profile" not in image.info:
            assert np.array_equal(picture.pixels, expected), path
        assert image_info(path).width == picture.pixels.shape[1]


def test_a_link_to_itself_hides_no_other_image(tmp_path):
    write_image(tmp_path / "good.png", np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert tmp_path / "good.png" in find_images(tmp_path)
