"""The plain distribution translates: without torch, in a few hundred megabytes."""

import json
import shlex

import pytest

import i2i
from helpers.image_files import save
from helpers.recipes import TINY, small
from i2i.images.reading import read_image
from i2i.plugins.scaffold import new_plugin
from i2i_samples.facades import draw_facade

pytestmark = pytest.mark.wheel

RESNET = "pix2pix.generator={name: resnet, filters: 8, blocks: 1, norm: instance}"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with runs trained where torch is: of a network that looks at whole images, and of one without image."""
    folder = tmp_path_factory.mktemp("models")
    i2i.train(
        "pix2pix",
        out=folder / "pix2pix",
        sets=[*TINY, *("data.layout.count=12", "data.layout.val_count=3"), RESNET, "train.steps=2"],
    )
    i2i.train("cgan", out=folder / "cgan", sets=[*small("cgan"), "train.steps=2"])
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for index, size in enumerate((64, 48, 300)):
        save(folder / "some" / f"{index}.{('png', 'jpg', 'png')[index]}", draw_facade(index, size=size)[1])
    return folder


def test_it_is_small_and_has_no_torch(light, tmp_path):
    assert light.megabytes() < 400
    assert light.finished("python -c 'import torch'", tmp_path).returncode == 1


def test_it_translates_as_the_full_one_does(light, models, photos, tmp_path):
    report = json.loads(light.run(f"i2i translate {models}/pix2pix/model.onnx {photos} -o out --json", tmp_path))
    assert (report["written"], report["failed"]) == (3, 0)
    list(i2i.load(models / "pix2pix").translate_folder([photos], tmp_path / "here"))
    here, out = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.*")} for name in ("here", "out"))
    assert here == out


def test_tiles_have_the_statistics_of_the_whole_image(light, models, photos, tmp_path):
    line = f"i2i translate {models}/pix2pix {photos}/some/2.png"
    light.run(f"{line} --tile none -o whole", tmp_path)
    light.run(f"{line} --tile 96 -o tiles", tmp_path)
    whole, tiles = (read_image(tmp_path / name / "2.png").pixels.astype(int) for name in ("whole", "tiles"))
    assert abs(whole - tiles).max() <= 1


def test_it_generates(light, models, tmp_path):
    light.run(f"i2i generate {models}/cgan --count 2 --label 0 -o out", tmp_path)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 2


def test_it_is_used_from_python(light, models, photos, tmp_path):
    code = (
        f"import i2i; print(i2i.load({str(models / 'pix2pix')!r}).translate({str(photos / 'some' / '0.png')!r}).shape)"
    )
    assert light.run(f"python -c {shlex.quote(code)}", tmp_path) == "(64, 64, 3)\n"


def test_training_names_the_extra(light, tmp_path):
    done = light.finished("i2i train pix2pix", tmp_path)
    assert done.returncode == 2
    [error] = done.stderr.splitlines()
    assert error.startswith("i2i: error: ")
    assert error.endswith('pip install "i2i-toolkit[train]"')
    assert not list(tmp_path.iterdir())


def test_plugins_are_installed_beside_it_and_listed(light, plugins, tmp_path):
    new_plugin("sepia", "transform", tmp_path / "i2i-sepia", plugins)
    new_plugin("stripes", "recipe", tmp_path / "i2i-stripes", plugins)
    light.run("pip install --quiet ./i2i-sepia ./i2i-stripes", tmp_path)
    listed = light.run("i2i plugins list", tmp_path)
    assert "sepia  (i2i-sepia 0.1.0)\n  transform      sepia " in listed
    assert "stripes  (i2i-stripes 0.1.0)\n  not loaded: this needs the extra 'train'" in listed
