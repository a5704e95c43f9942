"""What a run folder says of the data it is trained on, and what its grids say of their columns."""

import json

import numpy as np
import pytest
from PIL import Image

from helpers.recipes import TINY, small, train_only
from i2i.report import write_report
from i2i.runs.grid import read_grid


@pytest.fixture(scope="module")
def run(pairs_root, tmp_path_factory):
    """A run of one step, with a setting that its preset does not have."""
    out = tmp_path_factory.mktemp("facts") / "run"
    return train_only("pix2pix", data=pairs_root, out=out, sets=[*TINY, "pix2pix.l1=7"], steps=1).run


def test_a_run_says_how_many_images_of_which_sort_it_is_trained_on(run, pairs_root):
    facts = json.loads((run / "data.json").read_text(encoding="utf-8"))
    assert (facts["folder"], facts["layout"]) == (str(pairs_root), "side-by-side")
    assert (facts["training"], facts["validation"], facts["left_out"], facts["labels"]) == (10, 4, 0, [])
    assert facts["images"]["source"] == {
        "kind": "image",
        "dtype": "uint8",
        "heights": [40, 40],
        "widths": [40, 40],
        "file_channels": [3],
        "channels": 3,
        "bands": [],
        "range": "",
        "crop": [32, 32],
    }


def test_the_picture_of_training_samples_has_their_colours(run, pairs_root):
    image, layout = read_grid(run / "data.png")
    assert [column.caption for column in layout.columns] == ["source", "target"]
    assert len(layout.rows) == 4
    whole = np.asarray(Image.open(pairs_root / "train" / "00.png")).astype(float)
    for column, half in enumerate((whole[:, :40], whole[:, 40:])):
        shown = np.asarray(image.crop(layout.box(0, column))).astype(float)
        assert np.abs(shown.mean((0, 1)) - half.mean((0, 1))).max() < 25  # a crop of it


def test_grids_name_their_columns(run):
    for step in (0, 1):
        _, layout = read_grid(run / "samples" / f"step-{step:07d}.png")
        assert [(column.caption, column.role) for column in layout.columns] == [
            (role, role) for role in ("source", "output", "target")
        ]
        assert (len(layout.rows), layout.height, layout.width) == (2, 32, 32)


def test_the_report_says_what_was_trained_and_what_its_settings_differ_in(run, tmp_path):
    text = write_report([run], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "10 for training, 4 for validation" in text
    assert "RGB uint8, 40 × 40 px, trained at 32 × 32" in text
    assert "What differs from preset reference of pix2pix" in text
    [row] = [line for line in text.splitlines() if "<code>pix2pix.l1</code>" in line]
    assert "<mark>7.0</mark>" in row
    assert ">100.0<" in row
    assert "<code>pix2pix.adversary.weight</code>" not in text
    again = f"i2i train --config {run}/config.yaml --out {run}-again"
    assert again in text


def test_the_report_at_the_end_of_a_training_knows_that_it_is_complete(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "<dt>state</dt><dd>trained</dd>" in text
    assert "--resume" not in text


def test_runs_with_classes_name_them_and_the_columns_and_rows_of_their_grids(tmp_path):
    drawn = train_only("cgan", out=tmp_path / "cgan", sets=small("cgan"), steps=1).run
    translated = train_only("stargan", out=tmp_path / "stargan", sets=small("stargan"), steps=1).run
    labels = json.loads((drawn / "data.json").read_text(encoding="utf-8"))["labels"]
    assert len(labels) == 4
    _, layout = read_grid(drawn / "samples" / "step-0000001.png")
    assert layout.rows == labels
    assert {column.role for column in layout.columns} == {"output"}
    _, layout = read_grid(translated / "samples" / "step-0000001.png")
    assert [column.caption for column in layout.columns] == ["source", *(f"output {label}" for label in labels)]
    _, layout = read_grid(translated / "data.png")
    assert set(layout.rows) <= set(labels)


def test_each_of_two_directions_is_named(tmp_path):
    run = train_only("cyclegan", out=tmp_path / "run", sets=small("cyclegan"), steps=1).run
    _, layout = read_grid(run / "samples" / "step-0000001.png")
    captions = [column.caption for column in layout.columns]
    assert captions == ["AtoB: source", "AtoB: output", "BtoA: source", "BtoA: output"]
