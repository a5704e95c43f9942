"""Kinds of images: label maps and masks are picked, not blended; measurements are not brightened."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import i2i
from helpers.image_files import noise, save
from i2i.cli import data as command
from i2i.config import DataConfig
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.errors import DataError, PluginError
from i2i.plugins import Plugins

CLASSES = (0, 3, 7, 200)
PALETTE = noise(256, 3, seed=5)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))


def numbers(seed, height=50, width=37):
    """A map of fields of a few classes."""
    fields = np.random.default_rng(seed).choice(np.array(CLASSES, np.uint8), (7, 6))
    return np.kron(fields, np.ones((8, 7), np.uint8))[:height, :width]


def indexed(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values, "P")
    image.putpalette(PALETTE.tobytes())
    image.save(path)


def pairs(root, count=4, draw=indexed):
    for seed in range(count):
        draw(root / f"A/{seed}.png", numbers(seed))
        save(root / f"B/{seed}.png", noise(50, 37, 3, seed=seed))
    return root


def opened(root, plugins, **options):
    takes = options.pop("takes_labels", False)
    config = DataConfig(root=str(root), **({"size": 32, "load_size": 36, "val_fraction": 0.5} | options))
    return open_data(config, plugins, Requirements(frozenset({"source", "target"}), takes_labels=takes), seed=1)


def stretched(values, size=32):
    """Resized as Pillow does with the nearest pixel, at pixel centres."""
    return np.asarray(Image.fromarray(values).resize((size, size), Image.Resampling.NEAREST))


@pytest.mark.parametrize("how", ["option", "the recipe takes labels", "grey", "BtoA"])
def test_label_maps_keep_their_numbers_and_are_picked_at_pixel_centres(plugins, tmp_path, how):
    root, key = pairs(tmp_path, draw=(lambda path, v: save(path, v)) if how == "grey" else indexed), "source"
    if how == "the recipe takes labels":
        data = opened(root, plugins, takes_labels=True)
    elif how == "BtoA":
        data, key = opened(root, plugins, target_kind="labels", direction="BtoA"), "target"
    else:
        data = opened(root, plugins, source_kind="labels")
    assert data.kinds == {key: "labels"}
    for place in range(len(data.val)):
        whole = stretched(numbers(data.val.indices[place]))
        assert np.array_equal(data.val[0, place][key][0], whole)
    for place in range(len(data.train)):
        sample = data.train[0, place]
        assert sample[key].shape == (1, 32, 32)
        assert set(np.unique(sample[key])) <= set(CLASSES)
    assert not data.warnings


def test_without_a_word_a_palette_is_a_picture_as_before(plugins, tmp_path):
    data = opened(pairs(tmp_path), plugins)
    assert data.kinds == {}
    assert data.train[0, 0]["source"].shape == (3, 32, 32)


def test_colours_that_stand_for_classes_are_picked_too(plugins, tmp_path):
    root = pairs(tmp_path, draw=lambda path, values: save(path, PALETTE[values]))
    data = opened(root, plugins, source_kind="labels", transform={"name": "augment", "brightness": 0.5})
    known = {tuple(colour) for colour in PALETTE[list(CLASSES)].tolist()}
    for place in range(len(data.train)):
        assert {tuple(c) for c in data.train[0, place]["source"].numpy().reshape(3, -1).T.tolist()} <= known


def test_a_label_map_of_another_sort_is_left_out(plugins, tmp_path):
    root = pairs(tmp_path, count=8)
    save(root / "A/7.png", noise(50, 37, dtype=np.uint16) | 256)
    data = opened(root, plugins, source_kind="labels")
    assert "7.png: a label map has whole numbers from 0 to 255" in " ".join(data.problems)
    save(root / "A/6.png", PALETTE[numbers(6)])
    data = opened(root, plugins, source_kind="labels")
    assert "6.png: the source is a label map of colours, and the others" in " ".join(data.problems)
    assert all(data.train[0, place]["source"].shape[0] == 1 for place in range(len(data.train)))
    with pytest.raises(DataError, match=r"map of numbers of classes .*, or data\.source_channels, are colours"):
        opened(root, plugins, source_kind="labels", source_channels=3)


class Kinds(i2i.Dataset):
    """Images of all kinds, drawn by code."""

    kinds = {"source": "labels", "hole": "mask", "depth": "values"}  # noqa: RUF012

    def __init__(self, config, *, root=None, split, transform):
        self.transform = transform

    def __len__(self):
        return 6

    def __getitem__(self, index):
        hole = np.uint8(255) * (numbers(index + 9)[..., None] > 5)
        sample = {"source": numbers(index)[..., None], "target": noise(50, 37, 3, seed=index), "hole": hole}
        return self.transform(sample | {"depth": np.full((50, 37, 1), 90, np.uint8)})


class Brighter:
    """A transform that does not know of kinds."""

    def __init__(self, config):
        pass

    def __call__(self, sample):
        return sample | {"source": sample["source"] + np.uint8(1)}


def with_own():
    """The plugins, with both in one of them."""
    plugins = Plugins()
    own = next(plugin for plugin in plugins.all if plugin.name == "data")
    own.components.append(("dataset", i2i.Component("kinds", Kinds)))
    own.components.append(("transform", i2i.Component("brighter", Brighter)))
    return plugins


def test_only_pictures_change_in_brightness_and_only_they_and_measurements_are_blended(tmp_path):
    plugins = with_own()
    options = {"layout": "kinds", "size": 32, "load_size": 36}
    light = {"name": "augment", "brightness": 0.5, "contrast": 0.5, "flip": 0.5, "rotate90": 0.5}
    data = open_data(DataConfig(**options, transform=light), plugins, Requirements(frozenset({"source"})), seed=3)
    changed = 0
    for epoch in range(3):
        for place in range(len(data.train)):
            sample = data.train[epoch, place]
            assert set(np.unique(sample["source"])) <= set(CLASSES)
            assert set(np.unique(sample["hole"])) <= {0, 255}
            assert set(np.unique(sample["depth"])) == {90}
            changed += int(sample["target"].float().mean() < 115 or sample["target"].float().mean() > 140)
    assert changed > 3
    with pytest.raises(PluginError, match=r"brighter.*gives source, a label map, values that were not there"):
        open_data(
            DataConfig(**options, transform="brighter"), plugins, Requirements(frozenset({"source"})), seed=3
        ).train[0, 0]


def test_a_kind_that_is_none_is_named(monkeypatch):
    monkeypatch.setattr(Kinds, "kinds", {"source": "classes"})
    with pytest.raises(PluginError, match="kinds must be a dictionary from key to image, labels, mask, values"):
        open_data(DataConfig(layout="kinds"), with_own(), Requirements(frozenset({"source"})), seed=3)


def checked(root, *words):
    words = ["--set", "data.size=32", *words]
    done = CliRunner().invoke(command.app, ["check", str(root), *words, "--json"], obj={"extra": (), "disable": ()})
    return [finding for finding in json.loads(done.stdout)["findings"] if finding["kind"] == "blend"]


@pytest.mark.parametrize(
    "draw", [indexed, save, lambda path, v: save(path, PALETTE[v])], ids=["palette", "grey", "rgb"]
)
def test_the_check_says_when_label_maps_would_be_blended_and_what_to_set(tmp_path, draw):
    (found,) = [f for f in checked(pairs(tmp_path, 6, draw)) if f["split"] == "train"]
    assert (found["key"], found["severity"]) == ("source", "warning")
    assert "few colours (up to 4)" in found["reason"]
    assert "set data.source_kind=labels or mask, or image if they are pictures" in found["reason"]
    (there,) = [f for f in checked(tmp_path, "--set", "data.direction=BtoA") if f["split"] == "train"]
    assert "set data.target_kind=" in there["reason"]
    for kind in ("labels", "mask", "image"):
        assert not checked(tmp_path, "--set", f"data.source_kind={kind}")
    assert not checked(tmp_path, "--set", "data.resize=none")  # nothing is resized


def test_halves_of_a_file_are_told_apart(tmp_path):
    for seed in range(6):
        save(tmp_path / f"{seed}.png", np.hstack([PALETTE[numbers(seed)], noise(50, 37, 3, seed=seed)]))
    for _ in range(2):  # decoded, and from the cache of the check before
        assert {f["key"] for f in checked(tmp_path, "--set", "data.layout=side-by-side")} == {"source"}


def test_photographs_and_tiny_images_are_no_label_maps(tmp_path):
    rows, columns = np.mgrid[:50, :37]
    shades = np.dstack([rows * 5, columns * 6, rows + columns]) % 200
    for seed in range(6):
        save(tmp_path / f"A/{seed}.png", np.uint8(shades + seed))
        save(tmp_path / f"B/{seed}.png", noise(50, 37, 3, seed=seed))
    assert not checked(tmp_path)


def test_the_palette_is_looked_for_in_the_first_source_that_can_be_read(plugins, tmp_path):
    root = pairs(tmp_path)
    whole = (root / "A/0.png").read_bytes()
    (root / "A/0.png").write_bytes(whole[: len(whole) // 2])
    data = opened(root, plugins, takes_labels=True)
    assert data.kinds == {"source": "labels"}
    assert len(data.problems) == 1
