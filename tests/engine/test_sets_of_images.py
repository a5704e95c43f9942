"""Metrics that compare sets of images: in every recipe, for the best checkpoint, against the same in numpy."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import i2i
from helpers.image_files import save
from helpers.paths import ROOT
from helpers.recipes import OWN, small, train_only
from i2i.config import resolve
from i2i.data.detect import Requirements
from i2i.data.loading import open_data
from i2i.engine.validation.validate import Validation
from i2i.errors import PluginError
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints

FILE = ROOT / "tests/methods/plugins/frechet.py"
METRICS = "train.metrics=[frechet, l1]"


def values(run):
    """The figures of validations by step."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line for line in lines if any(key.startswith("val/") for key in line)}


def frechet(real, fake):
    """The squared Fréchet distance of two lists of images (C, H, W), with roots of matrices by eigenvectors."""
    means, covariances = [], []
    for images in (real, fake):
        rows = [np.asarray(one, np.float64) for one in images]
        rows = [one.reshape(len(one), 4, one.shape[1] // 4, 4, -1).mean((2, 4)).ravel() for one in rows]
        means.append(np.mean(rows, 0))
        covariances.append(np.cov(rows, rowvar=False))
    root = _root(covariances[0])
    product = _root(root @ covariances[1] @ root)
    return ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * product)


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(0)) @ vectors.T


@pytest.mark.parametrize("recipe", OWN)
def test_every_recipe_is_measured_and_its_best_checkpoint_chosen(recipe, tmp_path, capfd):
    sets = [*small(recipe), METRICS, "train.checkpoint_every=1", "train.keep_last=9"]
    train_only(recipe, plugins=Plugins([FILE]), out=tmp_path / "run", sets=sets, steps=3)
    measured = values(tmp_path / "run")
    assert all(line["val/frechet"] >= 0 for line in measured.values())
    assert set(measured) == {0, 1, 2, 3}
    scores = {}
    for step in (1, 2, 3):
        state = checkpoints.load(tmp_path / f"run/checkpoints/step-{step:07d}", training=False).state
        scores[step] = state["score"]
        assert state["score"] in (None, -measured[step]["val/frechet"])  # none before the last phase has begun
    best = max((score, -step) for step, score in scores.items() if score is not None)
    assert checkpoints.best(tmp_path / "run/checkpoints").name == f"step-{-best[1]:07d}"
    paired = "val/l1" in measured[3]
    assert paired == (recipe not in {"cyclegan", "cut", "fastcut", "cgan", "stargan", "starganv2"})
    note = "note: not measured: l1: compares images with their targets, and there are none"
    assert capfd.readouterr().err.count(note) == (not paired)


@pytest.fixture
def unpaired(tmp_path):
    """Images of 32 pixels, of two domains, in `trainA` and so on; those of B are brighter."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 5)):
        for domain, lowest in (("A", 0), ("B", 120)):
            for number in range(count):
                coarse = draw.integers(lowest, lowest + 120, (4, 4, 3), np.uint8)
                save(tmp_path / f"data/{split}{domain}/{number}.png", coarse.repeat(8, 0).repeat(8, 1))
    return tmp_path / "data"


def pictures(folder):
    """The images of a folder, (3, H, W) in [-1, 1]."""
    return [np.asarray(Image.open(file)).transpose(2, 0, 1) / 127.5 - 1 for file in sorted(folder.glob("*.png"))]


def test_both_directions_of_unpaired_images_against_numpy(unpaired, cli, tmp_path):
    sets = [*small("cyclegan", drawn=False), METRICS, "data.jitter=1", "train.val_images=5", "train.ema=0.5"]
    words = [f"--set={line}" for line in sets]
    done = cli("-p", FILE, "train", "cyclegan", "--data", unpaired, "--out", tmp_path / "run", "--steps", 2, *words)
    assert done.returncode == 0, done.stderr
    nets = i2i.load_networks(tmp_path / "run", "last", plugins=Plugins([FILE])).networks
    domains = {side: pictures(unpaired / f"val{side}") for side in "AB"}
    logged = values(tmp_path / "run")[2]
    for name, key in (("AtoB", "val/frechet"), ("BtoA", "val/frechet/BtoA")):
        with torch.no_grad():
            inputs = torch.tensor(np.array(domains[name[0]]), dtype=torch.float32)
            fakes = [nets[name](image[None])[0].numpy() for image in inputs]
        assert logged[key] == pytest.approx(frechet(domains[name[-1]], fakes), rel=1e-4)
    assert "frechet/BtoA" in done.stderr
    assert "val/frechet/BtoA" in (tmp_path / "run/report.html").read_text(encoding="utf-8")


def test_images_from_noise_have_the_classes_of_the_real_ones_and_the_same_noise_each_time(tmp_path):
    sets = [*small("cgan"), "train.metrics=[frechet]", "train.val_images=3", "train.ema=0"]
    done = train_only("cgan", plugins=Plugins([FILE]), out=tmp_path / "run", sets=sets, steps=1)
    loaded = i2i.load_networks(done.run, "last", plugins=Plugins([FILE]))
    data = open_data(loaded.config.data, Plugins(), Requirements.of_recipe(loaded.recipe), seed=loaded.config.seed)
    samples = [data.val[0, index] for index in range(3)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        fakes = [
            loaded.networks["generator"](torch.randn(1, 8, generator=generator), torch.tensor([sample["label"]]))[0]
            for sample in samples
        ]
    reals = [sample["target"].numpy() / 127.5 - 1 for sample in samples]
    expected = frechet(reals, [fake.numpy() for fake in fakes])
    assert values(done.run)[1]["val/frechet"] == pytest.approx(expected, rel=1e-4)


class Recorder:
    """Keeps what a metric is shown."""

    kind = "distribution"

    def reset(self):
        self.real, self.fake = [], []

    def update_real(self, images):
        self.real.append(images)

    def update_fake(self, images):
        self.fake.append(images)

    def compute(self):
        return len(self.real)


@pytest.fixture
def recorded(unpaired):
    """A function that measures translators and returns the recorder, and what was measured."""

    def measure(**translators):
        sets = [
            *small("cyclegan", drawn=False),
            METRICS,
            f"data.root={unpaired}",
            "data.jitter=1",
            "train.val_images=9",
        ]
        plugins = Plugins([FILE])
        config = resolve(plugins, "cyclegan", sets=[*sets, "train.val_images=9"])
        data = open_data(config.data, plugins, Requirements(frozenset({"source", "target"})), seed=0)
        validation = Validation(data, config, plugins, torch.device("cpu"))
        recorder = Recorder()
        validation.metrics["frechet"] = replace(validation.metrics["frechet"], metric=recorder)
        return recorder, validation.measure(translators), validation

    return measure


IMAGE, SAME = {"image": torch.zeros(1, 3, 32, 32)}, nn.Identity()


def test_real_images_are_of_the_kind_that_the_output_is(recorded, unpaired):
    domains = {side: np.array(pictures(unpaired / f"val{side}"), np.float32) for side in "AB"}
    for real, fake, translator in [
        ("B", "A", i2i.Translator(SAME, IMAGE, target=None)),
        ("A", "B", i2i.Translator(SAME, IMAGE, "target", None)),
        ("B", "B", i2i.Translator(SAME, IMAGE, "target", None, real="target")),
        ("B", "B", i2i.Translator(SAME, IMAGE, "target", "target")),
    ]:
        recorder, measured, _ = recorded(only=translator)
        assert measured["frechet"].value == 5
        assert np.allclose(torch.cat(recorder.real), domains[real], atol=1e-6)
        assert np.allclose(torch.cat(recorder.fake), domains[fake], atol=1e-6)


def test_values_beyond_the_range_are_clipped_as_in_files(recorded):
    recorder, _, _ = recorded(only=i2i.Translator(nn.Upsample(scale_factor=2), IMAGE, target=None))
    assert recorder.fake[0].shape == (1, 3, 64, 64)  # sets may differ in size
    recorder, _, _ = recorded(only=i2i.Translator(nn.Hardtanh(3, 4), IMAGE, target=None))
    assert recorder.fake[0].unique().tolist() == [1]


def test_what_cannot_be_measured_is_said(recorded):
    _, measured, validation = recorded(only=i2i.Translator(SAME, IMAGE, target=None, real="gone"))
    assert measured == {}
    assert validation.left_out(measured) == [
        "note: not measured: frechet: compares sets of images, and there are no real ones",
        "note: not measured: l1: compares images with their targets, and there are none",
    ]
    grey = nn.Conv2d(3, 1, 1)
    with pytest.raises(PluginError, match=r"gives images \(1, 1, 32, 32\), and the real ones are \(1, 3"):
        recorded(only=i2i.Translator(grey, IMAGE, target=None))


def test_a_dry_run_says_what_will_not_be_measured(unpaired, cli, tmp_path):
    words = [f"--set={line}" for line in [*small("cyclegan", drawn=False), "train.metrics=[l1,psnr]"]]
    done = cli("train", "cyclegan", "--data", unpaired, "--dry-run", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "note: not measured: l1, psnr: compares images with their targets, and there are none" in done.stderr
    assert not any(Path(tmp_path).glob("runs"))
