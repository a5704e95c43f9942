"""What recipes export of images with bands, where nothing says which image an output should equal."""

import numpy as np
import pytest
import tifffile

import i2i
from helpers.image_files import noise, save
from helpers.recipes import small, train_only
from i2i.images import read_image
from i2i.translate.folders.folder import translate_folder


def folders(root, channels):
    for side in ("trainA", "trainB"):
        for number in range(4):
            path = root / side / f"{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = noise(40, 40, channels, seed=number)
            tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    return root


def test_outputs_of_an_unpaired_model_of_bands_are_bands(tmp_path):
    sets = [*small("cyclegan", drawn=False), "train.steps=1", "train.metrics=null"]  # for feature networks see colours
    trained = i2i.train("cyclegan", data=folders(tmp_path / "data", 4), out=tmp_path / "run", sets=sets)
    for one in trained.exported:
        assert i2i.load(one.path).metadata["gives_bands"] == "true"
    results = list(translate_folder(i2i.load(trained.exported[0].path), tmp_path / "data/trainA", tmp_path / "out"))
    assert [result.status for result in results] == ["written"] * 4
    result = read_image(results[0].output)
    assert (result.pixels.shape, result.alpha) == ((40, 40, 4), None)


@pytest.mark.parametrize(("alpha", "ending"), [("channel", ".png"), (None, ".tif")])
def test_examples_are_of_the_kind_of_the_data(tmp_path, alpha, ending):
    if alpha:
        for number in range(4):
            save(tmp_path / f"data/A/{number}.png", noise(40, 40, 4, seed=number))
            save(tmp_path / f"data/B/{number}.png", noise(40, 40, 3, seed=number))
        sets = [f"data.alpha={alpha}"]
    else:
        folders(tmp_path / "data", 4)
        for side in "AB":
            (tmp_path / f"data/train{side}").rename(tmp_path / f"data/{side}")
        sets = []
    sets += [*small("pix2pix", drawn=False), "train.steps=1", "data.val_fraction=0.5"]
    trained = train_only("pix2pix", data=tmp_path / "data", out=tmp_path / "run", sets=sets)
    examples = sorted((trained.run / "examples").iterdir())
    assert {example.suffix for example in examples} == {ending}
    picture = read_image(examples[0])
    assert picture.pixels.shape[2] + (picture.alpha is not None) == 4
    assert (picture.alpha is not None) == (alpha is not None)
    assert np.ptp(picture.pixels) > 0
