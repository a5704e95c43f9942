"""Images of more than 8 bits, through models of 8-bit images and of others: levels, types, notes."""

import json

import cv2
import numpy as np
import pytest

from helpers.command import Command
from helpers.small_models import make_model, metadata_of, noise
from i2i.images import write_image
from i2i.translate import load

RAMP = np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64)  # 3,072 levels


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """Deep and 8-bit images, neighbours in one batch, through a model in the form of an exported one of 8 bits."""
    place = tmp_path_factory.mktemp("deep")
    model = make_model(place / "model.onnx", "exported")
    images = {"a.png": RAMP, "b.png": (RAMP >> 8).astype(np.uint8), "c.png": RAMP[::-1], "d.png": RAMP >> 4}
    (place / "in").mkdir()
    for name, pixels in images.items():
        assert cv2.imwrite(str(place / "in" / name), pixels)
    assert cv2.imwrite(str(place / "in" / "e.tif"), RAMP[::2].astype(np.float32) / 65535)
    done = Command("translate", model, place / "in", "-o", place / "out", "--batch", 4, "--json").completed()
    assert done.returncode == 0, done.stderr
    return place, images, json.loads(done.stdout)


def test_a_model_of_8_bits_keeps_the_levels_of_deeper_images(translated):
    place, images, report = translated
    for name, pixels in images.items():
        output = cv2.imread(str(place / "out" / name), cv2.IMREAD_UNCHANGED)
        assert output.dtype == pixels.dtype
        assert np.array_equal(output, pixels), name
    floats = cv2.imread(str(place / "out" / "e.tif"), cv2.IMREAD_UNCHANGED)
    assert floats.dtype == np.float32
    assert np.allclose(floats, RAMP[::2] / 65535, atol=1e-6)
    assert not any("note" in result for result in report["results"])


@pytest.mark.parametrize("tile", ["none", 16])
def test_python_gets_the_levels_too(tmp_path, tile):
    model = load(make_model(tmp_path / "model.onnx", "exported"), device="cpu")
    result = model.translate(RAMP, tile=tile)
    assert result.dtype == np.uint16
    assert np.array_equal(result[..., 0], RAMP)
    assert model.translate((RAMP >> 8).astype(np.uint8), tile=tile).dtype == np.uint8
    assert model.notes == []


@pytest.mark.parametrize(("target_type", "ending"), [("uint16", ".png"), ("float32", ".tif")])
def test_generated_images_have_the_units_of_the_training(tmp_path, target_type, ending):
    values = {"i2i.target_type": target_type, "i2i.target_range": "[1000, 3000]"}
    made = {}
    for name, more in {"unit": {}, "ranged": values}.items():
        metadata = metadata_of("dream", "float32", []) | more
        made[name] = load(make_model(tmp_path / f"{name}.onnx", "dream", "float32", metadata=metadata), device="cpu")
    expected = 1000 + 2000 * np.clip(made["unit"].generate(2), 0, 1)
    images = made["ranged"].generate(2)
    assert images.dtype == target_type
    assert np.abs(images - expected).max() <= 0.501
    done = Command("generate", tmp_path / "ranged.onnx", "-o", tmp_path / "out", "--count", 2).completed()
    assert done.returncode == 0, done.stderr
    for number, image in enumerate(images):
        file = cv2.imread(str(tmp_path / "out" / f"image-{number:04d}{ending}"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(file[..., ::-1], image)


def test_a_graph_that_needs_8_bits_says_that_it_had_no_more(tmp_path):
    model = make_model(tmp_path / "model.onnx", "invert")
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", noise(6, 8, 3, dtype=np.uint16))
    write_image(tmp_path / "in" / "b.png", noise(6, 8, 3))
    done = Command("translate", model, tmp_path / "in", "-o", tmp_path / "out", "--json").completed()
    deep, plain = json.loads(done.stdout)["results"]
    assert "went through 8 bits" in deep["note"]
    assert deep["note"].startswith(str(tmp_path / "in" / "a.png"))
    assert deep["note"] in done.stderr
    assert "note" not in plain
