"""``i2i models``: which runs and models there are, and in which state, without torch and without a crash."""

import json
import os

import pytest

from helpers.cold import cold
from helpers.recipes import TINY, train_only
from helpers.small_models import make_model
from i2i.cli import main


@pytest.fixture(scope="module")
def trained(pairs_root, tmp_path_factory):
    """A run of two steps, not exported; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "run"
    return train_only("pix2pix", data=pairs_root, out=out, sets=TINY, steps=2).run


@pytest.fixture
def i2i(tmp_path, monkeypatch, capsys):
    """Runs the command in this process: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["i2i", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


def listed(i2i, *words):
    code, out, _ = i2i("models", *words, "--json")
    assert code == 0
    return {entry["path"]: entry for entry in json.loads(out)["models"]}


def make_run(path, *, steps=4, planned=4, changed=1_000_000_000, **files):
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(
        f"recipe: pix2pix\ndata: {{root: my photos}}\ntrain: {{steps: {planned}}}\n", encoding="utf-8"
    )
    line = {"step": steps, "val/l1": 0.25}
    (path / "metrics.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text, encoding="utf-8")
    for file in (*path.iterdir(), path):
        os.utime(file, (changed, changed))
    return path


def test_a_trained_run_is_listed_with_its_steps_data_and_best_metric(i2i, trained, pairs_root):
    [entry] = listed(i2i, trained.parent).values()
    assert (entry["recipe"], entry["data"], entry["status"]) == ("pix2pix", str(pairs_root), "trained")
    assert (entry["steps"], entry["planned_steps"], entry["best"]["step"]) == (2, 2, 2)
    assert (entry["best"]["metric"], entry["models"]) == ("l1", [])
    assert entry["bytes"] > sum(file.stat().st_size for file in trained.glob("checkpoints/*/*"))
    code, out, error = i2i("models", trained.parent)
    assert (code, error) == (0, "")
    assert f"l1 {entry['best']['value']:.4g} at step 2" in out


def test_the_last_changed_is_first(i2i, tmp_path):
    for number, name in enumerate(("b", "c", "a")):
        make_run(tmp_path / "runs" / name, changed=1_000_000_000 + number)
    assert [*listed(i2i)] == ["runs/a", "runs/c", "runs/b"]


def test_a_run_says_how_far_it_is(i2i, tmp_path):
    make_run(tmp_path / "runs" / "stopped", planned=9)
    make_run(tmp_path / "runs" / "whole", model_onnx="", summary_json="{}")
    make_run(tmp_path / "runs" / "early", planned=9, model_onnx="", validation_json='{"stopped_early": "no better"}')
    (tmp_path / "runs" / "early" / "summary.json").write_text('{"steps": 4}', encoding="utf-8")
    make_run(tmp_path / "runs" / "group" / "going", planned=9)
    (tmp_path / "runs" / "group" / "going" / ".owner").write_text("process 1 on here", encoding="utf-8")
    found = {path: (entry["status"], entry["models"]) for path, entry in listed(i2i).items()}
    assert found == {
        "runs/stopped": ("unfinished", []),
        "runs/whole": ("exported", ["model.onnx"]),
        "runs/early": ("stopped early", ["model.onnx"]),
        "runs/group/going": ("running", []),
    }
    assert "4 of 9" in i2i("models")[1]


def test_model_files_are_listed_and_foreign_or_damaged_ones_with_a_note(i2i, tmp_path):
    make_model(tmp_path / "mine.onnx", "identity")
    make_model(tmp_path / "foreign.onnx", "identity", metadata={})
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "mine.onnx").read_bytes()[:50])
    (tmp_path / "empty.onnx").touch()
    found = {path.split("/")[-1]: entry for path, entry in listed(i2i, tmp_path).items()}
    states = {name: entry["status"] for name, entry in found.items()}
    assert states["mine.onnx"] == "model"
    assert (states["foreign.onnx"], states["cut.onnx"], states["empty.onnx"]) == ("foreign", "damaged", "damaged")
    assert [name for name, entry in found.items() if not entry["notes"]] == ["mine.onnx"]


def test_damaged_runs_are_listed_with_a_note(i2i, tmp_path):
    make_run(tmp_path / "runs" / "half")
    (tmp_path / "runs" / "half" / "config.yaml").write_text("recipe: [un", encoding="utf-8")
    (tmp_path / "runs" / "half" / "summary.json").write_text("[]", encoding="utf-8")
    (tmp_path / "runs" / "lost" / "checkpoints" / "step-0000001").mkdir(parents=True)
    make_run(tmp_path / "runs" / "odd", metrics_jsonl='{"step": "x"}\nnull\n{"st')
    (tmp_path / "runs" / "odd" / "validation.json").write_text('{"best": {"step": null}}', encoding="utf-8")
    code, out, error = i2i("models")
    assert code == 0
    assert error.splitlines() == [
        "note: runs/half: config.yaml is damaged",
        "note: runs/half: summary.json is damaged",
        "note: runs/lost: neither config.yaml nor metrics.jsonl is there",
    ]
    assert out.count("damaged") == 2


def test_folders_that_are_empty_or_not_there_are_named(i2i, tmp_path):
    assert i2i("models") == (2, "", "i2i: error: runs: no such folder\n")
    (tmp_path / "runs").mkdir()
    assert i2i("models") == (0, "", "note: runs: no run and no model in it\n")


def test_the_list_is_had_without_torch(trained):
    [done] = cold([("models .", "")], cwd=trained.parent)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout
    assert not done.modules & {"torch", "torchvision", "lightning_fabric", "PIL", "cv2", "onnxruntime"}
