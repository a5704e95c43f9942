"""Translating images with alpha, from the command line: rims, hidden colours, and models that take alpha themselves."""

import json

import numpy as np
import pytest
from PIL import Image

import i2i
from helpers.image_files import noise, save
from helpers.recipes import TINY
from helpers.small_models import make_model
from i2i.data.detect import Requirements
from i2i.images import read_image


def disc(side, radius, hidden):
    """A white disc; under alpha 0 the colour `hidden`."""
    inside = np.hypot(*(np.mgrid[:side, :side] - side / 2)) < radius
    colour = np.where(inside[..., None], 255, hidden).astype(np.uint8)
    return np.dstack([np.broadcast_to(colour, (side, side, 3)), np.uint8(255) * inside])


def test_an_enlarged_disc_laid_on_white_has_no_rim(tmp_path, cli):
    model = make_model(tmp_path / "cubic.onnx", "cubic-4")
    for hidden in (0, 77):
        save(tmp_path / "in" / f"{hidden}.png", disc(64, 20, hidden))
    done = cli("translate", model, tmp_path / "in", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    files = [Image.open(tmp_path / "out" / f"{hidden}.png") for hidden in (0, 77)]
    assert [file.size for file in files] == [(256, 256)] * 2
    for file in files:
        on_white = Image.new("RGBA", file.size, "white")
        on_white.alpha_composite(file.convert("RGBA"))
        assert np.asarray(on_white).min() == 255
        assert np.asarray(file)[128, 128, 3] == 255
        assert np.asarray(file)[0, 0, 3] == 0


@pytest.fixture(scope="module")
def inpainting(tmp_path_factory):
    """A model trained to fill what is transparent, and the folder that it learned from."""
    root = tmp_path_factory.mktemp("holes")
    rng = np.random.default_rng(0)
    for number in range(6):
        whole = np.broadcast_to(rng.integers(0, 256, 3, np.uint8), (40, 40, 3)).copy()
        hole = np.full((40, 40), 255, np.uint8)
        hole[10:24, 8 : 20 + number] = 0
        save(root / "data/A" / f"{number}.png", np.dstack([whole, hole]))
        save(root / "data/B" / f"{number}.png", whole)
    sets = [*TINY, "data.source_channels=4", "train.steps=2"]
    trained = i2i.train("pix2pix", data=root / "data", out=root / "run", sets=sets)
    return root / "data", trained.run


def test_a_model_that_takes_alpha_gets_it_and_is_not_hidden_by_it(inpainting, tmp_path, cli):
    data, run = inpainting
    pixels = np.asarray(Image.open(data / "A/0.png")).copy()
    filled = pixels.copy()
    filled[..., :3][pixels[..., 3] == 0] = 255 - pixels[0, 0, :3]
    save(tmp_path / "in/hole.png", pixels)
    save(tmp_path / "in/other.png", filled)
    save(tmp_path / "in/whole.png", np.dstack([pixels[..., :3], np.full((40, 40), 255, np.uint8)]))
    for tile in ("none", 32):
        out = tmp_path / f"out-{tile}"
        done = cli("translate", run, tmp_path / "in", "-o", out, "--tile", tile, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["written"] == 3
        hole, other, whole = (read_image(out / f"{name}.png") for name in ("hole", "other", "whole"))
        assert hole.alpha is None  # nothing is hidden again
        assert np.array_equal(hole.pixels, other.pixels)  # what was hidden decides nothing
        assert not np.array_equal(hole.pixels, whole.pixels)  # the hole itself does


def test_hidden_colours_decide_nothing_in_training(plugins, tmp_path):
    from i2i.config import DataConfig
    from i2i.data.loading import open_data

    pixels = noise(40, 40, 4)
    pixels[5:30, 8:31, 3] = 0
    for name, hidden in (("a", 0), ("b", 200)):
        pixels[5:30, 8:31, :3] = hidden
        save(tmp_path / name / "A/x.png", pixels)
        save(tmp_path / name / "B/x.png", pixels)

    def sample(name, **options):
        config = DataConfig(root=str(tmp_path / name), size=32, load_size=36, val_fraction=0, **options)
        return open_data(config, plugins, Requirements(frozenset({"source", "target"})), seed=1).train[0, 0]

    for options, channels in (
        ({}, (3, 3)),
        ({"alpha": "white"}, (3, 3)),
        ({"alpha": "black"}, (3, 3)),
        ({"alpha": "channel"}, (4, 4)),
        ({"source_channels": 4}, (4, 3)),
        ({"alpha": "channel", "target_channels": 3}, (4, 3)),
    ):
        one, other = sample("a", **options), sample("b", **options)
        for key, count in zip(("source", "target"), channels, strict=True):
            assert one[key].shape == (count, 32, 32)
            assert np.array_equal(one[key], other[key]), options
    assert (
        sample("a", alpha="white")["source"].float().mean() > sample("a", alpha="black")["source"].float().mean() + 30
    )


def test_alpha_is_wanted_or_not(cli, tmp_path):
    done = cli("config", "pix2pix", "--set", "data.alpha=white", "--set", "data.source_channels=4")
    assert done.returncode == 2
    assert "data.alpha" in done.stderr
    assert "set data.alpha=channel" in done.stderr
