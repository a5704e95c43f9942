"""`i2i evaluate` of models: what validation measured while they were trained, other data, several side by side."""

import csv
import json
import math
import re

import onnx
import pytest

import i2i
from helpers.recipes import small
from i2i.plugins import Plugins
from i2i.runs.folder import RunFolder
from i2i.runtime.training_samples import training_samples

METRICS = [{"name": "kid", "features": "random"}, {"name": "precision", "features": "random"}, "psnr", "l1"]
IMAGES = 5


def trained(recipe, out, *more, **options):
    """A run of two steps, with metrics of both kinds."""
    sets = [*small(recipe), f"train.val_images={IMAGES}", "data.layout.val_count=5", "train.steps=2"]
    metrics = "train.metrics=[{name: kid, features: random}, {name: precision, features: random}, psnr, l1]"
    return i2i.train(recipe, out=out, sets=[*sets, metrics, *more], **options)


@pytest.fixture(scope="module")
def pix2pix_run(tmp_path_factory):
    return trained("pix2pix", tmp_path_factory.mktemp("evaluated") / "a run").run


def validated(run):
    lines = [json.loads(line) for line in RunFolder(run).metrics.read_text().splitlines()]
    last = [line for line in lines if any(key.startswith("val/") for key in line)][-1]
    return {key.removeprefix("val/"): value for key, value in last.items() if key.startswith("val/")}


@pytest.mark.parametrize("recipe", Plugins().table("recipe"))
def test_a_models_figures_are_those_of_its_validation(recipe, tmp_path):
    run = trained(recipe, tmp_path / "run").run
    wanted = validated(run)
    found = {}
    for one in i2i.evaluate(run, metrics=METRICS, images=IMAGES):
        for name, figure in one.figures.items():
            metric, *of_class = name.split("/")
            found["/".join([metric, one.translator, *of_class]) if name in found else name] = figure.value
        assert {figure.protocol.get("images", figure.protocol.get("fake_images")) for figure in one.figures.values()}
        assert not one.left_out
    assert {"kid-random", "precision-random"} <= found.keys()
    for name in wanted.keys() & found.keys():  # a file's images have 8 bits
        assert found[name] == pytest.approx(wanted[name], rel=0.03, abs=0.02), name
    assert {name for name in wanted if not name.startswith(recipe)} <= found.keys()


def test_several_models_stand_side_by_side_and_the_best_figure_is_marked(pix2pix_run, tmp_path, cli):
    other = trained("pix2pix", tmp_path / "other", "seed=2").run
    done = cli("evaluate", pix2pix_run, other, "--metric", "psnr", "--metric", "l1", "--bootstrap", 50)
    assert done.returncode == 0, done.stderr
    header, psnr, l1 = done.stdout.splitlines()
    assert str(pix2pix_run) in header
    assert str(other) in header
    assert psnr.startswith("psnr ↑")
    assert l1.startswith("l1 ↓")
    assert psnr.count("*") == l1.count("*") == 1
    assert psnr.endswith("  5")


def test_a_second_evaluation_takes_features_from_the_cache(pix2pix_run, tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path))
    from i2i_metrics.sets.collecting import FeatureSets

    taken = []
    embed = FeatureSets.embed
    monkeypatch.setattr(FeatureSets, "embed", lambda self, images: (taken.append(len(images)), embed(self, images))[1])
    first, second, anew = (
        i2i.evaluate(pix2pix_run, metrics=METRICS[:1], cache=cache)[0].figures["kid-random"].value
        for cache in (True, True, False)
    )
    assert sum(taken) == 4 * IMAGES  # outputs and real images of the first and the last one
    assert first == second == pytest.approx(anew, rel=1e-5)


def test_json_has_protocols_and_intervals_and_a_csv_each_image(pix2pix_run, tmp_path, cli):
    table = tmp_path / "images.csv"
    words = ["--json", "--per-image", table, "--metric", "psnr", "--metric", "{name: ssim, edges: valid}"]
    done = cli("evaluate", pix2pix_run, *words)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["evaluations"]
    assert found["figures"]["ssim"]["protocol"]["edges"] == "valid"
    low, high = found["figures"]["psnr"]["interval_95"]
    assert low < found["figures"]["psnr"]["value"] < high
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == IMAGES
    assert sum(float(row["ssim"]) for row in rows) / IMAGES == pytest.approx(found["figures"]["ssim"]["value"])
    assert len({row["image"] for row in rows}) == IMAGES


def test_a_model_file_alone_is_measured_on_any_folder_of_pairs(pix2pix_run, folders_root, tmp_path):
    alone = tmp_path / "alone.onnx"
    alone.write_bytes((pix2pix_run / "model.onnx").read_bytes())
    (one,) = i2i.evaluate(alone, data=folders_root, metrics=["psnr"])
    assert one.figures["psnr"].protocol["images"] == 8  # it has no split: all of them
    assert math.isfinite(one.figures["psnr"].value)
    (few,) = i2i.evaluate(
        alone, data=folders_root, metrics=["psnr"], images=3, sets=["data.size=40", "data.load_size=44"]
    )
    assert few.figures["psnr"].protocol["images"] == 3


def test_the_model_names_no_path_of_the_machine_that_trained_it(folders_root, tmp_path):
    sets = [line for line in small("pix2pix", drawn=False) if "layout" not in line]
    run = i2i.train("pix2pix", data=folders_root, out=tmp_path / "run", sets=[*sets, "train.steps=1"]).run
    entries = {entry.key: entry.value for entry in onnx.load(run / "model.onnx").metadata_props}
    assert "i2i.samples" in entries
    assert str(tmp_path) not in json.dumps(entries)


REFUSED = [
    (["no-such-place"], "no-such-place: no such file or folder"),
    (["RUN", "EMPTY"], "empty is a folder of images, and no model: name models alone, or two folders of images"),
    (["EMPTY"], "name a model or several, or two folders of images: those to measure, and real ones"),
    (["EMPTY", "EMPTY", "--data", "EMPTY"], "data: only for models, and .*empty is a folder of images"),
    (["RUN", "--data", "EMPTY"], "empty"),
    (["RUN", "--bootstrap", "1000000"], "the number of resamples is from 0 to 100000, not 1000000"),
    (["RUN", "--metric", "fid", "--metric", "kid"], "error: fid, kid: the weights of Inception-v3"),
    (["RUN", "--split", "test"], "the split is val or train, not 'test'"),
    (["RUN", "--metric", "pnsr"], r"unknown metric 'pnsr' \(did you mean 'psnr'\?\)"),
    (["RUN", "--metric", "{name: ssim, edgs: valid}"], "edgs"),
    (["RUN", "--translator", "AtoB"], "no 'AtoB'"),
    (["RUN", "--set", "data.sise=3"], "sise"),
    (["RUN", "--per-image", "EMPTY"], "is a folder: name a CSV file"),
    (["RUN", "--per-image", "no-such-folder/table.csv"], "there is no folder no-such-folder: make it first"),
    (["RUN", "--metric", "ms-ssim"], "MS-SSIM needs images of at least 161x161 pixels, got 32x32"),
    (
        ["RUN", "--metric", "fid"],
        "fid: the weights of Inception-v3 .* put .* into .*, or name the file",
    ),
]


@pytest.mark.parametrize(("words", "line"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_what_cannot_be_measured_is_one_line(words, line, pix2pix_run, tmp_path, cli):
    (tmp_path / "empty").mkdir()
    places = {"RUN": pix2pix_run, "EMPTY": tmp_path / "empty"}
    done = cli("evaluate", *(places.get(word, word) for word in words))
    assert done.returncode == 2
    assert done.stdout == ""
    *others, error = done.stderr.splitlines()
    assert error.startswith("i2i: error: ")
    assert re.search(line, error), error
    assert not [other for other in others if not other.startswith("Downloading: ")]  # torch says what it tries


def test_a_model_of_an_older_i2i_says_what_to_do(pix2pix_run, tmp_path, cli):
    model = onnx.load(pix2pix_run / "model.onnx")
    kept = [entry for entry in model.metadata_props if entry.key != "i2i.samples"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, tmp_path / "older.onnx")
    done = cli("evaluate", tmp_path / "older.onnx")
    assert done.returncode == 2
    assert "older.onnx: does not say how its samples are made, for an older i2i exported it" in done.stderr


@pytest.mark.parametrize("checked", [8, 0], ids=["found by the check", "found while measuring"])
def test_a_damaged_file_is_named_and_no_other_image_stands_for_it(checked, pix2pix_run, folders_root, tmp_path, cli):
    def rows(name, *more):
        words = ["--data", folders_root, "--metric", "l1", "--set", f"data.check_files={checked}"]
        done = cli("evaluate", pix2pix_run, *words, "--per-image", tmp_path / name, *more)
        return done, {row["image"]: row["l1"] for row in csv.DictReader((tmp_path / name).read_text().splitlines())}

    _, whole = rows("whole.csv")
    damaged = folders_root / "B" / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    done, found = rows("damaged.csv", "--json")
    assert done.returncode == 1, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("failed: ") and "2.png" in line]) == 1
    assert found == {name: value for name, value in whole.items() if name != "2"}
    assert json.loads(done.stdout)["evaluations"][0]["figures"]["l1"]["protocol"]["images"] == len(whole) - 1


def test_the_folder_of_the_training_is_measured_on_its_validation_images(folders_root, tmp_path):
    sets = [line for line in small("pix2pix", drawn=False) if "layout" not in line]
    run = i2i.train("pix2pix", data=folders_root, out=tmp_path / "run", sets=[*sets, "train.steps=1"]).run
    own, named, replaced = (
        i2i.evaluate(run, metrics=["l1"], bootstrap=0, **options)[0]
        for options in ({}, {"data": folders_root}, {"sets": {"data.val_root": folders_root}})
    )
    assert own.images == named.images
    assert own.figures == named.figures
    assert len(own.images) < len(replaced.images) == 8


@pytest.mark.parametrize("field", ["keys", "kinds", "needs", "real", "target"])
@pytest.mark.parametrize("value", [7, {"a": []}, [[]]], ids=["number", "mapping", "list"])
def test_what_a_model_says_of_its_samples_has_the_right_types(field, value):
    said = {"data": {}, "needs": ["source"], "paired": True, "takes_labels": False, "kinds": {}}
    said |= {"keys": {"image": "source"}, "target": "target", "real": "target"}
    assert training_samples(json.dumps(said)).target == "target"
    with pytest.raises(ValueError, match="wrong type"):
        training_samples(json.dumps(said | {field: value}))
