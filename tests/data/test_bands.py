"""Bands of training images: all are taken, or chosen by number, or refused by number before any training."""

import json

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from i2i.cli import data as command
from i2i.config import DataConfig
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.errors import ConfigError, DataError

SIDE = 24


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))


def folder(root, bands=5, target=3, count=6, dtype=np.uint16, **options):
    """Paired folders of TIFFs as tifffile writes bands; returns the sources' arrays."""
    arrays = []
    for index in range(count):
        rng = np.random.default_rng(index)
        for name, channels in (("A", bands), ("B", target)):
            array = (rng.random((SIDE, SIDE, channels)) * 65535).astype(dtype)
            (root / name).mkdir(parents=True, exist_ok=True)
            written = array.transpose(2, 0, 1) if options.get("pages") else array
            how = {} if options.get("pages") else {"planarconfig": "contig" if channels > 1 else None}
            tifffile.imwrite(root / name / f"{index}.tif", written, photometric="minisblack", **how)
            arrays += [array] if name == "A" else []
    return arrays


def checked(root, *words):
    done = CliRunner().invoke(
        command.app, ["check", str(root), "--set", f"data.size={SIDE}", *words], obj={"extra": (), "disable": ()}
    )
    return done, done.stdout + str(done.exception or "")


def source(plugins, root, **options):
    config = DataConfig(root=str(root), size=SIDE, jitter=1, **options)
    data = open_data(config, plugins, Requirements(frozenset({"source", "target"}), True), seed=0)
    sample = data.val[0, 0]["source"].numpy() if len(data.val) else data.train[0, 0]["source"].numpy()
    return np.rint((sample.transpose(1, 2, 0).astype(np.float64) + 1) / 2 * 65535), data


@pytest.mark.parametrize("bands", [2, 4, 13])
def test_all_bands_are_taken_when_nothing_is_asked_for(plugins, tmp_path, bands):
    arrays = folder(tmp_path / "data", bands=bands)
    pixels, data = source(plugins, tmp_path / "data")
    assert any(np.abs(pixels - array).max() <= 1 for array in arrays)
    assert data.bands["source"].of == bands
    assert checked(tmp_path / "data")[0].exit_code == 0


def test_bands_are_chosen_by_number_from_1_in_that_order(plugins, tmp_path):
    arrays = folder(tmp_path / "data")
    pixels, data = source(plugins, tmp_path / "data", source_bands=(4, 2, 1), target_bands=(3,))
    assert any(np.abs(pixels - array[..., [3, 1, 0]]).max() <= 1 for array in arrays)
    assert data.sample()["target"].shape == (1, 1, SIDE, SIDE)


@pytest.mark.parametrize(("bands", "asked", "words"), [
    (5, 3, "5 bands; the model takes 3: set data.source_channels=5, or choose with data.source_bands=[3,2,1]"),
    (4, 3, "4 bands; the model takes 3: set data.source_channels=4, or choose with data.source_bands=[3,2,1]"),
    (2, 1, "2 bands; the model takes 1: set data.source_channels=2, or choose with data.source_bands=[1]"),
    (3, 5, "3 bands; the model takes 5: set data.source_channels=3, or choose with data.source_bands=[3,2,1]"),
    (5, 4, "5 bands; the model takes 4: set data.source_channels=5, or choose with data.source_bands=[1,2,3,4]"),
])  # fmt: skip
def test_other_numbers_of_bands_are_refused_in_these_words(plugins, tmp_path, bands, asked, words):
    folder(tmp_path / "data", bands=bands)
    done, said = checked(tmp_path / "data", "--set", f"data.source_channels={asked}")
    assert done.exception.exit_code == 2
    assert words in said
    with pytest.raises(DataError) as caught:
        source(plugins, tmp_path / "data", source_channels=asked)
    assert words in str(caught.value)


def test_four_bands_are_taken_as_they_are_and_nothing_is_made_up(plugins, tmp_path):
    arrays = folder(tmp_path / "data", bands=4)
    pixels, _ = source(plugins, tmp_path / "data", source_channels=4)
    assert any(np.abs(pixels - array).max() <= 1 for array in arrays)


def test_a_band_that_is_not_there_is_refused(tmp_path):
    folder(tmp_path / "data")
    done, said = checked(tmp_path / "data", "--set", "data.source_bands=[6,1]")
    assert done.exception.exit_code == 2
    assert "data.source_bands=[6, 1]: the sources have 5 bands" in said


def test_bands_and_another_number_of_channels_exclude_each_other(tmp_path):
    folder(tmp_path / "data")
    done, said = checked(tmp_path / "data", "--set", "data.source_bands=[3,1]", "--set", "data.source_channels=3")
    assert isinstance(done.exception, ConfigError)
    assert "2 bands are chosen, and the channels are set to 3" in said


def test_a_file_of_other_bands_among_many_is_left_out_by_name(tmp_path):
    folder(tmp_path / "data")
    tifffile.imwrite(tmp_path / "data" / "A" / "2.tif", np.zeros((SIDE, SIDE, 4), np.uint16), photometric="minisblack",
                     planarconfig="contig")  # fmt: skip
    done, _ = checked(tmp_path / "data", "--json")
    found = json.loads(done.stdout)["findings"]
    assert done.exit_code == 1
    assert [(one["kind"], one["file"].endswith("2.tif")) for one in found if one["severity"] == "error"] == [
        ("channels", True)
    ]
    assert "4 bands; the model takes 5" in json.dumps(found)


def test_pages_are_told_of_and_taken_as_bands_on_request(plugins, tmp_path):
    arrays = folder(tmp_path / "data", pages=True)
    done, said = checked(tmp_path / "data")
    assert done.exit_code == 0
    assert "the first of 5 pages; data.pages=stack takes pages of one size as bands" in said
    pixels, data = source(plugins, tmp_path / "data")
    assert any("data.pages=stack" in line for line in data.warnings)
    assert any(np.abs(pixels - array[..., :1]).max() <= 1 for array in arrays)
    done, said = checked(tmp_path / "data", "--set", "data.pages=stack")
    assert done.exit_code == 0
    assert "data.pages" not in said
    pixels, _ = source(plugins, tmp_path / "data", pages="stack")
    assert any(np.abs(pixels - array).max() <= 1 for array in arrays)
    pixels, _ = source(plugins, tmp_path / "data", pages="stack", source_bands=(5, 1))
    assert any(np.abs(pixels - array[..., [4, 0]]).max() <= 1 for array in arrays)


def test_pages_of_different_sizes_are_no_bands(tmp_path):
    folder(tmp_path / "data", pages=True)
    with tifffile.TiffWriter(tmp_path / "data" / "A" / "1.tif") as file:
        file.write(np.zeros((SIDE, SIDE), np.uint16), photometric="minisblack")
        file.write(np.zeros((SIDE, 2 * SIDE), np.uint16), photometric="minisblack")
    done, said = checked(tmp_path / "data", "--set", "data.pages=stack")
    assert done.exit_code == 1
    assert f"page 2 is {2 * SIDE} x {SIDE} of uint16, the first {SIDE} x {SIDE} of uint16" in said
