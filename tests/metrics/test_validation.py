"""Metrics of all kinds in the validation of a training, under the names of their figures."""

import json

import pytest

from helpers.metric_files import classifier_file
from helpers.recipes import small, train_only
from i2i.errors import ConfigError
from i2i.plugins import Plugins


def validations(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key.removeprefix("val/"): value for key, value in line.items() if key.startswith("val/")}
        for line in lines
        if any(key.startswith("val/") for key in line)
    ]


def trained(recipe, metrics, out, steps=1):
    sets = [*small(recipe), f"train.metrics={metrics}", "train.val_images=8"]
    train_only(recipe, plugins=Plugins(), out=out, sets=sets, steps=steps)
    return validations(out)


def test_images_from_noise_get_figures_of_sets_and_of_the_classes_asked_for(tmp_path, capfd):
    file = classifier_file(tmp_path / "classifier.onnx", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
    metrics = f"[{{name: fid, features: random}}, {{name: class-accuracy, path: {file}}}, psnr]"
    first, last = trained("cgan", metrics, tmp_path / "run")
    assert set(last) == {"fid-random", "class-accuracy"}
    assert 0 <= last["class-accuracy"] <= 1
    assert first["fid-random"] > 0
    assert "note: not measured: psnr: compares images with their targets" in capfd.readouterr().err


def test_translators_without_labels_are_not_asked_for_classes(tmp_path, capfd):
    file = classifier_file(tmp_path / "classifier.onnx")
    metrics = f"[{{name: kid, features: random}}, {{name: class-accuracy, path: {file}}}]"
    assert set(trained("cyclegan", metrics, tmp_path / "run")[-1]) == {"kid-random", "kid-random/BtoA"}
    line = "note: not measured: class-accuracy: asks for images of a class, and no translator takes a label"
    assert line in capfd.readouterr().err


def test_too_few_images_are_told_with_their_number(tmp_path, capfd):
    trained("pix2pix", "[{name: coverage, features: random, neighbours: 50}, l1]", tmp_path / "run")
    line = "note: not measured: coverage-random: coverage needs at least 51 real and 1 generated images (50 neighbours"
    assert line in capfd.readouterr().err


def test_a_network_that_is_not_there_is_one_line_and_the_others_are_measured(tmp_path, capfd):
    network = f"{{name: inception-v3, weights: {tmp_path}/gone.pth}}"
    metrics = f"[{{name: fid, features: {network}}}, {{name: kid, features: {network}}}, l1]"
    assert set(trained("pix2pix", metrics, tmp_path / "run")[-1]) == {"l1"}
    said = [line for line in capfd.readouterr().err.splitlines() if "gone.pth" in line]
    assert len(said) == 1
    assert said[0].startswith("note: not measured: fid, kid: ")
    assert "gone.pth: cannot be read, for Inception-v3" in said[0]


def test_two_figures_of_one_name_are_refused(tmp_path):
    plugin = tmp_path / "twin.py"
    plugin.write_text(
        "import i2i\n\n\nclass Twin:\n    figure_name = 'l1'\n\n    def __init__(self, config): ...\n"
        "    def update(self, output, target): ...\n    def compute(self): ...\n    def reset(self): ...\n\n\n"
        "@i2i.hookimpl\ndef i2i_metrics():\n    return [i2i.Component('twin', Twin)]\n"
    )
    with pytest.raises(ConfigError, match=r"two metrics give a figure l1: leave one of them out"):
        sets = [*small("pix2pix"), "train.metrics=[l1, twin]"]
        train_only("pix2pix", plugins=Plugins([plugin]), out=tmp_path / "run", sets=sets, steps=1)
