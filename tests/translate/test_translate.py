"""What a loaded model promises."""

import numpy as np
import pytest
from PIL import Image

from helpers.small_models import make_model, metadata_of, noise
from i2i.errors import DataError, ModelError, UserError
from i2i.images import write_image
from i2i.translate import load


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
    assert np.array_equal(model("red").translate(noise(7, 5, 4), alpha="drop"), noise(7, 5, 4)[..., :1])
    assert (model("identity-4").translate(noise(7, 5, 3))[..., 3] == 255).all()
    wide = noise(7, 5, 3, dtype=np.uint16)
    assert np.array_equal(model("identity").translate(wide), wide)
    result = model("identity", "float32").translate(wide)
    assert result.dtype == np.float32
    assert np.array_equal(np.rint(result * 65535), wide)
    result = model("identity").translate(np.full((3, 4, 3), 0.3))
    assert result.dtype == np.float32
    assert np.allclose(result, 0.3, atol=1e-6)
    inverted = model()  # inverts bits, which only integers have
    assert np.array_equal(inverted.translate(wide), (255 - np.rint(wide / 257).astype(np.uint16)) * 257)
    assert "8 bits" in inverted.notes[0]


def test_alpha_of_an_array_goes_by_the_rules_of_files(model):
    pixels = noise(7, 5, 4) | 1  # nothing is wholly invisible
    inverted = np.dstack([255 - pixels[..., :3], pixels[..., 3]])
    assert np.array_equal(model().translate(pixels), inverted)
    assert np.array_equal(model().translate(Image.fromarray(pixels)), inverted)
    assert np.array_equal(model().translate(pixels, alpha="drop"), inverted[..., :3])
    pixels[..., 3] = 0
    assert (model("identity").translate(pixels, alpha="white") == 255).all()
    assert (model("identity").translate(pixels, alpha="black") == 0).all()


def test_floats_without_a_range_are_refused_never_clipped(model):
    for value in (100.0, -1.0, np.nan):
        with pytest.raises(DataError):
            model().translate(np.full((3, 4, 3), value))


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
    for label, number in (("day", 0), ("night", 1), (1, 1), ("7", 2)):
        assert (labelled.translate(image, label=label) == 100 + number).all()
    assert (model("labelled", labels=["day", "night"]).translate(image, label="1") == 101).all()
    for label in ("dusk", 3, -1, None, "7.0", "1"):
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
        ({"i2i.channels_out": "1"}, "length 1 for image_out"),
        ({"i2i.labels": "day"}, "i2i.labels"),
        ({"i2i.labels": "{}"}, "i2i.labels"),
        ({"i2i.value_type": "float32"}, "float32 with 4 axes, the last of length 3 for image"),
        ({"i2i.value_type": "int8"}, "i2i.value_type"),
        ({"i2i.target_type": "uint32"}, "i2i.target_type"),
        ({"i2i.source_range": "[5, 5]"}, "i2i.source_range"),
        ({"i2i.source_range": "5"}, "i2i.source_range"),
        ({"i2i.target_range": "[0, 1e999]"}, "i2i.target_range"),
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
    with pytest.raises(ModelError, match="no run that one could be exported from"):
        load(run)
    (run / "config.yaml").touch()
    with pytest.raises(ModelError, match="i2i export"):
        load(run)
    make_model(run / "model.onnx", "invert")
    assert load(run, device="cpu").path == run / "model.onnx"
    assert load(run, translator="default", device="cpu").recipe == "test"
    with pytest.raises(ModelError, match="'default', and no 'AtoB'"):
        load(run, translator="AtoB", device="cpu")


def test_a_run_folder_with_several_models_wants_a_name(tmp_path):
    for name in ("AtoB", "BtoA"):
        metadata = metadata_of("invert", "uint8", []) | {"i2i.translator": name}
        make_model(tmp_path / f"model.{name}.onnx", "invert", metadata=metadata)
    assert load(tmp_path, translator="BtoA", device="cpu").info.translator == "BtoA"
    for translator in (None, "CtoD"):
        with pytest.raises(ModelError, match="AtoB, BtoA"):
            load(tmp_path, translator=translator)


# Folders
