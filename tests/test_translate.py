"""What translating with an exported file promises, on graphs small enough to see through."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

import i2i.translate.folder as folder_module
from i2i.data.images import find_images, read_image, write_image
from i2i.errors import DataError, ModelError, UserError
from i2i.translate import load
from i2i.translate.folder import translate_folder

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("I2I_DATA", ROOT / ".." / "shared" / "data"))
TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], **attributes)


GRAPHS = {  # nodes from `image` to `image_out`, constants, channels in and out, scale
    "identity": ([node("Identity", ["image"], "image_out")], {}, 3, 3, 1),
    "identity-1": ([node("Identity", ["image"], "image_out")], {}, 1, 1, 1),
    "identity-4": ([node("Identity", ["image"], "image_out")], {}, 4, 4, 1),
    "invert": ([node("BitwiseNot", ["image"], "image_out")], {}, 3, 3, 1),
    "triple": ([node("Concat", ["image"] * 3, "image_out", axis=3)], {}, 1, 3, 1),
    "pair": ([node("Concat", ["image"] * 2, "image_out", axis=3)], {}, 1, 2, 1),
    "red": (
        [node("Slice", ["image", "zero", "one", "axis"], "image_out")],
        {"zero": [0], "one": [1], "axis": [3]},
        3,
        1,
        1,
    ),
    "double": (
        [
            node(
                "Resize",
                ["image", "", "scales"],
                "image_out",
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )
        ],
        {"scales": np.array([1, 2, 2, 1], np.float32)},
        3,
        3,
        2,
    ),
    "labelled": (
        [
            node("Cast", ["label"], "small", to=TensorProto.UINT8),
            node("Unsqueeze", ["small", "axes"], "wide"),
            node("Add", ["image", "wide"], "image_out"),
        ],
        {"axes": [1, 2, 3]},
        3,
        3,
        1,
    ),
    "noisy": ([node("Add", ["image", "noise"], "image_out")], {}, 3, 3, 1),
    "to-nan": ([node("Div", ["image", "none"], "image_out")], {"none": np.zeros(1, np.float32)}, 3, 3, 1),
}


def metadata_of(graph, value_type, labels):
    _, _, channels_in, channels_out, scale = GRAPHS[graph]
    return {
        "i2i.version": "0.1.0",
        "i2i.recipe": "test",
        "i2i.translator": "default",
        "i2i.scale": str(scale),
        "i2i.multiple": "1",
        "i2i.channels_in": str(channels_in),
        "i2i.channels_out": str(channels_out),
        "i2i.value_type": value_type,
        "i2i.labels": json.dumps(labels),
        "i2i.receptive_field": "1",
        "i2i.config_digest": "0" * 8,
    }


def make_model(path, graph, value_type="uint8", labels=(), metadata=None, dynamic=True):
    nodes, constants, channels_in, channels_out, _ = GRAPHS[graph]
    kind, size = TYPES[value_type], ["N", "H", "W"] if dynamic else [1, 8, 8]
    inputs = [helper.make_tensor_value_info("image", kind, [*size, channels_in])]
    if graph == "labelled":
        inputs.append(helper.make_tensor_value_info("label", TensorProto.INT32, ["N"]))
    if graph == "noisy":
        inputs.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["N", "H", "W", 1]))
    output = helper.make_tensor_value_info("image_out", kind, ["N", "H2", "W2", channels_out])
    held = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, [output], held),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    helper.set_model_props(model, metadata_of(graph, value_type, list(labels)) if metadata is None else metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


@pytest.fixture
def model(tmp_path):
    """Loads a model with one of the graphs above."""

    def make(graph="invert", value_type="uint8", **options):
        name = f"{graph}-{value_type}.onnx"
        return load(make_model(tmp_path / "models" / name, graph, value_type, **options), device="cpu")

    return make


def noise(*shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


@pytest.fixture
def photos(tmp_path):
    """A folder of images: nested, of two sizes."""
    for n, name in enumerate(["1.png", "2.png", "10.png", "sub/3.png", "sub/deep/4.png"]):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, noise(8 if n < 3 else 6, 9, 3, seed=n))
    return tmp_path / "in"


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# Models


def test_a_model_tells_what_it_is(model):
    double = model("double")
    assert (double.recipe, double.scale, double.channels, double.labels) == ("test", 2, (3, 3), ())
    assert double.metadata["config_digest"] == "00000000"
    assert double.dtype == np.uint8
    assert double.info.receptive_field == 1
    assert double.provider == "CPUExecutionProvider"


def test_arrays_paths_and_pillow_images_give_the_same(model, tmp_path):
    pixels = noise(7, 5, 3)
    write_image(tmp_path / "a.png", pixels)
    invert = model()
    for image in (pixels, tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(pixels)):
        result = invert.translate(image)
        assert result.dtype == np.uint8
        assert np.array_equal(result, 255 - pixels)


def test_exif_orientation_is_applied_to_files_and_pillow_images(model, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(7, 5, 3)).save(tmp_path / "a.png", exif=exif)
    expected = np.rot90(noise(7, 5, 3), -1)
    assert np.array_equal(model("identity").translate(tmp_path / "a.png"), expected)
    assert np.array_equal(model("identity").translate(Image.open(tmp_path / "a.png")), expected)


def test_channels_and_depth_become_those_of_the_model(model):
    grey = noise(7, 5)
    assert np.array_equal(model("identity").translate(grey), np.dstack([grey] * 3))
    assert np.array_equal(model("triple").translate(grey), np.dstack([grey] * 3))
    assert np.array_equal(model("red").translate(noise(7, 5, 4)), noise(7, 5, 4)[..., :1])
    assert (model("identity-4").translate(noise(7, 5, 3))[..., 3] == 255).all()
    wide = noise(7, 5, 3, dtype=np.uint16)
    assert np.array_equal(model("identity").translate(wide), np.rint(wide / 257))
    result = model("identity", "float32").translate(wide)
    assert result.dtype == np.float32
    assert np.array_equal(np.rint(result * 65535), wide)
    assert model("identity").translate(np.ones((3, 4, 3))).max() == 255


def test_scale_enlarges(model):
    pixels = noise(7, 5, 3)
    assert np.array_equal(model("double").translate(pixels), pixels.repeat(2, 0).repeat(2, 1))


def test_batches_keep_images_apart(model):
    images = noise(4, 7, 5, 3)
    assert np.array_equal(model().translate_batch(images), 255 - images)


@pytest.mark.parametrize("shape", [(4, 7, 5), (1, 4, 7, 5), (0, 4, 7, 3), (1, 0, 7, 3)])
def test_a_batch_that_does_not_fit_is_refused(model, shape):
    with pytest.raises(DataError, match="takes uint8"):
        model().translate_batch(np.zeros(shape, np.uint8))
    with pytest.raises(DataError, match="float32"):
        model().translate_batch(np.zeros((1, 2, 2, 3), np.float32))


@pytest.mark.parametrize("image", [np.zeros((2, 2, 2), np.uint8), np.zeros(3, np.uint8), np.zeros((2, 2, 3), np.int64)])
def test_an_array_that_is_no_image_is_refused(model, image):
    with pytest.raises(DataError):
        model().translate(image)


def test_labels_go_by_name_and_number(model):
    labelled = model("labelled", labels=["day", "night", "7"])
    assert labelled.labels == ("day", "night", "7")
    image = np.full((2, 3, 3), 100, np.uint8)
    for label, number in (("day", 0), ("night", 1), (1, 1), ("1", 1), ("7", 2)):
        assert (labelled.translate(image, label=label) == 100 + number).all()
    for label in ("dusk", 3, -1, None, "7.0"):
        with pytest.raises(UserError, match="day, night, 7"):
            labelled.translate(image, label=label)
    with pytest.raises(UserError, match="no labels"):
        model().translate(image, label="day")


def test_noise_is_the_same_for_each_image_and_run(model):
    noisy = model("noisy", "float32")
    images = noise(3, 7, 5, 3, dtype=np.float32)
    together = noisy.translate_batch(images)
    assert 0.5 < (together - images).std() < 1.5
    assert np.array_equal(together[2], noisy.translate(images[2]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"i2i.version": None}, "no i2i metadata"),
        ({"i2i.scale": "two"}, "i2i.scale is 'two'"),
        ({"i2i.scale": "0"}, "i2i.scale"),
        ({"i2i.channels_in": None}, "i2i.channels_in"),
        ({"i2i.channels_out": "1"}, "1 channels for image_out"),
        ({"i2i.labels": "day"}, "i2i.labels"),
        ({"i2i.labels": "{}"}, "i2i.labels"),
        ({"i2i.value_type": "float32"}, "float32 with 3 channels for image"),
        ({"i2i.value_type": "int8"}, "i2i.value_type"),
    ],
)
def test_metadata_that_are_missing_or_wrong_are_told_at_loading(tmp_path, change, reason):
    metadata = metadata_of("identity", "uint8", []) | change
    metadata = {key: value for key, value in metadata.items() if value is not None}
    path = make_model(tmp_path / "model.onnx", "identity", metadata=metadata)
    with pytest.raises(ModelError, match=reason) as caught:
        load(path, device="cpu")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_model_that_breaks_its_promise_is_told(tmp_path):
    metadata = metadata_of("identity", "uint8", []) | {"i2i.scale": "2"}
    broken = load(make_model(tmp_path / "model.onnx", "identity", metadata=metadata), device="cpu")
    with pytest.raises(ModelError, match="promise"):
        broken.translate(noise(4, 4, 3))
    fixed = load(make_model(tmp_path / "fixed.onnx", "identity", dynamic=False), device="cpu")
    with pytest.raises(ModelError, match="failed") as caught:
        fixed.translate(noise(4, 4, 3))
    assert "\n" not in str(caught.value)


def test_what_is_no_model_is_refused_in_one_line(tmp_path, capfd):
    whole = make_model(tmp_path / "whole.onnx", "double").read_bytes()
    for name, data in {"text.onnx": b"no model", "empty.onnx": b"", "cut.onnx": whole[:-40]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match="not an ONNX file") as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < len(str(tmp_path)) + 220
    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "missing.onnx")
    with pytest.raises(UserError, match="unknown device"):
        load(tmp_path / "whole.onnx", device="tpu")
    assert capfd.readouterr() == ("", "")


def test_a_run_folder_gives_its_model(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ModelError, match="i2i export"):
        load(run)
    make_model(run / "model.onnx", "invert")
    assert load(run, device="cpu").path == run / "model.onnx"
    assert load(run, translator="default", device="cpu").recipe == "test"
    with pytest.raises(ModelError, match="'default', not 'AtoB'"):
        load(run, translator="AtoB", device="cpu")


def test_a_run_folder_with_several_models_wants_a_name(tmp_path):
    for name in ("AtoB", "BtoA"):
        metadata = metadata_of("invert", "uint8", []) | {"i2i.translator": name}
        make_model(tmp_path / f"model.{name}.onnx", "invert", metadata=metadata)
    assert load(tmp_path, translator="BtoA", device="cpu").info.translator == "BtoA"
    for translator in (None, "CtoD"):
        with pytest.raises(ModelError, match="AtoB, BtoA"):
            load(tmp_path, translator=translator)


def test_cuda_is_used_or_its_absence_told_without_noise(tmp_path, capfd):
    path = make_model(tmp_path / "model.onnx", "invert")
    assert load(path).provider in ("CUDAExecutionProvider", "CPUExecutionProvider")
    try:
        assert load(path, device="cuda").provider == "CUDAExecutionProvider"
    except ModelError as error:
        assert "CUDA" in str(error)
    assert capfd.readouterr() == ("", "")


def test_asking_for_cuda_that_cannot_load_is_refused(tmp_path, monkeypatch, capfd):
    import onnxruntime

    path = make_model(tmp_path / "model.onnx", "invert")
    if load(path).provider == "CUDAExecutionProvider":
        pytest.skip("CUDA works here")
    monkeypatch.setattr("i2i.translate.model._has_gpu", lambda: True)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("noise"))
    assert load(path).provider == "CPUExecutionProvider"
    with pytest.raises(ModelError, match="CUDA"):
        load(path, device="cuda")
    assert capfd.readouterr() == ("", "")


# Folders


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
    run = invert.translate_batch
    invert.translate_batch = lambda images, **options: sizes.append(len(images)) or run(images, **options)
    results = list(translate_folder(invert, photos, tmp_path / "out", batch=batch, workers=workers))
    assert [result.input.name for result in results] == ["1.png", "2.png", "10.png", "3.png", "4.png"]
    for result in results:
        assert np.array_equal(read_image(result.output).pixels, 255 - read_image(result.input).pixels)
    assert sizes == {1: [1] * 5, 2: [2, 1, 2], 3: [3, 2], 64: [3, 2]}[batch]


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
    assert tree(tmp_path / "out8") == ["a.jpg", "b.webp", "c.bmp", "d.tif", "e.png", "f.npy", "g.png", "h.png"]
    list(translate_folder(model("identity", "float32"), tmp_path / "in", tmp_path / "deep"))
    assert tree(tmp_path / "deep") == ["a.png", "b.png", "c.png", "d.tif", "e.png", "f.npy", "g.png", "h.png"]
    assert read_image(tmp_path / "deep/a.png").pixels.dtype == np.uint16
    assert read_image(tmp_path / "deep/d.tif").pixels.dtype == np.float32
    list(translate_folder(model("identity-4"), tmp_path / "in", tmp_path / "four"))
    assert tree(tmp_path / "four")[:3] == ["a.png", "b.webp", "c.png"]
    results = list(translate_folder(model("pair"), tmp_path / "in", tmp_path / "two"))
    assert {result.output.suffix for result in results} == {".npy"}
    assert np.load(results[0].output).shape == (4, 4, 2)


def test_16_bits_stay_exact_through_a_float_model(model, tmp_path):
    write_image(tmp_path / "a.png", noise(9, 9, 3, dtype=np.uint16))
    list(translate_folder(model("identity", "float32"), tmp_path / "a.png", tmp_path / "out"))
    assert np.array_equal(read_image(tmp_path / "out/a.png").pixels, noise(9, 9, 3, dtype=np.uint16))


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
    ):
        with pytest.raises(UserError, match="choose another output folder"):
            translate_folder(model(), inputs, out, overwrite=True)
    assert {name: (photos / name).read_bytes() for name in tree(photos)} == before


def test_an_input_behind_a_link_is_not_written_over(model, photos, tmp_path):
    (tmp_path / "links").mkdir()
    (tmp_path / "links/1.png").symlink_to(photos / "1.png")
    with pytest.raises(UserError, match="would be written over"):
        translate_folder(model(), [tmp_path / "links/1.png"], photos, overwrite=True)


def test_outputs_inside_the_input_folder_are_not_read_again(model, photos):
    out = photos / "translated"
    for options in ({}, {"overwrite": True}, {"skip_existing": True}):
        for inputs in (photos, f"{photos}/*", f"{photos}/**/*.png"):
            if inputs is photos or options:
                results = list(translate_folder(model(), inputs, out, **options))
                assert len(results) == 5, inputs
    assert tree(out) == ["1.png", "10.png", "2.png", "sub/3.png", "sub/deep/4.png"]


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


def test_alpha_is_put_back_where_it_means_something(model, tmp_path):
    pixels = noise(6, 8, 4)
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
    assert np.array_equal(read_image(tmp_path / "deep/in.png").alpha, pixels[..., 3].astype(int) * 257)


def test_opaque_alpha_is_left_out(model, tmp_path):
    write_image(tmp_path / "in.png", np.dstack([noise(6, 8, 3), np.full((6, 8), 255, np.uint8)]))
    list(translate_folder(model(), tmp_path / "in.png", tmp_path / "out"))
    assert Image.open(tmp_path / "out/in.png").mode == "RGB"


def test_a_model_that_makes_alpha_keeps_its_own(model, tmp_path):
    write_image(tmp_path / "in.png", noise(6, 8, 4))
    list(translate_folder(model("identity-4"), tmp_path / "in.png", tmp_path / "out"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/in.png")), noise(6, 8, 4))


def test_nothing_to_do_or_nowhere_to_write_is_told_at_once(model, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for inputs in ([tmp_path / "empty"], [tmp_path / "nowhere"], [f"{photos}/*.gif"], []):
        with pytest.raises(UserError, match="no images found"):
            translate_folder(model(), inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot be written"):
            translate_folder(model(), photos, out)
    with pytest.raises(UserError, match="is a folder"):
        translate_folder(model(), photos / "1.png", tmp_path / "result.png")
    with pytest.raises(UserError, match="label"):
        translate_folder(model("labelled", labels=["a"]), photos, tmp_path / "out", label="b")


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
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("i2i-image")]


def test_an_interrupt_leaves_no_partial_file(model, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for n in range(20):
        write_image(tmp_path / f"in/{n}.png", noise(5, 5, 3, seed=n))
    invert = model()
    run, calls = invert.translate_batch, []

    def interrupted(images, **options):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return run(images, **options)

    invert.translate_batch = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(translate_folder(invert, tmp_path / "in", tmp_path / "out"))
    assert all(name.endswith(".png") and read_image(tmp_path / "out" / name) for name in tree(tmp_path / "out"))


def test_what_is_held_at_once_does_not_grow_with_the_number_of_files(model, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for n in range(60):
        write_image(tmp_path / f"in/{n}.png", noise(5, 5, 3, seed=n))
    lock, alive, most = threading.Lock(), 0, 0

    def counted_read(path, **options):
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return read_image(path, **options)

    def slow_write(path, pixels, **options):
        nonlocal alive
        time.sleep(0.003)
        write_image(path, pixels, **options)
        with lock:
            alive -= 1

    monkeypatch.setattr(folder_module, "read_image", counted_read)
    monkeypatch.setattr(folder_module, "write_image", slow_write)
    assert len(list(translate_folder(model(), tmp_path / "in", tmp_path / "out", workers=2, batch=2))) == 60
    assert most <= 16


def test_translating_imports_neither_torch_nor_onnx_nor_plugins(tmp_path):
    path = make_model(tmp_path / "model.onnx", "invert")
    write_image(tmp_path / "a.png", noise(4, 4, 3))
    code = (
        "import sys; from i2i.translate import load; from i2i.translate.folder import translate_folder\n"
        "model, image, out = sys.argv[1:]\n"
        "print([result.status for result in translate_folder(load(model), image, out)])\n"
        "print(sorted({'torch', 'onnx', 'typer', 'i2i.plugins', 'i2i_pix2pix', 'torchvision'} & set(sys.modules)))"
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
        before, after = read_image(result.input, channels=3), read_image(result.output, channels=3)
        assert np.array_equal(before.pixels, after.pixels)
