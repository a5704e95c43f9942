"""That the tool learns: on the samples drawn by code, and on real images."""

import json

import numpy as np
import pytest
from PIL import Image

import i2i
from i2i.images import image_info, read_image
from i2i.translate.folders.folder import translate_folder
from i2i_samples.datasets import DayNight, Styles
from i2i_samples.options import DayNightConfig, StylesConfig


def logged(run, name):
    """A figure's values in metrics.jsonl, in order."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def trained_without_data(recipe, tmp_path, monkeypatch, *sets):
    """What ``i2i train RECIPE`` leaves behind."""
    monkeypatch.chdir(tmp_path)
    trained = i2i.train(recipe, sets=["engine.threads=1", *sets])
    assert trained.run == next((tmp_path / "runs").iterdir()).relative_to(tmp_path)
    assert max(one.difference for one in trained.exported) <= 1
    return trained


def drawn(count, start=0):
    """Pixels (count, 32 * 32 * 3) of the drawn styles in [0, 1], and their labels; `start` skips some."""
    samples = Styles(StylesConfig(count=start + count), split="train", transform=dict)
    chosen = [samples[index] for index in range(start, start + count)]
    return np.stack([s["target"] for s in chosen]).reshape(count, -1) / 255, np.array([s["label"] for s in chosen])


def classifier():
    """Nearest mean of the drawn styles; checked on drawings that it has not seen."""
    pixels, labels = drawn(240)
    means = np.stack([pixels[labels == label].mean(0) for label in range(4)])

    def classify(images):
        flat = np.asarray(images, float).reshape(len(images), -1) / 255
        return np.square(flat[:, None] - means[None]).sum(2).argmin(1)

    unseen, truth = drawn(80, start=240)
    assert (classify(unseen * 255) == truth).mean() > 0.95
    return classify


def test_pix2pix_halves_the_error_on_held_out_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["pix2pix.generator.filters=16", "pix2pix.discriminator.filters=16", "train.optimizer.lr=1e-3"]
    sets = [*small, "data.size=64", "engine.threads=1", "train.checkpoint_every=500"]
    trained = i2i.train("pix2pix", sets=sets, steps=200)
    untrained, *_, last = logged(trained.run, "val/l1")
    assert last < untrained / 2
    model = i2i.load(trained.run)
    example = read_image(trained.run / "examples" / "example-1.png").pixels
    assert model.translate(example).shape == example.shape


def test_a_small_network_beats_bicubic_enlarging_on_drawings(tmp_path, monkeypatch):
    quick = ["train.steps=100", "train.optimizer.lr=2e-3", "train.checkpoint_every=100", "train.val_images=4"]
    trained = trained_without_data("srresnet", tmp_path, monkeypatch, *quick)
    bicubic, *_, last = logged(trained.run, "val/psnr-y")  # the untrained network adds next to nothing to it
    assert last > bicubic + 1


@pytest.mark.slow
def test_cyclegan_finds_its_way_back(tmp_path, monkeypatch):
    trained = trained_without_data("cyclegan", tmp_path, monkeypatch, "train.log_every=1")
    cycle = np.add(logged(trained.run, "loss/generator/cycle_A"), logged(trained.run, "loss/generator/cycle_B"))
    assert cycle[-50:].mean() < cycle[0] / 3
    day = read_image(trained.run / "examples" / "example-1.png").pixels
    night = i2i.load(trained.run, translator="AtoB").translate(day)
    assert night.mean() < day.mean() / 2


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["cut", "fastcut"])
def test_contrastive_translation_keeps_the_house_and_meets_the_night(recipe, tmp_path, monkeypatch):
    measured = "train.metrics=[{name: fid, features: random}, {name: kid, features: random}]"
    trained = trained_without_data(recipe, tmp_path, monkeypatch, measured, "engine.precision=fp32")
    for name in ("fid", "kid"):
        untrained, *_, last = logged(trained.run, f"val/{name}-random")
        assert last < untrained / 2
    days = DayNight(DayNightConfig(val_count=96), split="val", transform=dict)
    same_houses = Styles(StylesConfig(val_count=96, size=64), split="val", transform=dict)
    at_night = [index for index in range(96) if same_houses.labels[same_houses[index]["label"]] == "night"]
    made = i2i.load(trained.run).translate_batch(np.stack([days[index]["source"] for index in at_night]))
    true = np.stack([same_houses[index]["target"] for index in at_night])
    apart = np.abs(np.asarray(made, float)[:, None] - true[None]).mean((2, 3, 4))
    assert (
        apart.argmin(1) == np.arange(24)
    ).mean() >= 0.4  # of 24 nights its own house's is the closest; by chance 0.04


@pytest.mark.slow
def test_cgan_draws_the_class_that_is_asked_for(tmp_path, monkeypatch):
    trained = trained_without_data("cgan", tmp_path, monkeypatch)
    model, classify = i2i.load(trained.run), classifier()
    found = np.stack([classify(model.generate(50, label=label)) for label in model.labels])
    assert (found == np.arange(4)[:, None]).mean() >= 0.8
    images = model.generate(50, label="day")
    assert images.std(0).mean() > 10  # the noise makes different houses


@pytest.mark.slow
def test_stargan_translates_to_the_asked_style(tmp_path, monkeypatch):
    trained = trained_without_data("stargan", tmp_path, monkeypatch)
    model, classify = i2i.load(trained.run), classifier()
    pixels, labels = drawn(40, start=1000)
    images = (pixels.reshape(-1, 32, 32, 3) * 255).astype(np.uint8)
    for wanted in range(4):
        others = images[labels != wanted]
        made = model.translate_batch(others, label=wanted)
        assert (classify(made) == wanted).mean() >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["srresnet", "srgan", "esrgan"])
def test_super_resolution_sharpens_beyond_bicubic(recipe, tmp_path, monkeypatch):
    trained = trained_without_data(recipe, tmp_path, monkeypatch)
    bicubic, *measured = logged(trained.run, "val/psnr-y")
    assert max(measured) > bicubic + 1.5
    made, small = (i2i.load(trained.run), read_image(trained.run / "examples" / "example-1.png").pixels)
    large = made.translate(small).astype(float)
    enlarged = np.asarray(Image.fromarray(small).resize(large.shape[1::-1], Image.Resampling.BICUBIC), float)
    assert np.abs(np.diff(large, axis=1)).mean() > np.abs(np.diff(enlarged, axis=1)).mean()


@pytest.mark.realdata
def test_facades_from_label_map_to_photo(tmp_path, i2i_data):
    small = ["data.size=64", "engine.threads=1", "pix2pix.generator.filters=16", "pix2pix.discriminator.filters=16"]
    sets = [*small, "data.direction=BtoA", "train.val_images=20", "train.batch_size=4"]
    trained = i2i.train("pix2pix", data=i2i_data / "facades", out=tmp_path / "run", sets=sets, steps=60)
    untrained, *_, last = logged(trained.run, "val/l1")
    assert last < untrained
    (tmp_path / "labels").mkdir()
    for path in sorted((i2i_data / "facades" / "val").glob("*.jpg"))[:3]:
        pair = Image.open(path)
        pair.crop((pair.width // 2, 0, pair.width, pair.height - 7)).save(tmp_path / "labels" / f"{path.stem}.png")
    results = list(translate_folder(i2i.load(trained.run), [tmp_path / "labels"], tmp_path / "out"))
    assert [result.status for result in results] == ["written"] * 3
    for path in (tmp_path / "labels").iterdir():
        made = image_info(tmp_path / "out" / path.name)
        assert (made.width, made.height, made.channels) == (256, 249, 3)


@pytest.mark.realdata
@pytest.mark.parametrize(("direction", "channels"), [("AtoB", (3, 1)), ("BtoA", (1, 3))])
def test_nuclei_from_two_folders_with_other_channels(tmp_path, i2i_data, direction, channels):
    sets = ["data.size=32", "engine.threads=1", "pix2pix.generator.filters=8", f"data.direction={direction}"]
    sets += ["pix2pix.discriminator={name: patch, filters: 8, layers: 2}", "train.val_images=5"]
    trained = i2i.train("pix2pix", data=i2i_data / "nuclei", out=tmp_path / "run", sets=sets, steps=3)
    assert i2i.load(trained.run).channels == channels


@pytest.mark.realdata
@pytest.mark.slow
def test_the_small_preset_beats_29_db_on_set5(tmp_path, i2i_data):
    sets = ["scale=4", "engine.threads=1", f"data.val_root={i2i_data / 'sr' / 'Set5' / 'HR'}"]
    trained = i2i.train("srresnet", data=i2i_data / "sr" / "T91", out=tmp_path / "run", preset="small", sets=sets)
    assert logged(trained.run, "val/psnr-y")[-1] >= 29.3
