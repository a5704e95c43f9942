"""Methods with other inputs and outputs than one image: trained, resumed, exported, used from the command line.

The plugins lie in `plugins/`, one file each, and use nothing but `import i2i`.
"""

import csv
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import i2i
from helpers import typed_data
from helpers.recipes import SHARED, train_only
from i2i.images import read_image
from i2i.plugins import Plugins

FOLDER = Path(__file__).parent / "plugins"
SETS = [
    *(line for line in SHARED if not line.startswith("data.load_size")),
    "data.jitter=1",
    "train.checkpoint_every=1",
    "train.keep_last=9",
]


@dataclass(frozen=True)
class Method:
    """A plugin with the data that it is tried on: their folder, their layout, and what is translated."""

    data: str
    images: str
    layout: str = "auto"
    inputs: dict = field(default_factory=dict)
    words: tuple = ()


METHODS = {
    "modulated": Method("labels", "labels/A", "folders"),
    "instructed": Method("pairs", "pairs/A", "captioned", {"text": "pairs/A/"}),
    "restyled": Method("pairs", "pairs/A", "referenced", {"reference": "pairs/B"}),
    "inpainting": Method("masked", "masked/images", "masked", {"mask": "masked/masks"}),
    "anomaly": Method("masked/images", "masked/images", "images"),
    "bigan": Method("masked/images", "masked/images", "images", words=("--translator", "encode")),
    "video": Method("pairs", "pairs/A", "frames"),
    "segmentation": Method("segments", "segments/A", "folders"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return typed_data.make(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A function that trains a method for two steps, once, and exports it."""
    done = {}

    def run_of(name):
        if name not in done:
            method, folder = METHODS[name], tmp_path_factory.mktemp(name)
            sets = [*SETS, f"data.layout={method.layout}"]
            plugins = Plugins([FOLDER / f"{name}.py"])
            options = {"data": data / method.data, "out": folder / "run", "sets": sets, "steps": 2}
            done[name] = i2i.train(name, plugins=plugins, **options).run
        return done[name]

    return run_of


@pytest.fixture
def translated(runs, data, cli, tmp_path):
    """A function that translates a method's images from the command line; returns the folder and the JSON object."""

    def translate(name, *words, images=None, **inputs):
        method = METHODS[name]
        given = [f"--input={key}={data / value}{'/' * value.endswith('/')}" for key, value in method.inputs.items()]
        given += [f"--input={key}={value}" for key, value in inputs.items()]
        source = images or data / method.images
        done = cli("translate", runs(name), source, *method.words, *given, *words, "-o", tmp_path / "out", "--json")
        assert done.returncode == 0, done.stderr
        return tmp_path / "out", json.loads(done.stdout)

    return translate


@pytest.mark.parametrize("name", METHODS)
def test_it_resumes_with_the_same_bits(name, runs, tmp_path):
    whole, plugins = runs(name), Plugins([FOLDER / f"{name}.py"])
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/step-0000002")
    train_only(out=tmp_path / "run", resume=True, plugins=plugins)
    files = [run / "checkpoints/step-0000002/networks.safetensors" for run in (whole, tmp_path / "run")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", METHODS)
def test_it_translates_a_folder_and_the_python_api_gives_the_same(name, translated, runs, data):
    folder, summary = translated(name)
    assert summary["written"] == 6
    model = i2i.load(runs(name), translator="encode" if name == "bigan" else None)
    [result] = [one for one in summary["results"] if Path(one["input"]).name == "1.png"]
    inputs = {
        key: data / value / f"1.{'txt' if key == 'text' else 'png'}" for key, value in METHODS[name].inputs.items()
    }
    if name == "video":  # the second frame
        inputs["previous"] = folder / "0.png"
    given = model.translate(data / METHODS[name].images / "1.png", **inputs)
    outputs = given if isinstance(given, dict) else {model.info.pictures[0]: given}
    files = result.get("files", {next(iter(outputs)): result["output"]})
    for key, value in outputs.items():
        if key in result.get("numbers", {}):
            assert result["numbers"][key] == pytest.approx(value, abs=1e-5)
        elif Path(files[key]).suffix == ".npy":
            assert np.load(files[key]) == pytest.approx(value, abs=1e-5)
        elif value.ndim == 2:
            assert np.array_equal(np.asarray(Image.open(files[key])), value)
        else:
            assert np.abs(read_image(Path(files[key])).pixels.astype(int) - value).max() <= 1


def test_label_maps_in_palettes_and_in_grey_give_the_same_images(translated, data, tmp_path):
    folder, _ = translated("modulated")
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(folder)
    again, _ = translated("modulated", images=data / "grey")
    assert {file.name: file.read_bytes() for file in again.iterdir()} == files


def test_what_is_outside_of_a_mask_stays(translated, data):
    folder, _ = translated("inpainting")
    for name in ("0.png", "5.png"):
        image, result = (read_image(place / name).pixels for place in (data / "masked/images", folder))
        hidden = read_image(data / "masked/masks" / name).pixels[..., 0] > 0
        assert np.array_equal(image[~hidden], result[~hidden])
        assert (image[hidden] != result[hidden]).any()


def test_numbers_become_rows_of_a_table(translated):
    folder, summary = translated("anomaly")
    assert [file.name for file in folder.iterdir()] == ["results.csv"]
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["input"]).name for row in rows] == [f"{number}.png" for number in range(6)]
    assert [float(row["score"]) for row in rows] == [one["numbers"]["score"] for one in summary["results"]]
    assert len({row["score"] for row in rows}) == 6


def test_several_files_for_an_image_lie_in_a_folder_an_output(translated):
    folder, _ = translated("bigan")
    assert sorted(file.name for file in folder.iterdir()) == ["code", "reconstruction"]
    assert np.load(folder / "code/3.npy").shape == (8,)
    assert read_image(folder / "reconstruction/3.png").pixels.shape == (32, 32, 3)


def test_a_frame_gets_what_the_frame_before_became(translated, data):
    folder, _ = translated("video", "--batch", "4")
    before = np.zeros((*typed_data.SIZE, 3))
    for number in range(6):
        image, result = (read_image(place / f"{number}.png").pixels for place in (data / "pairs/A", folder))
        assert (
            np.abs(result - (image + before) / 2).max() < 8
        )  # the network's own part is at most 1 % of 255, and rounding
        before = result.astype(float)


def test_label_maps_are_written_with_their_palette(translated):
    folder, _ = translated("segmentation")
    image = Image.open(folder / "0.png")
    assert (image.mode, image.getpalette()[:12]) == ("P", [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    assert set(np.unique(np.asarray(image))) <= {0, 1, 2, 3}
