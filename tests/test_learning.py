"""That the tool learns: on the samples drawn by code, and on real images."""

import json

import pytest
from PIL import Image

import i2i
from i2i.data.images import image_info, read_image
from i2i.translate.folder import translate_folder


def validation(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["val/l1"] for line in lines if "val/l1" in line]


def test_pix2pix_halves_the_error_on_held_out_samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sets = ["data.size=64", "engine.threads=1", "train.checkpoint_every=500"]
    trained = i2i.train("pix2pix", sets=sets, train_steps=250)
    untrained, *_, last = validation(trained.run)
    assert last < untrained / 2
    model = i2i.load(trained.run)
    example = read_image(trained.run / "examples" / "example-1.png").pixels
    assert model.translate(example).shape == example.shape


@pytest.mark.realdata
def test_facades_from_label_map_to_photo(tmp_path, i2i_data):
    small = ["data.size=64", "engine.threads=1", "pix2pix.generator.filters=16", "pix2pix.discriminator.filters=16"]
    sets = [*small, "data.direction=BtoA", "train.val_images=20", "train.batch_size=4"]
    trained = i2i.train("pix2pix", data=i2i_data / "facades", out=tmp_path / "run", sets=sets, train_steps=60)
    untrained, *_, last = validation(trained.run)
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
    trained = i2i.train("pix2pix", data=i2i_data / "nuclei", out=tmp_path / "run", sets=sets, train_steps=3)
    assert i2i.load(trained.run).channels == channels
