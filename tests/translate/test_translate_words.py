"""What `i2i translate` and `i2i.load` make of what is no image, no model or no folder: a sentence for each."""

import bz2
import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from helpers.small_models import make_model, noise, tree
from i2i.errors import DataError, ModelError, UserError
from i2i.images import read_image, write_image
from i2i.translate import load


@pytest.fixture
def image(tmp_path):
    write_image(tmp_path / "a.png", noise(6, 8, 3))
    return tmp_path / "a.png"


def translated(model, inputs, out, **options):
    """Statuses and reasons of the results."""
    return [(result.status, result.reason) for result in model.translate_folder(inputs, out, **options)]


# A file for the result of a file


def test_the_result_of_one_image_can_have_a_name(image, tmp_path, cli):
    path = make_model(tmp_path / "m.onnx", "invert")
    done = cli("translate", path, image, "-o", "sub/out.tif", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"][0]["output"] == "sub/out.tif"
    assert done.stderr.endswith("as sub/out.tif\n")
    with Image.open(tmp_path / "sub/out.tif") as result:
        assert result.format == "TIFF"
        assert np.array_equal(np.asarray(result), 255 - noise(6, 8, 3))
    assert tree(tmp_path / "sub") == ["out.tif"]
    done = cli("translate", path, image, "-o", "sub/out.tif", cwd=tmp_path)
    assert (done.returncode, "exists already" in done.stderr) == (2, True)


FORMAT_NAMES = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".bmp": "BMP", ".ppm": "PPM"}
FORMAT_NAMES |= {".npy": "NPY", ".avif": "AVIF"}


@pytest.mark.parametrize("ending", FORMAT_NAMES)
def test_the_name_decides_on_the_format(model, tmp_path, ending):
    colour = np.full((16, 16, 3), (200, 40, 90), np.uint8)  # which formats with losses keep as well
    write_image(tmp_path / "a.png", colour)
    assert translated(model(), tmp_path / "a.png", tmp_path / f"out{ending}") == [("written", "")]
    picture = read_image(tmp_path / f"out{ending}")
    assert picture.format == FORMAT_NAMES[ending]
    assert np.abs(picture.pixels.astype(int) - (255 - colour)).max() < 6


def test_a_name_for_several_images_or_of_another_kind_is_refused(model, image, tmp_path):
    write_image(tmp_path / "b.png", noise(6, 8, 3))
    (tmp_path / "in").mkdir()
    image.rename(tmp_path / "in/a.png")
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    for inputs, what in (
        ([tmp_path / "in"], "a folder"),
        ([tmp_path / "b.png", tmp_path / "in/a.png"], "2 files"),
        ([tmp_path / "two.gif"], "several frames"),
    ):
        with pytest.raises(UserError, match=f"out.png: is a single image, and the input is {what}; give a folder"):
            model().translate_folder(inputs, tmp_path / "out.png", frames="all")
    with pytest.raises(UserError, match=r"out.gif: .gif files cannot be written; choose another ending"):
        model().translate_folder(tmp_path / "b.png", tmp_path / "out.gif")
    with pytest.raises(UserError, match="is an input and would be written over"):
        model().translate_folder(tmp_path / "b.png", tmp_path / "b.png", overwrite=True)
    assert np.array_equal(read_image(tmp_path / "b.png").pixels, noise(6, 8, 3))
    assert translated(model(), f"{tmp_path}/in/*.png", tmp_path / "out.png") == [("written", "")]
    (tmp_path / "folder.png").mkdir()
    assert translated(model(), tmp_path / "b.png", tmp_path / "folder.png") == [("written", "")]
    assert tree(tmp_path / "folder.png") == ["b.png"]


def test_a_name_whose_format_would_lose_something_is_refused_with_one_that_does_not(model, tmp_path):
    write_image(tmp_path / "deep.png", noise(6, 8, 3, dtype=np.uint16))
    write_image(tmp_path / "alpha.png", noise(6, 8, 4))
    ((status, reason),) = translated(model(), tmp_path / "deep.png", tmp_path / "out.jpg")
    assert status == "failed"
    assert reason.endswith(".jpg cannot hold the result, 3 channels of 16 bits; choose .png")
    ((status, reason),) = translated(model(), tmp_path / "alpha.png", tmp_path / "out.jpg")
    assert status == "failed"
    assert reason.endswith("choose .png, or leave transparency out with --alpha drop")
    assert translated(model(), tmp_path / "alpha.png", tmp_path / "out.jpg", alpha="drop") == [("written", "")]


# What is no image


def archive(kind):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.png", "x")
    elif kind == "tar":
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("a.png"))
    elif kind == "npz":
        np.savez(file, a=np.zeros(3))
    return file.getvalue()


SORTS = {
    "zip": (archive("zip"), "a ZIP archive: unpack it, and give the folder"),
    "tar": (archive("tar"), "a tar archive: unpack it, and give the folder"),
    "gzip": (gzip.compress(b"x"), "a compressed file or archive: unpack it, and give the folder"),
    "bzip2": (bz2.compress(b"x"), "a compressed file or archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4", "an archive: unpack it, and give the folder"),
    "npz": (archive("npz"), "an npz archive: save each array as a file"),
    "mp4": (b"\0\0\0\x20ftypisom\0\0\2\0", "a video: i2i takes images; write its frames as images first"),
    "mov": (b"\0\0\0\x14ftypqt  \0\0\0\0", "a video"),
    "mov without a brand": (b"\0\0\0\x08wide\0\0\1\0mdat", "a video"),
    "cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photo, which i2i does not read"),
    "mkv": (b"\x1a\x45\xdf\xa3\x01\0", "a video"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "a video"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC image, which i2i does not read: convert it to PNG or TIFF"),
    "jxl": (b"\xff\x0a\xfa\x7f", "a JPEG XL image, which i2i does not read"),
    "jp2": (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    "exr": (b"\x76\x2f\x31\x01\2\0\0\0", "an OpenEXR image"),
    "psd": (b"8BPS\0\1", "a file of Photoshop"),
    "ico": (b"\0\0\1\0\1\0\x10\x10", "an icon"),
    "dicom": (bytes(128) + b"DICM", "a DICOM file"),
    "pdf": (b"%PDF-1.7\n", "a document: export its pages as images"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "a vector graphic: export it as PNG"),
    "html": (b"<!DOCTYPE html><html>404</html>", "a web page: look whether its download failed"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS: fetch the file itself"),
}


@pytest.mark.parametrize("sort", SORTS)
def test_what_is_mistaken_for_an_image_is_named_with_what_to_do(tmp_path, sort):
    data, said = SORTS[sort]
    (tmp_path / "a.png").write_bytes(data)
    for source in (tmp_path / "a.png", data):
        with pytest.raises(DataError) as caught:
            read_image(source)
        assert caught.value.reason.startswith(f"not an image in a known format, but {said}")
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "a.png")
    assert caught.value.reason.startswith(said)
    assert "the model comes first" in caught.value.reason


def test_one_archive_fails_and_the_rest_goes_on(image, tmp_path, cli):
    path = make_model(tmp_path / "m.onnx", "invert")
    (tmp_path / "all.zip").write_bytes(archive("zip"))
    done = cli("translate", path, image, tmp_path / "all.zip", tmp_path / "clip.mp4", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "all.zip: not an image in a known format, but a ZIP archive: unpack it, and give the folder" in done.stderr
    assert "clip.mp4: no such file or folder" in done.stderr
    assert tree(tmp_path / "out") == ["a.png"]


# What is not there


def test_each_thing_that_is_not_there_has_its_sentence(model, image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, said in (
        ("nosuch.png", "nosuch.png: no such file or folder"),
        ("aa.png", "aa.png: no such file or folder; did you mean a.png?"),
        ("~/nosuch.png", "nosuch.png: no such file or folder"),
        ("nosuch/*.png", "no images found in nosuch/*.png"),
        ("https://example.org/a.png", "https://example.org/a.png: an address: i2i takes files, so download it first"),
        ("s3://bucket/a.png", "s3://bucket/a.png: an address"),
        ("data:image/png;base64,iVBO", "an address"),
        ("", "an input has an empty name"),
    ):
        with pytest.raises(UserError) as caught:
            model().translate_folder(name, "out")
        assert said in str(caught.value)
    assert not (tmp_path / "out").exists()
    for thing in (load, model().translate):
        with pytest.raises(UserError, match=r"https://example.org/a: an address"):
            thing("https://example.org/a")


def test_the_home_folder_is_meant_also_in_quotes(image, tmp_path, cli):
    make_model(tmp_path / "m.onnx", "invert")
    done = cli("translate", "~/m.onnx", "~/a.png", "-o", "~/out", HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "out") == ["a.png"]
    done = cli("data", "check", "~/nosuch", HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert f"{tmp_path / 'nosuch'}: no such folder" in done.stderr
    (tmp_path / "~").mkdir()
    image.rename(tmp_path / "~/b.png")
    done = cli("translate", "m.onnx", "~/b.png", "-o", "out2", cwd=tmp_path, HOME=str(tmp_path / "elsewhere"))
    assert done.returncode == 0, done.stderr


def test_a_folder_of_other_files_says_what_they_are(model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4", "c.zip"):
        (tmp_path / "in" / name).touch()
    with pytest.raises(UserError, match=r"no images found in .*3 files with other endings left out \(.mp4 2, .zip 1\)"):
        model().translate_folder(tmp_path / "in", tmp_path / "out")


# Models


def test_model_and_images_the_other_way_round_are_noticed(image, tmp_path, cli):
    path = make_model(tmp_path / "m.onnx", "invert")
    said = "the model comes first, then the images: i2i translate MODEL IMAGES -o OUT"
    for first, what in ((image, "a PNG image, and no model"), (tmp_path, "give the file itself, such as")):
        done = cli("translate", first, path, "-o", tmp_path / "out")
        assert done.returncode == 2
        assert f"{first}: " in done.stderr
        assert what in done.stderr
    path.rename(tmp_path / "model")
    done = cli("translate", tmp_path, tmp_path / "model", "-o", tmp_path / "out")
    assert f"a folder of images, and no model; {said}" in done.stderr


def test_a_translator_of_a_one_way_model_is_to_be_left_out(tmp_path):
    path = make_model(tmp_path / "run/model.onnx", "invert")
    for place in (path, path.parent):
        with pytest.raises(ModelError, match="has one translator, 'default', and no 'AtoB'; leave the translator out"):
            load(place, translator="AtoB", device="cpu")
    assert load(path, translator="default", device="cpu").recipe == "test"


@pytest.mark.parametrize("data", [b"\0\0\2\0\0\0\0\0\0\0\0\0\x10\0\x10\0", b"Buy free stuff"], ids=["tga", "text"])
def test_what_only_looks_alike_gets_no_sort(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "a.png")
    assert "but a" not in caught.value.reason


def test_a_home_folder_that_nobody_has_is_a_folder_that_is_not_there(cli, tmp_path):
    for words in (["data", "check", "~nosuchuser/x"], ["train", "pix2pix", "--data", "~nosuchuser/x"]):
        done = cli(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == "i2i: error: ~nosuchuser/x: no such folder (data.root)\n"
    done = cli("train", "pix2pix", "--from", "~nosuchuser/x", cwd=tmp_path)
    assert done.returncode == 2
    assert "~nosuchuser/x" in done.stderr
    assert "unexpected" not in done.stderr


def test_an_empty_name_is_refused(image, tmp_path, cli):
    model = make_model(tmp_path / "m.onnx", "invert")
    (tmp_path / "here").mkdir()
    done = cli("translate", model, image, "-o", "", cwd=tmp_path / "here")
    assert (done.returncode, done.stderr) == (2, "i2i: error: the output folder has an empty name\n")
    done = cli("translate", "", image, "-o", "out", cwd=tmp_path / "here")
    assert done.returncode == 2
    assert "has an empty name" in done.stderr
    assert not tree(tmp_path / "here")


@pytest.mark.parametrize("ending", [".heic", ".jp2", ".tga", ".exr"])
def test_the_name_of_an_image_that_cannot_be_written_makes_no_folder(image, tmp_path, cli, ending):
    model = make_model(tmp_path / "m.onnx", "invert")
    done = cli("translate", model, image, "-o", tmp_path / f"out{ending}")
    assert done.returncode == 2
    assert f"{ending} files cannot be written; choose another ending, such as .png" in done.stderr
    assert not (tmp_path / f"out{ending}").exists()
