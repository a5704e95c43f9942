"""Models of bands: which bands of a file they take, which files they refuse, and what they write."""

import json

import numpy as np
import pytest
import tifffile

from helpers.command import Command
from helpers.recipes import TINY
from helpers.small_models import GRAPHS, make_model, metadata_of, node
from i2i.errors import DataError, ModelError
from i2i.images import read_image, write_image
from i2i.translate import load


def values(*shape, dtype=np.uint16, seed=0):
    return (np.random.default_rng(seed).random(shape) * np.iinfo(dtype).max).astype(dtype)


def band_model(tmp_path, monkeypatch, channels, **entries):
    """A model that changes nothing, of that many channels, with further metadata."""
    graph = f"identity-{channels}"
    monkeypatch.setitem(GRAPHS, graph, ([node("Identity", ["image"], "image_out")], {}, channels, channels, 1))
    metadata = metadata_of(graph, "float32", []) | {"i2i.source_type": "uint16", "i2i.target_type": "uint16"}
    metadata |= {f"i2i.{key}": json.dumps(value) if key != "pages" else value for key, value in entries.items()}
    return make_model(tmp_path / f"{graph}.onnx", graph, "float32", metadata=metadata)


def written(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {"planarconfig": "contig"} if array.ndim == 3 else {}
    tifffile.imwrite(path, array, photometric="minisblack", **(config | options))
    return path


def translated(model, path, out):
    """The result of one file."""
    (result,) = load(model, device="cpu").translate_folder(path, out)
    return result


@pytest.mark.parametrize("bands", [2, 4, 5, 13])
def test_a_model_of_all_bands_takes_files_of_as_many_and_writes_them(tmp_path, monkeypatch, bands):
    model = band_model(tmp_path, monkeypatch, bands, bands_of=bands, gives_bands=True)
    array = values(20, 31, bands)
    result = translated(model, written(tmp_path / "in" / "a.tif", array), tmp_path / "out")
    assert result.status == "written", result.reason
    assert result.output.name == "a.tif"
    assert np.array_equal(tifffile.imread(result.output), array)
    assert read_image(result.output).alpha is None
    assert not result.note


def test_a_model_of_chosen_bands_takes_these_from_files_with_all_of_them(tmp_path, monkeypatch):
    model = band_model(tmp_path, monkeypatch, 3, bands_of=13, bands=[4, 3, 2])
    array = values(20, 31, 13)
    result = translated(model, written(tmp_path / "in" / "a.tif", array), tmp_path / "out")
    assert result.status == "written", result.reason
    assert np.array_equal(tifffile.imread(result.output), array[..., [3, 2, 1]])
    three = written(tmp_path / "in" / "three.tif", array[..., :3].copy())
    assert np.array_equal(tifffile.imread(translated(model, three, tmp_path / "out").output), array[..., :3])


@pytest.mark.parametrize(("bands", "words"), [
    (12, "12 bands; the model takes 3; or 13, of which it takes 4, 3, 2"),
    (1, "1 band; the model takes 3; or 13, of which it takes 4, 3, 2"),
])  # fmt: skip
def test_files_of_other_bands_are_refused_by_number(tmp_path, monkeypatch, bands, words):
    model = band_model(tmp_path, monkeypatch, 3, bands_of=13, bands=[4, 3, 2])
    array = values(20, 31, bands) if bands > 1 else values(20, 31)
    result = translated(model, written(tmp_path / "in" / "a.tif", array), tmp_path / "out")
    assert result.status == "failed"
    assert words in result.reason


@pytest.mark.parametrize("bands", [2, 4, 5])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_colours_refuses_bands(tmp_path, monkeypatch, bands, channels):
    model = load(band_model(tmp_path, monkeypatch, channels), device="cpu")
    with pytest.raises(DataError, match=f"{bands} bands; the model takes {channels}"):
        model.translate(written(tmp_path / "a.tif", values(20, 31, bands)))


def test_a_model_of_four_bands_takes_no_colours_with_made_up_alpha(tmp_path, monkeypatch):
    model = load(band_model(tmp_path, monkeypatch, 4, bands_of=4), device="cpu")
    with pytest.raises(DataError, match="3 bands; the model takes 4"):
        model.translate(written(tmp_path / "a.tif", values(20, 31, 3)))


def test_bands_that_a_file_calls_alpha_can_be_taken(tmp_path, monkeypatch):
    model = load(band_model(tmp_path, monkeypatch, 2, bands_of=4, bands=[4, 1]), device="cpu")
    array = values(20, 31, 4)
    write_image(tmp_path / "a.tif", array)
    assert read_image(tmp_path / "a.tif").alpha is not None
    got = model.translate(tmp_path / "a.tif")
    assert np.array_equal(got, array[..., [3, 0]])


@pytest.mark.parametrize("kind", ["imagej", "ome", "plain"])
def test_a_model_of_stacked_pages_takes_all_pages(tmp_path, monkeypatch, kind):
    model = band_model(tmp_path, monkeypatch, 5, bands_of=5, gives_bands=True, pages="stack")
    pages = values(5, 20, 31)
    options = {} if kind == "plain" else {kind: True, "metadata": {"axes": "CYX"}}
    path = written(tmp_path / "in" / "a.tif", pages, planarconfig=None, **options)
    result = translated(model, path, tmp_path / "out")
    assert result.status == "written", result.reason
    lost = {"imagej": "ImageJ", "ome": "OME"}.get(kind)
    assert ("the first of" in result.note, f"its {lost} description is not kept" in result.note) == (False, bool(lost))
    assert np.array_equal(tifffile.imread(result.output), pages.transpose(1, 2, 0))
    two = written(tmp_path / "in" / "two.tif", pages[:2].copy(), planarconfig=None)
    assert "2 bands; the model takes 5" in translated(model, two, tmp_path / "out").reason


def test_pages_stay_frames_for_other_models(tmp_path, monkeypatch):
    model = band_model(tmp_path, monkeypatch, 1)
    path = written(tmp_path / "in" / "a.tif", values(3, 20, 31), planarconfig=None)
    assert "the first of 3 frames" in translated(model, path, tmp_path / "out").note


@pytest.mark.parametrize("entries", [{"bands": [3, 2, 1]}, {"bands_of": 5, "bands": [6, 1, 2]}, {"pages": "all"}])
def test_damaged_metadata_about_bands_are_refused(tmp_path, monkeypatch, entries):
    with pytest.raises(ModelError, match="metadata are damaged"):
        load(band_model(tmp_path, monkeypatch, 3, **entries), device="cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that learned four bands from three chosen of five."""
    place = tmp_path_factory.mktemp("bands")
    for index in range(4):
        written(place / "data" / "A" / f"{index}.tif", values(32, 32, 5, seed=index))
        written(place / "data" / "B" / f"{index}.tif", values(32, 32, 4, seed=index))
    sets = [*TINY, "data.source_bands=[4,2,1]", "train.metrics=[l1]"]
    words = [word for one in sets for word in ("--set", one)]
    done = Command(
        "train", "pix2pix", "--data", place / "data", "--out", place / "run", "--steps", 1, *words
    ).completed()
    assert done.returncode == 0, done.stderr
    return place / "run"


def test_training_chooses_bands_and_the_model_keeps_the_choice(cli, tmp_path, run):
    array, place = values(40, 33, 5, seed=9), tmp_path / "in"
    written(place / "five.tif", array)
    written(place / "three.tif", array[..., [3, 1, 0]])
    written(place / "four.tif", array[..., :4].copy())
    done = cli("translate", run, place, run / "examples" / "example-1.png", "-o", tmp_path / "out", "--json")
    results = {result["input"].rsplit("/")[-1]: result for result in json.loads(done.stdout)["results"]}
    got = tifffile.imread(results["five.tif"]["output"])
    assert got.shape == (40, 33, 4)
    assert got.std() > 0
    assert np.array_equal(got, tifffile.imread(results["three.tif"]["output"]))
    assert read_image(results["five.tif"]["output"]).alpha is None
    assert "4 bands; the model takes 3; or 5, of which it takes 4, 2, 1" in results["four.tif"]["reason"]
    assert results["example-1.png"]["status"] == "written"


def test_four_bands_do_not_become_a_picture_with_alpha(tmp_path, monkeypatch, cli):
    model = band_model(tmp_path, monkeypatch, 4, bands_of=4, gives_bands=True)
    source = written(tmp_path / "in.tif", values(20, 31, 4))
    done = cli("translate", model, source, "-o", tmp_path / "out.png")
    assert done.returncode == 2
    assert ".png cannot hold the result, 4 bands of 16 bits" in done.stderr
    assert not (tmp_path / "out.png").exists()


def test_all_frames_and_a_model_of_stacked_pages_exclude_each_other(tmp_path, monkeypatch, cli):
    model = band_model(tmp_path, monkeypatch, 3, bands_of=3, pages="stack")
    source = written(tmp_path / "in.tif", values(20, 31, 3))
    done = cli("translate", model, source, "-o", tmp_path / "out", "--frames", "all")
    assert done.returncode == 2
    assert "the model takes all pages of a file as one image: leave out --frames all" in done.stderr
    assert not (tmp_path / "out").exists()
