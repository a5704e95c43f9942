"""Sizes of images and of batches that change during a training."""

import json
import shutil
from pathlib import Path

import pytest

import i2i
from helpers import typed_data
from helpers.recipes import SHARED, train_only
from i2i.errors import ConfigError, PluginError
from i2i.plugins import Plugins

PLUGIN = Path(__file__).parents[1] / "methods/plugins/growing.py"
SETS = [line for line in SHARED if not line.startswith(("data.", "train.batch_size"))]
SETS += ["data.size=16", "data.jitter=1", "data.layout=images", "train.checkpoint_every=1", "train.keep_last=9"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return typed_data.make(tmp_path_factory.mktemp("data")) / "labels/B"


def variant(folder, old, new):
    """The plugin with a change."""
    file = folder / "growing.py"
    text = PLUGIN.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    return Plugins([file])


WATCHED = """        open("seen.txt", "a").write(f"{ctx.step} {tuple(batch['target'].shape)}\\\\n")
        player"""


def test_each_stage_has_its_sizes_resumes_exactly_and_the_last_one_is_exported(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugins = variant(tmp_path, "        player", WATCHED.replace("\\\\", "\\"))
    whole = i2i.train("growing", data=data, out=tmp_path / "run", sets=SETS, steps=6, plugins=plugins)
    seen = [line.split(" ", 1) for line in (tmp_path / "seen.txt").read_text().splitlines()]
    shapes = {int(step): shape for step, shape in seen if "(8, " not in shape or int(step) < 2}
    assert shapes == {
        0: "(8, 3, 4, 4)",
        1: "(8, 3, 4, 4)",
        2: "(4, 3, 8, 8)",
        3: "(4, 3, 8, 8)",
        4: "(2, 3, 16, 16)",
        5: "(2, 3, 16, 16)",
    }
    assert i2i.load(whole.exported[0].path).generate(2).shape == (2, 16, 16, 3)
    for step in (2, 3):  # the end of a stage, and the middle of one
        again = tmp_path / f"again-{step}"
        shutil.copytree(whole.run, again)
        for later in range(step + 1, 7):
            shutil.rmtree(again / f"checkpoints/step-{later:07d}")
        train_only(out=again, resume=True, plugins=plugins)
        files = [run / "checkpoints/step-0000006/networks.safetensors" for run in (whole.run, again)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_stage_may_have_a_height_and_a_width(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugins = variant(tmp_path, "        player", WATCHED.replace("\\\\", "\\"))
    file = tmp_path / "growing.py"
    text = file.read_text(encoding="utf-8").replace(
        "return STAGES[int(progress * len(STAGES))]",
        "size, batch = STAGES[int(progress * len(STAGES))]\n        return (size // 2 * 3, size), batch",
    )
    file.write_text(text, encoding="utf-8")
    sets = [*SETS, "data.size=[24, 16]", "data.load_size=[30, 20]"]
    train_only("growing", data=data, out=tmp_path / "run", sets=sets, steps=3, plugins=plugins)
    seen = (tmp_path / "seen.txt").read_text()
    assert "0 (8, 3, 6, 4)\n" in seen
    assert "1 (4, 3, 12, 8)\n" in seen
    assert "2 (2, 3, 24, 16)\n" in seen


def test_samples_are_seen_in_their_order_across_stages(data, tmp_path, monkeypatch):
    """An epoch of six images: 8 of the first stage begin the second epoch, and the next stage goes on there."""
    from i2i.config import resolve
    from i2i.engine import launch
    from i2i.engine.batching.stages import samples_seen
    from i2i.engine.setup import open_training

    sets = [*SETS, f"data.root={data}", "train.steps=6"]
    config = resolve(Plugins([PLUGIN]), "growing", sets=sets)
    training, _ = open_training(config, Plugins([PLUGIN]), launch(config.engine))
    assert [samples_seen(training.stages, step, training.batches_per_step) for step in range(7)] == [
        0,
        8,
        16,
        20,
        24,
        26,
        28,
    ]
    assert [(one.first, one.stop, one.size, one.batch_size) for one in training.stages] == [
        (0, 2, 4, 8),
        (2, 4, 8, 4),
        (4, 6, 16, 2),
    ]


@pytest.mark.parametrize(
    ("old", "new", "kind", "says"),
    [
        (
            "(16, 2))",
            "(32, 2))",
            ConfigError,
            "stage at step 2: images of 32 pixels: a stage's size is at most data.size=16",
        ),
        (
            "(16, 2))",
            "((8, 32), 2))",
            ConfigError,
            r"images of \[8,32\] pixels: a stage's size is at most data.size=16",
        ),
        ("(16, 2))", "((8, 8, 8), 2))", PluginError, r"stages must return a size in pixels.*not \(\(8, 8, 8\), 2\)"),
        ("(16, 2))", "16)", PluginError, "stages must return a size in pixels and a batch size.*not 16"),
        (
            "(progress * len(STAGES))]",
            "(progress)] if progress < 0.5 else ((6, 10), 4)",
            PluginError,
            "in the stage of 6 x 10 pixels",
        ),
        (
            "def stages(self, progress):",
            "def stages(self, progress):\n        1 / 0",
            PluginError,
            "stages: ZeroDivisionError",
        ),
    ],
)
def test_a_stage_that_cannot_be_is_refused_before_the_first_step(old, new, kind, says, data, tmp_path):
    plugins = variant(tmp_path, old, new)
    with pytest.raises(kind, match=says):
        i2i.train("growing", data=data, out=tmp_path / "run", sets=SETS, steps=3, plugins=plugins)
    assert not (tmp_path / "run/checkpoints").exists()


def test_the_speed_counts_the_images_of_each_stage(data, tmp_path):
    run = i2i.train("growing", data=data, out=tmp_path / "run", sets=SETS, steps=3, plugins=Plugins([PLUGIN])).run
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(line["images_per_second"] > 0 for line in lines if "images_per_second" in line)
