"""What translating folders promises."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from helpers.paths import DATA, ROOT
from helpers.small_models import make_model, metadata_of, noise, tree
from i2i.errors import ModelError, UserError
from i2i.images import find_images, read_image, to_dtype, write_image
from i2i.translate import translate_folder


def test_a_folder_is_translated_with_its_structure(model, photos, tmp_path):
    results = list(translate_folder(model(), [photos], tmp_path / "out"))
    names = ["1.png", "2.png", "10.png", "sub/3.png", "sub/deep/4.png"]
    assert [result.output for result in results] == [tmp_path / "out" / name for name in names]
    assert [result.input for result in results] == [photos / name for name in names]
    assert {result.status for result in results} == {"written"}
    assert [(result.width, result.height) for result in results] == [(9, 8)] * 3 + [(9, 6)] * 2
    assert all(result.seconds > 0 and not result.reason for result in results)
    assert tree(tmp_path / "out") == sorted(names)
    for result in results:
        assert np.array_equal(read_image(result.output).pixels, 255 - read_image(result.input).pixels)


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
@pytest.mark.parametrize("workers", [1, 4])
def test_batches_and_threads_change_neither_results_nor_order(model, photos, tmp_path, batch, workers):
    sizes = []
    invert = model()
    run = invert.network.translate
    invert.network.translate = lambda images, **options: sizes.append(len(images)) or run(images, **options)
    results = list(translate_folder(invert, photos, tmp_path / "out", batch=batch, workers=workers))
    assert [result.input.name for result in results] == ["1.png", "2.png", "10.png", "3.png", "4.png"]
    for result in results:
        assert np.array_equal(read_image(result.output).pixels, 255 - read_image(result.input).pixels)
    assert sorted(sizes) == {1: [1] * 5, 2: [1, 1, 1, 2], 3: [2, 3], 64: [2, 3]}[batch]


def test_files_and_globs_are_inputs_too(model, photos, tmp_path):
    for inputs, names in (
        ([photos / "1.png", photos / "sub" / "3.png"], ["1.png", "3.png"]),
        ([f"{photos}/*.png"], ["1.png", "10.png", "2.png"]),
        ([f"{photos}/**/*.png"], ["1.png", "10.png", "2.png", "sub/3.png", "sub/deep/4.png"]),
        ([f"{photos}/s*"], ["sub/3.png", "sub/deep/4.png"]),
        ([photos / "1.png", photos, f"{photos}/*.png"], ["1.png", "10.png", "2.png", "sub/3.png", "sub/deep/4.png"]),
    ):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        assert all(result.status == "written" for result in translate_folder(model(), inputs, out))
        assert tree(out) == names


def test_a_file_whose_name_looks_like_a_glob_is_a_file(model, tmp_path):
    write_image(tmp_path / "a[1].png", noise(4, 4, 3))
    assert [r.status for r in translate_folder(model(), [str(tmp_path / "a[1].png")], tmp_path / "out")] == ["written"]


def test_formats_are_kept_where_they_hold_the_result(model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.webp", "c.bmp", "d.tif", "e.png", "f.npy"):
        write_image(tmp_path / "in" / name, noise(4, 4, 3))
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "in/g.gif")
    Image.fromarray(noise(4, 4, 3)).save(tmp_path / "in/h.ppm")
    list(translate_folder(model(), tmp_path / "in", tmp_path / "out8"))
    assert tree(tmp_path / "out8") == ["a.jpg", "b.webp", "c.bmp", "d.tif", "e.png", "f.npy", "g.png", "h.ppm"]
    list(translate_folder(model("identity-4"), tmp_path / "in", tmp_path / "four"))
    assert tree(tmp_path / "four")[:3] == ["a.png", "b.webp", "c.png"]
    assert tree(tmp_path / "four")[-1] == "h.png"
    results = list(translate_folder(model("pair"), tmp_path / "in", tmp_path / "two"))
    assert {result.output.suffix for result in results} == {".npy", ".tif"}
    assert [result.output.name for result in results if result.output.suffix == ".tif"] == ["d.tif"]
    assert np.load(results[0].output).shape == (4, 4, 2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_the_bit_depth_is_kept_and_exact_through_a_float_model(model, tmp_path, name, dtype):
    if name == "a.png" and dtype == np.float32:
        pytest.skip("no floats in PNG")
    write_image(tmp_path / name, noise(9, 9, 3, dtype=dtype))
    list(translate_folder(model("identity", "float32"), tmp_path / name, tmp_path / "out"))
    assert read_image(tmp_path / "out" / name).pixels.dtype == dtype
    assert np.array_equal(read_image(tmp_path / "out" / name).pixels, noise(9, 9, 3, dtype=dtype))
    list(translate_folder(model("identity"), tmp_path / name, tmp_path / "out8"))
    coarse = read_image(tmp_path / "out8" / name).pixels
    assert coarse.dtype == dtype
    assert np.array_equal(to_dtype(coarse, np.uint8), to_dtype(noise(9, 9, 3, dtype=dtype), np.uint8))


def test_the_true_format_decides_not_the_ending(model, tmp_path):
    for name, kind in (("a.jpg", "PNG"), ("b.png", "JPEG"), ("c.tif", "BMP")):
        Image.fromarray(noise(8, 8, 3)).save(tmp_path / name, kind)
        list(translate_folder(model("identity"), tmp_path / name, tmp_path / "out"))
    assert tree(tmp_path / "out") == ["a.png", "b.png", "c.png"]
    assert np.array_equal(read_image(tmp_path / "out/a.png").pixels, noise(8, 8, 3))


def test_a_second_time_writes_the_same_files(model, tmp_path):
    """What is there already has no say in the format: the kept name may be too poor for the result."""
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "deep.tif", noise(8, 8, 3, dtype=np.uint16))
    (tmp_path / "deep.tif").rename(tmp_path / "in/a.jpg")
    Image.fromarray(noise(8, 8, 3)).save(tmp_path / "in/b.jpg", "WEBP")
    for options in ({}, {"overwrite": True}, {"overwrite": True}):
        list(translate_folder(model("identity", "float32"), tmp_path / "in", tmp_path / "out", **options))
        assert tree(tmp_path / "out") == ["a.png", "b.png"]
        assert read_image(tmp_path / "out/a.png").pixels.dtype == np.uint16


def test_inputs_that_come_to_one_name_are_all_kept(model, tmp_path):
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "x.png", noise(4, 4, 3, seed=ord(folder)))
    Image.fromarray(noise(4, 4, 3, seed=1)).save(tmp_path / "a/x.gif")
    Image.fromarray(noise(4, 4, 3, seed=2)).save(tmp_path / "a/x_gif.png")
    inputs = [tmp_path / folder for folder in "abc"]
    results = {
        result.output.name: result.input for result in translate_folder(model("identity"), inputs, tmp_path / "out")
    }
    assert results == {
        "x.png": tmp_path / "a/x.png",
        "x_gif_2.png": tmp_path / "a/x.gif",
        "x_gif.png": tmp_path / "a/x_gif.png",
        "x_png.png": tmp_path / "b/x.png",
        "x_png_2.png": tmp_path / "c/x.png",
    }
    for name, source in results.items():
        assert np.array_equal(read_image(tmp_path / "out" / name).pixels, read_image(source).pixels)


def test_nothing_is_written_over_without_leave(model, photos, tmp_path):
    out = tmp_path / "out"
    (out / "sub").mkdir(parents=True)
    (out / "2.png").write_bytes(b"mine")
    (out / "sub/3.png").write_bytes(b"mine")
    with pytest.raises(UserError) as caught:
        translate_folder(model(), photos, out)  # before the first result is asked for
    assert str(caught.value) == (
        f"{out / '2.png'}: exists already, 2 of 5 outputs do; add --overwrite or --skip-existing"
    )
    assert tree(out) == ["2.png", "sub/3.png"]
    results = list(translate_folder(model(), photos, out, skip_existing=True))
    assert [result.status for result in results] == ["written", "skipped", "written", "skipped", "written"]
    assert (out / "2.png").read_bytes() == b"mine"
    assert {result.status for result in translate_folder(model(), photos, out, overwrite=True)} == {"written"}
    assert np.array_equal(read_image(out / "2.png").pixels, 255 - read_image(photos / "2.png").pixels)
    with pytest.raises(UserError, match="exclude"):
        translate_folder(model(), photos, out, overwrite=True, skip_existing=True)


def test_inputs_are_never_written_over(model, photos, tmp_path):
    before = {name: (photos / name).read_bytes() for name in tree(photos)}
    link = tmp_path / "link"
    link.symlink_to(photos)
    for inputs, out in (
        ([photos], photos),
        ([photos], link),
        ([photos / "1.png"], photos),
        ([photos / "1.png"], photos / "sub" / ".."),
        ([f"{photos}/*.png"], photos),
        ([photos / "sub"], photos / "sub"),
        ([photos], photos / "translated"),
        ([photos], link / "sub" / "translated"),
        ([photos / "sub", photos / "1.png"], photos / "sub" / "deep"),
    ):
        with pytest.raises(UserError, match="choose another output folder"):
            translate_folder(model(), inputs, out, overwrite=True)
    assert {name: (photos / name).read_bytes() for name in tree(photos)} == before


def test_an_input_behind_a_link_is_not_written_over(model, photos, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links/1.png").symlink_to(photos / "1.png")
    with pytest.raises(UserError, match="would be written over"):
        translate_folder(model(), [tmp_path / "links/1.png"], photos, overwrite=True)


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(model, tmp_path):
    for number in range(30):
        (tmp_path / "in/sub").mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / f"in/sub/{number}.png", noise(5, 5, 3, seed=number))
    results = translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=1, overwrite=True)
    first = next(results)
    counts = [0]
    while len(counts) < 6 or len(set(counts[-6:])) > 1:  # until all that was begun ahead is written
        time.sleep(0.1)
        counts.append(len(tree(tmp_path / "out")))
    (tmp_path / "out/sub").rename(tmp_path / "out/old")
    (tmp_path / "out/sub").symlink_to(tmp_path / "in/sub")
    statuses = [first.status, *(result.status for result in results)]
    assert statuses[-1] == "failed"
    written = statuses.count("written")
    kept = [np.array_equal(read_image(tmp_path / f"in/sub/{n}.png").pixels, noise(5, 5, 3, seed=n)) for n in range(30)]
    assert all(kept)
    assert len(tree(tmp_path / "out/old")) == written


def test_what_another_job_has_written_meanwhile_is_skipped(model, photos, tmp_path):
    first = translate_folder(model(), photos, tmp_path / "out", skip_existing=True)
    list(translate_folder(model(), photos, tmp_path / "out"))
    assert {result.status for result in first} == {"skipped"}


def test_a_failure_is_told_and_the_rest_goes_on(model, photos, tmp_path):
    (photos / "2.png").write_bytes((photos / "2.png").read_bytes()[:-30])
    (photos / "3.jpg").write_text("no image")
    results = list(translate_folder(model(), [photos, tmp_path / "missing.png"], tmp_path / "out", batch=4))
    failed = {result.input.name: result.reason for result in results if result.status == "failed"}
    assert set(failed) == {"2.png", "3.jpg", "missing.png"}
    assert failed["3.jpg"] == f"{photos / '3.jpg'}: not an image in a known format"
    assert sum(result.status == "written" for result in results) == 4
    assert tree(tmp_path / "out") == ["1.png", "10.png", "sub/3.png", "sub/deep/4.png"]


def test_a_result_that_cannot_be_written_is_a_failure(model, photos, tmp_path):
    results = list(translate_folder(model("to-nan", "float32"), photos, tmp_path / "out"))
    assert {result.status for result in results} == {"failed"}
    assert all(str(result.input) in result.reason and "not finite" in result.reason for result in results)
    assert tree(tmp_path / "out") == []


def test_a_batch_that_fails_is_tried_again_image_by_image(model, photos, tmp_path):
    invert = model()
    run = invert.translate_batch

    def small_only(images, **options):
        if len(images) > 1:
            raise ModelError("no memory")
        return run(images, **options)

    invert.translate_batch = small_only
    assert {r.status for r in translate_folder(invert, photos, tmp_path / "out", batch=3)} == {"written"}


def test_an_image_that_cannot_be_cut_fails_alone(model, tmp_path):
    """Whether two fit into a batch is asked where an error would end the whole job."""
    for number, side in enumerate([30, 30, 8, 8]):
        (tmp_path / "in").mkdir(exist_ok=True)
        write_image(tmp_path / f"in/{number}.png", noise(side, side, 3))
    everywhere = {"i2i.receptive_field": "global"}
    uncut = model("identity", metadata=metadata_of("identity", "uint8", []) | everywhere)
    results = list(translate_folder(uncut, tmp_path / "in", tmp_path / "out", tile=16, batch=2))
    assert [result.status for result in results] == ["failed", "failed", "written", "written"]


def test_alpha_is_put_back_where_it_means_something(model, tmp_path):
    pixels = noise(6, 8, 4) | 1  # nothing is wholly invisible
    write_image(tmp_path / "in.png", pixels)
    list(translate_folder(model(), tmp_path / "in.png", tmp_path / "same"))
    assert np.array_equal(
        np.asarray(Image.open(tmp_path / "same/in.png")), np.dstack([255 - pixels[..., :3], pixels[..., 3]])
    )
    list(translate_folder(model("double"), tmp_path / "in.png", tmp_path / "double"))
    double = read_image(tmp_path / "double/in.png")
    assert double.alpha.shape == (12, 16)
    assert abs(double.alpha.mean() - pixels[..., 3].mean()) < 3
    list(translate_folder(model("red"), tmp_path / "in.png", tmp_path / "red"))
    assert np.array_equal(read_image(tmp_path / "red/in.png").alpha, pixels[..., 3])
    list(translate_folder(model("identity", "float32"), tmp_path / "in.png", tmp_path / "deep"))
    assert np.array_equal(read_image(tmp_path / "deep/in.png").alpha, pixels[..., 3])


@pytest.mark.parametrize("opacity", [0, 255, 51])
def test_alpha_is_dropped_or_put_on_a_colour_when_asked(model, tmp_path, opacity):
    pixels = np.dstack([noise(6, 8, 3), np.full((6, 8), opacity, np.uint8)])
    write_image(tmp_path / "in.png", pixels)
    results = {}
    for rule in ("keep", "drop", "white", "black"):
        list(translate_folder(model("identity"), tmp_path / "in.png", tmp_path / rule, alpha=rule))
        results[rule] = np.asarray(Image.open(tmp_path / rule / "in.png")).astype(float)
    colour, share = pixels[..., :3].astype(float), opacity / 255
    assert np.array_equal(results["keep"], pixels * np.uint8(opacity > 0))  # what nobody sees has no colour
    assert np.array_equal(results["drop"], colour)
    np.testing.assert_allclose(results["white"], share * colour + (1 - share) * 255, atol=0.51)
    np.testing.assert_allclose(results["black"], share * colour, atol=0.51)


def test_a_model_that_makes_alpha_keeps_its_own(model, tmp_path):
    pixels = noise(6, 8, 4) | 1
    write_image(tmp_path / "in.png", pixels)
    list(translate_folder(model("identity-4"), tmp_path / "in.png", tmp_path / "out"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/in.png")), pixels)


def test_nothing_to_do_or_nowhere_to_write_is_told_at_once(model, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for inputs in ([tmp_path / "empty"], [tmp_path / "nowhere"] * 2, [f"{photos}/*.gif"], []):
        with pytest.raises(UserError, match="no images found"):
            translate_folder(model(), inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot be written"):
            translate_folder(model(), photos, out)
    with pytest.raises(UserError, match=r"is a single image, and the input is a folder"):
        translate_folder(model(), photos, tmp_path / "result.png")
    with pytest.raises(UserError, match="label"):
        translate_folder(model("labelled", labels=["a"]), photos, tmp_path / "out", label="b")


def test_a_folder_where_an_output_should_be_is_no_output(model, photos, tmp_path):
    (tmp_path / "out" / "1.png").mkdir(parents=True)
    results = {
        result.input.name: result for result in translate_folder(model(), photos, tmp_path / "out", skip_existing=True)
    }
    assert results["1.png"].status == "failed"
    assert results["1.png"].reason.endswith("a folder is in the way")
    assert results["2.png"].status == "written"


def test_a_failure_names_its_input_and_frame_once(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages = [Image.fromarray(noise(20, 20, 3, seed=number)) for number in range(3)]
    pages[0].save(tmp_path / "o.tif", save_all=True, append_images=pages[1:])
    write_image(tmp_path / "o.png", noise(5, 5, 3))
    (tmp_path / "o.png").rename(tmp_path / "o")
    (tmp_path / "out" / "o.png").mkdir(parents=True)
    (tmp_path / "out" / "o_tif_0001.tif").mkdir()
    (tmp_path / "out" / "o_0001.tif").mkdir()
    options = {"frames": "all", "overwrite": True}
    results = list(translate_folder(model(), ["o", "o.tif"], "out", **options))
    failed = [result.reason for result in results if result.status == "failed"]
    assert failed[0].startswith("o: out/o")
    assert failed[1].startswith("o.tif: frame 1: out/o")
    assert len(failed) == 2


def test_closing_half_way_leaves_whole_files_only(model, tmp_path):
    (tmp_path / "in").mkdir()
    for n in range(40):
        write_image(tmp_path / f"in/{n}.png", noise(5, 5, 3, seed=n))
    results = translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=2)
    next(results)
    results.close()
    written = tree(tmp_path / "out")
    assert 1 <= len(written) < 40
    for name in written:
        assert np.array_equal(
            read_image(tmp_path / "out" / name).pixels, 255 - read_image(tmp_path / "in" / name).pixels
        )
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("i2i-")]


def test_an_interrupt_leaves_no_partial_file(model, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for n in range(20):
        write_image(tmp_path / f"in/{n}.png", noise(5, 5, 3, seed=n))
    invert = model()
    run, calls = invert.network.translate, []

    def interrupted(images, **options):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return run(images, **options)

    invert.network.translate = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(translate_folder(invert, tmp_path / "in", tmp_path / "out"))
    assert all(name.endswith(".png") and read_image(tmp_path / "out" / name) for name in tree(tmp_path / "out"))


def test_translating_imports_neither_torch_nor_onnx_nor_what_training_needs(tmp_path):
    path = make_model(tmp_path / "model.onnx", "invert")
    write_image(tmp_path / "a.png", noise(4, 4, 3))
    code = (
        "import sys; from i2i import load; from i2i.translate import translate_folder\n"
        "model, image, out = sys.argv[1:]\n"
        "print([result.status for result in translate_folder(load(model), image, out)])\n"
        "unwanted = {'torch', 'torchvision', 'onnx', 'typer', 'pydantic', 'pluggy', 'albumentations', 'kornia'}\n"
        "print(sorted((unwanted | {'i2i.plugins', 'i2i_pix2pix'}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "a.png"), str(tmp_path / "out")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split("\n")[:2] == ["['written']", "[]"]
    assert done.stderr == ""


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="I2I_DATA names no folder")
def test_real_folders_come_through_unchanged(model, tmp_path):
    files = find_images(DATA / "emoji")[::200]
    results = list(translate_folder(model("identity"), files, tmp_path / "out", batch=8))
    assert {result.status for result in results} == {"written"}
    for result in results:
        before, after = read_image(result.input, channels=4), read_image(result.output, channels=4)
        visible = before.pixels[..., 3] > 0  # colours that nobody sees are not kept
        assert np.array_equal(before.pixels[visible], after.pixels[visible])
        assert np.array_equal(before.pixels[..., 3], after.pixels[..., 3])
