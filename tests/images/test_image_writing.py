"""What converting, writing and finding image files promises."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from helpers.image_files import noise, saved, smooth, swapped_profile
from helpers.paths import DATA, ROOT
from i2i.errors import DataError, ErrorKind
from i2i.images import (
    READABLE,
    can_hold,
    find_images,
    image_info,
    read_image,
    to_channels,
    to_dtype,
    write_image,
)
from i2i.images.search import search_folder


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


ENDINGS = ["a.png", "a.PNG", "a.apng", "a.tif", "a.tiff", "a.bmp", "a.ppm", "a.pgm", "a.pnm", "a.pfm", "a.npy"]
SIXTEEN_AT_MOST = (".png", ".apng", ".ppm", ".pgm", ".pnm")


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_formats_round_trip(tmp_path, name, channels):
    for dtype in (np.uint8, np.uint16, np.float32):
        if not can_hold(name, channels, dtype) or (dtype == np.float32 and name.lower().endswith(SIXTEEN_AT_MOST)):
            continue
        if name == "a.pfm" and dtype != np.float32:  # all it has are floats
            continue
        pixels = noise(33, 47, channels, dtype=dtype)
        write_image(tmp_path / name, pixels)
        got = read_image(tmp_path / name, channels=channels).pixels
        assert got.dtype == dtype
        assert np.array_equal(got, pixels)
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_readers_agree_with_what_is_written(tmp_path):
    pixels = noise(300, 500, 3, dtype=np.uint16)  # several strips
    for name in ("a.tif", "a.png", "a.ppm", "a.pnm"):
        write_image(tmp_path / name, pixels)
        assert np.array_equal(cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)
    write_image(tmp_path / "a.tif", pixels.astype(np.uint8))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.tif")), pixels.astype(np.uint8))
    for name, dtype in (("a.pgm", np.uint8), ("a.pnm", np.uint16), ("a.pfm", np.float32)):
        write_image(tmp_path / name, noise(9, 8, 1, dtype=dtype))
        assert np.array_equal(cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED), noise(9, 8, dtype=dtype)), name
    write_image(tmp_path / "a.png", noise(5, 6, 4), icc=swapped_profile())
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["icc_profile"] == swapped_profile()
        assert np.array_equal(np.asarray(image), noise(5, 6, 4))


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.jpe", "a.jfif", "a.webp", "a.avif"])
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
        ("a.webp", noise(1, 17_000, 3), "17000 x 1 pixels are more than WEBP can hold"),
        ("a.ppm", noise(4, 4, 1), "PPM cannot hold 1 channels"),
        ("a.pfm", noise(4, 4, 3), "PFM cannot hold 3 channels"),
        ("n" * 252 + ".png", noise(4, 4, 3), "File name too long"),
    ],
)
def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path, name, pixels, reason):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match=reason):
        write_image(tmp_path / name, pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def exif_block():
    exif = Image.Exif()
    exif[0x010F], exif[0x0132], exif[0x011A] = "Maker", "2024:01:02 03:04:05", 72.0
    exif[0x8769] = {0x9003: "2024:01:02 03:04:05", 0x829A: (1, 200), 0x927C: b"notes"}
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 5.5)}
    return exif.tobytes()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.avif", "a.tif"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_exif_and_the_place_in_it_are_there_for_other_readers(tmp_path, name, prefix):
    block = prefix + exif_block().removeprefix(b"Exif\0\0")
    write_image(tmp_path / name, smooth(), exif=block, icc=swapped_profile())
    with Image.open(tmp_path / name) as image:
        exif = image.getexif()
        assert (exif[0x010F], exif[0x0132], exif[0x011A]) == ("Maker", "2024:01:02 03:04:05", 72.0)
        assert exif.get_ifd(0x8825) == {1: "N", 2: (51.0, 30.0, 5.5)}
        assert exif.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05"
        assert exif.get_ifd(0x8769)[0x927C] == b"notes"
        assert image.info["icc_profile"] == swapped_profile()
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - smooth()).mean() < 4


def test_exif_in_a_tiff_leaves_many_strips_where_they_are(tmp_path):
    pixels = noise(400, 500, 3, dtype=np.uint16)
    write_image(tmp_path / "a.tif", pixels, exif=exif_block())
    assert np.array_equal(cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)


def test_without_exif_there_is_none(tmp_path):
    for name in ("a.png", "a.jpg", "a.webp", "a.avif", "a.tif"):
        write_image(tmp_path / name, smooth())
        with Image.open(tmp_path / name) as image:
            assert not image.getexif().get_ifd(0x8825)
            assert "exif" not in image.info


def test_sharp_edges_between_colours_stay_sharp(tmp_path):
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (255, 0, 0), (0, 0, 255)
    for name in ("a.jpg", "a.avif"):
        write_image(tmp_path / name, stripes)
        with Image.open(tmp_path / name) as image:
            assert np.abs(np.asarray(image).astype(int) - stripes).mean() < 12, name


def test_a_format_too_small_for_a_result_is_known_beforehand():
    assert can_hold("a.webp", 3, np.uint8, (16_383, 10))
    assert not can_hold("a.webp", 3, np.uint8, (10, 16_384))
    assert not can_hold("a.jpg", 3, np.uint8, (65_501, 10))
    assert can_hold("a.png", 3, np.uint8, (200_000, 10))
    assert not any(can_hold(name, 3, np.uint8) for name in ("a.gif", "a.pbm", "a.pgm", "a.pfm", "a"))
    assert not can_hold("a.ppm", 4, np.uint8)
    assert not can_hold("a.avif", 3, np.uint16)


@pytest.fixture(params=["nameless", "hidden"])
def way(request, monkeypatch):
    """Both ways of writing: by a file without a name where the system has that, and by a hidden one."""
    if request.param == "hidden":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("no files without a name")


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, way):
    write_image(tmp_path / "a.png", noise(4, 4, 3))
    before = (tmp_path / "a.png").read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "a.png", noise(4, 4, 3, seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_what_appears_in_the_meantime_stays_if_so_asked(tmp_path, way):
    write_image(tmp_path / "a.png", noise(4, 4, 3), replace=False)
    with pytest.raises(DataError, match="exists already"):
        write_image(tmp_path / "a.png", noise(4, 4, 3, seed=1), replace=False)
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="exists already"):
        write_image(tmp_path / "b.png", noise(4, 4, 3), replace=False)
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, noise(4, 4, 3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_of_many_that_write_one_new_file_one_does(tmp_path, way):
    done = []

    def write(number):
        with contextlib.suppress(DataError):
            write_image(tmp_path / "a.png", noise(4, 4, 3, seed=number), replace=False)
            done.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = done
    assert np.array_equal(read_image(tmp_path / "a.png").pixels, noise(4, 4, 3, seed=first))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path, way):
    (tmp_path / "folder").mkdir()
    (tmp_path / "mine.png").write_bytes(b"mine")
    for name, target in (("a.png", "mine.png"), ("b.png", "folder"), ("c.png", "nowhere.png"), ("d.png", "d.png")):
        (tmp_path / name).symlink_to(tmp_path / target)
        write_image(tmp_path / name, noise(4, 4, 3))
        assert not (tmp_path / name).is_symlink()
        assert np.array_equal(read_image(tmp_path / name).pixels, noise(4, 4, 3))
    assert (tmp_path / "mine.png").read_bytes() == b"mine"
    assert not list((tmp_path / "folder").iterdir())
    assert not (tmp_path / "nowhere.png").exists()


KILLED_WHILE_WRITING = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from i2i.images import read_image, write_image
folder = Path(sys.argv[1])
image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
random.seed(0)
for _ in range(12):
    begun, tell = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            for name in ("a.png", "b.tif", "c.jpg", "d.png"):
                write_image(folder / name, image)
            (folder / "d.png").unlink()
            os.write(tell, b".")
    os.read(begun, 1)
    time.sleep(random.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for path in folder.iterdir():
        assert read_image(path).pixels.shape == image.shape, path
print(sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")))
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no files without a name")
def test_whenever_it_is_killed_each_file_in_the_folder_is_whole(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "'a.png', 'b.tif', 'c.jpg'" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_a_written_file_has_the_usual_permissions(tmp_path, way):
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
    code = (
        "import sys, i2i.images.reading; sys.exit(bool({'torch', 'onnx', 'typer', 'torchvision'} & set(sys.modules)))"
    )
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


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("lossless", [True, False])
def test_webp_says_whether_it_is_without_loss_and_stays_so(tmp_path, alpha, frames, lossless):
    images = [Image.fromarray(noise(40, 33, 4 if alpha else 3, seed=n)) for n in range(frames)]
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    images[0].save(tmp_path / "a.webp", lossless=lossless, exact=True, icc_profile=icc, **more)
    picture = read_image(tmp_path / "a.webp")
    assert picture.lossless == lossless
    write_image(tmp_path / "b.webp", picture.pixels, lossless=picture.lossless)
    again = read_image(tmp_path / "b.webp")
    assert again.lossless == lossless
    assert np.array_equal(again.pixels, picture.pixels) == lossless


def test_a_folder_that_cannot_be_searched_has_another_kind_than_one_named_like_an_image(tmp_path, monkeypatch):
    for name in ("x.png/a.png", "closed/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scan = os.scandir

    def scandir(folder):
        if os.fspath(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    kinds = {found.name: found.kind for found in search_folder(tmp_path, READABLE).found}
    assert kinds == {"closed": ErrorKind.UNREADABLE, "x.png": ErrorKind.NOT_AN_IMAGE, "a.png": None}
    with pytest.raises(DataError, match="closed: Permission denied") as caught:
        find_images(tmp_path)
    assert caught.value.kind is ErrorKind.UNREADABLE
