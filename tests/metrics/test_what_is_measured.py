"""What metrics are shown in validation: label maps, classes, and two metrics of one name."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import i2i
from helpers import typed_data
from helpers.metric_files import segmenter_file
from helpers.paths import ROOT
from helpers.recipes import SHARED, small, train_only
from i2i.api import MetricChoice, MetricContext
from i2i.metrics.building import build_metrics
from i2i.metrics.measuring import Measurable, SampleMetrics
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

SETS = [*(line for line in SHARED if not line.startswith("data.load_size")), "data.jitter=1", "data.layout=folders"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return typed_data.make(tmp_path_factory.mktemp("data"))


def figures(run):
    return json.loads((run / "validation.json").read_text())["figures"]


def typed(name, data, tmp_path, *sets):
    plugins = Plugins([ROOT / f"tests/methods/plugins/{name}.py"])
    options = {"modulated": "labels", "segmentation": "segments"}
    train_only(name, plugins=plugins, data=data / options[name], out=tmp_path / "run", sets=[*SETS, *sets], steps=1)
    return figures(tmp_path / "run")


def test_label_maps_are_compared_as_label_maps(data, tmp_path, capfd):
    found = typed("segmentation", data, tmp_path)
    assert set(found) == {"miou", "pixel-accuracy"}
    assert found["miou"]["protocol"]["network"] == "none: label maps are compared"
    assert 0 <= found["pixel-accuracy"]["value"] <= 1
    assert "not measured" not in capfd.readouterr().err


def test_metrics_of_images_are_not_shown_label_maps(data, tmp_path, capfd):
    assert set(typed("segmentation", data, tmp_path, "train.metrics=[l1,pixel-accuracy]")) == {"pixel-accuracy"}
    assert "note: not measured: l1: compares images with their targets" in capfd.readouterr().err


def test_metrics_of_label_maps_alone_are_not_shown_images(data, tmp_path, capfd):
    assert set(typed("modulated", data, tmp_path, "train.metrics=[miou,l1]")) == {"l1"}
    assert "note: not measured: miou" in capfd.readouterr().err


@pytest.fixture
def segmenter(tmp_path):
    """A file whose logits of four classes are 0 and the channels."""
    return segmenter_file(tmp_path / "segmenter.onnx", np.concatenate([np.zeros((1, 3)), np.eye(3)]))


def test_an_image_made_from_a_label_map_is_judged_by_what_a_segmenter_sees_in_it(segmenter):
    classes = torch.randint(0, 4, (1, 8, 8), generator=torch.Generator().manual_seed(0))
    wrong = classes.clone()
    wrong[:, :2] = (wrong[:, :2] + 1) % 4  # in a quarter of the pixels

    def painted(batch):
        return nn.functional.one_hot(wrong, 4)[..., 1:].movedim(-1, 1).float() * 2 - 1

    batch = {"source": classes, "target": torch.zeros(1, 3, 8, 8)}
    choice = MetricChoice("pixel-accuracy", path=str(segmenter), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    builder = Builder(Plugins(), (0, 0))
    metrics = build_metrics(builder, [choice], MetricContext(builder), scale=1)
    measured = SampleMetrics(metrics, lambda: iter([batch]), owner="test").figures(
        {"default": Measurable(painted, real="target", target="target")}
    )
    assert measured["pixel-accuracy"].value == 0.75


def labelled(classes, per_class):
    draw = torch.Generator().manual_seed(0)
    for number in range(classes * per_class):
        shade = (number % classes) / classes - 0.5
        image = torch.rand(1, 3, 16, 16, generator=draw) * 0.2 + shade
        yield {"target": image, "label": torch.tensor([number % classes])}


@pytest.fixture
def by_class():
    """Measures a maker of noise on images of four classes; returns figures and the metrics."""

    def measure(make, per_class=6, twice=False):
        builder = Builder(Plugins(), (0, 0))
        context = MetricContext(builder)
        choices = [MetricChoice(name, features="random") for name in ("kid", "fid")]
        metrics = build_metrics(builder, choices, context, scale=1)
        samples = SampleMetrics(metrics, lambda: labelled(4, per_class), owner="test", classes=("a", "b", "c", "d"))
        makers = {"default": Measurable(make, "target", image=None, label="target_label", classes=4)}
        return (samples.figures(makers) if twice else None), samples.figures(makers), metrics

    return measure


def shaded(batch):
    return torch.full((1, 3, 16, 16), float(batch["target_label"]) / 4 - 0.4)


def test_each_class_has_figures_of_its_own_images(by_class):
    _, found, metrics = by_class(shaded)
    names = {f"{metric}-random{end}" for metric in ("kid", "fid") for end in ("", *(f"/class/{one}" for one in "abcd"))}
    assert set(found) == names
    collector = metrics["kid-random"].metric.collector
    chosen = [(batch, shaded({"target_label": batch["label"]})) for batch in labelled(4, 6) if batch["label"] == 1]
    collector.reset()
    for batch, fake in chosen:
        collector.update_real(batch["target"])
        collector.update_fake(fake)
    for metric in ("kid-random", "fid-random"):
        assert found[f"{metric}/class/b"].value == pytest.approx(float(metrics[metric].metric.compute()), rel=1e-4)
    assert found["kid-random/class/b"].protocol["fake_images"] == 6
    assert found["kid-random"].protocol["fake_images"] == 24


def test_classes_of_too_few_images_have_no_figures(by_class):
    assert set(by_class(shaded, per_class=1)[1]) == {"kid-random", "fid-random"}


def test_features_are_taken_once_for_all_classes_and_of_real_images_once_for_all(by_class, monkeypatch):
    from i2i_metrics.networks.untrained import RandomFeatures

    taken = []
    embed = RandomFeatures.embed
    monkeypatch.setattr(RandomFeatures, "embed", lambda self, images: taken.append(len(images)) or embed(self, images))
    first, second, _ = by_class(shaded, twice=True)
    assert sum(taken) == 24 + 24 + 24
    assert {name: one.value for name, one in first.items()} == {name: one.value for name, one in second.items()}


def test_labels_of_a_training_have_figures_under_their_names(tmp_path, capfd):
    train_only(
        "cgan",
        plugins=Plugins(),
        out=tmp_path / "run",
        sets=[*small("cgan"), "data.layout.val_count=40", "train.val_images=40"],
        steps=1,
    )
    names = [name for name in figures(tmp_path / "run") if name.startswith("kid-random/class/")]
    assert len(names) > 1
    assert "  kid-random by class: " in capfd.readouterr().err


def test_one_metric_by_two_networks(tmp_path):
    twice = "[{name: kid, features: random}, {name: kid, features: random, subsets: 2}]"
    sets = [*small("pix2pix"), f"train.metrics={twice}"]
    with pytest.raises(i2i.UserError, match=r"two metrics give a figure kid-random"):
        train_only("pix2pix", plugins=Plugins(), out=tmp_path / "run", sets=sets, steps=1)
    sets[-1] = "train.metrics=[{name: kid, features: random}, {name: kid, features: efficientnet-lite0}]"
    train_only("pix2pix", plugins=Plugins(), out=tmp_path / "run", sets=sets, steps=1)
    assert set(figures(tmp_path / "run")) == {"kid-random", "kid-efficientnet-lite0"}


def test_images_too_small_for_a_metric_are_one_line_before_anything_is_written(tmp_path, cli):
    words = [f"--set={line}" for line in [*small("pix2pix"), "train.metrics=ms-ssim"]]
    done = cli("train", "pix2pix", "--out", tmp_path / "run", "--steps", 5, *words)
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if "i2i: error" in line]
    assert len(said) == 1
    assert "161" in said[0]
    assert not (tmp_path / "run").exists()
