"""`i2i bench MODEL`: every backend is measured on real inputs, and what cannot be measured says why."""

import json

import numpy as np
import pytest

from helpers import odd_backends
from helpers.recipes import TINY
from helpers.small_models import make_model, noise
from i2i.errors import UserError
from i2i.images import write_image
from i2i.plugins import Plugins
from i2i.plugins.backends import build_backend
from i2i.runtime.computing.backend import Opening
from i2i.timing import models as bench
from i2i.timing.models import BenchSettings, bench_model


def usable() -> list[str]:
    """The backends that can compute a file here."""
    plugins = Plugins()
    names = [name for name in plugins.table("backend") if name != "torch"]  # it needs a run
    return [name for name in names if not build_backend(plugins, name).problem(Opening())]


@pytest.fixture
def file(tmp_path):
    return make_model(tmp_path / "model.onnx", "exported")


def test_every_combination_is_measured_and_compared_with_the_exact_result(cli, file):
    done = cli("bench", file, "--size", "8", "--size", "6x9", "--batch", 1, "--batch", 3, "--runs", 2, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["measurements"]
    measured = [one for one in found if not one["problem"]]
    exact = {(one["backend"], tuple(one["size"]), one["batch"]) for one in measured if one["precision"] == "exact"}
    assert exact == {(name, size, batch) for name in usable() for size in ((8, 8), (6, 9)) for batch in (1, 3)}
    for one in measured:
        assert one["seconds"] > 0
        assert one["images_per_second"] == pytest.approx(one["batch"] / one["seconds"])
        assert one["apart"]["largest"] <= 1  # an identity, in whatever precision
    assert {one["backend"] for one in found if one["problem"]} >= {"torch"}


def test_the_table_has_a_line_for_each_and_one_for_what_cannot_be_measured(cli, file):
    done = cli("bench", "model", file, "--size", "8", "--size", "9", "--runs", 1, "--backend", "onnxruntime")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["onnxruntime", "exact", size] for size in ("8x8", "9x9")]
    assert "CPUExecutionProvider, equal to the exact result" in lines[1]
    assert [line for line in lines if line.startswith("not measured: onnxruntime, fast: ")] == lines[3:]


def test_a_run_is_measured_on_its_own_examples_and_an_image_can_be_given(tmp_path, monkeypatch):
    tried = []
    original = bench.example_feeds

    def seen(network, size, *, images, count):
        tried.append((size, images))
        return original(network, size, images=images, count=count)

    monkeypatch.setattr(bench, "example_feeds", seen)
    make_model(tmp_path / "run" / "model.onnx", "exported")
    example, other = noise(7, 5, 1), noise(4, 6, 1, seed=1)
    (tmp_path / "run" / "examples").mkdir()
    write_image(tmp_path / "run" / "examples" / "1.png", example)
    write_image(tmp_path / "other.png", other)
    once = BenchSettings(backends=["onnxruntime"], precisions=["exact"], runs=1)
    for settings in (once, BenchSettings(**vars(once) | {"image": tmp_path / "other.png", "batches": (2,)})):
        assert [one.problem for one in bench_model(tmp_path / "run", settings)] == [""]
    (first, images), (second, two) = tried
    assert (first, second) == ((7, 5), (4, 6))
    np.testing.assert_array_equal(images, example[None])
    np.testing.assert_array_equal(two, np.stack([other, other]))


@pytest.mark.parametrize(
    ("graph", "value_type", "labels"),
    [
        ("dream", "float32", ()),
        ("dream-of", "uint8", ("a", "b")),
        ("labelled", "uint8", ("a", "b")),
        ("noisy", "float32", ()),
    ],
)
def test_models_of_all_kinds_are_fed_what_they_take(tmp_path, graph, value_type, labels):
    file = make_model(tmp_path / "model.onnx", graph, value_type, labels=labels)
    settings = BenchSettings(backends=["onnxruntime"], precisions=["exact"], sizes=[(8, 8)], runs=1)
    (one,) = bench_model(file, settings)
    assert one.problem == ""
    assert one.apart.fits("exact")


def test_a_broken_backend_of_a_plugin_does_not_keep_others_from_being_measured(cli, file):
    words = ["-p", odd_backends.__file__, "bench", file, "--size", 8, "--runs", 1, "--precision", "exact"]
    done = cli(*words, "--backend", "unsure", "--backend", "fails", "--backend", "onnxruntime", "--json")
    assert done.returncode == 0, done.stderr
    found = {one["backend"]: one for one in json.loads(done.stdout)["measurements"]}
    assert "no device answers" in found["unsure"]["problem"]
    assert "no such kernel" in found["fails"]["problem"]
    assert not found["onnxruntime"]["problem"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--size", "0"], "--size is a number of pixels such as 256"),
        (["--size", "99999"], "from 1 to 16384, not '99999'"),
        (["--size", "8x"], "not '8x'"),
        (["--precision", "half"], "the precision is exact or fast, not 'half'"),
        (["--backend", "tvm"], "unknown backend 'tvm'"),
        (["--batch", "0"], "--batch"),
        (["--image", "nothing.png"], "nothing.png"),
        (["--translator", "BtoA"], "BtoA"),
    ],
)
def test_a_wrong_option_is_one_line(cli, file, words, says):
    done = cli("bench", file, *words)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("i2i: error: ")]
    assert says in line
    assert "Traceback" not in done.stderr


def test_a_training_tells_where_its_time_goes_and_writes_nothing(cli, pairs_root, tmp_path):
    words = [word for line in TINY for word in ("--set", line)]
    done = cli("bench", "train", "pix2pix", "--data", pairs_root, *words, "--steps", 2, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    names = [part["name"] for part in found["parts"]]
    assert {"data: loading", "generator: backward", "discriminator: optimiser", "other"} <= set(names)
    assert sum(part["share"] for part in found["parts"]) == pytest.approx(1, abs=0.02)
    assert not list(tmp_path.iterdir())
    table = cli("bench", "train", "pix2pix", "--data", pairs_root, *words, "--steps", 1, cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    assert [line for line in table.stdout.splitlines() if line.startswith("generator: backward")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["wat"], "unknown recipe 'wat'"),
        ([], "no recipe"),
        (["pix2pix", "--data", "nowhere"], "nowhere"),
        (["pix2pix", "--set", "train.batch_size=auto"], "measures one batch size"),
        (["pix2pix", "--steps", "0"], "--steps"),
        (["pix2pix", "photos"], "--data photos"),
    ],
)
def test_a_training_that_cannot_be_measured_is_one_line(cli, tmp_path, words, says):
    done = cli("bench", "train", *words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("i2i: error: ")]
    assert says in line


def test_a_model_that_is_not_there_is_one_line(cli):
    done = cli("bench", "nothing.onnx")
    assert done.returncode == 2
    assert done.stderr.startswith("i2i: error: nothing.onnx")


def test_counts_below_one_are_refused_in_python_too(file):
    for wrong in ({"runs": 0}, {"batches": (0,)}):
        with pytest.raises(UserError, match="whole numbers from 1"):
            bench_model(file, BenchSettings(**wrong))
