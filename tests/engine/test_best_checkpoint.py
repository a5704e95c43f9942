"""The best checkpoint by a chosen figure, ending early, and the record of validations, also over kill -9 and resume."""

import json
import time

import pytest

import i2i
from helpers.command import Command
from helpers.paths import HELPERS
from helpers.recipes import SHARED, train_only
from i2i.errors import ConfigError
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints
from i2i.runs.choice import find_checkpoint
from i2i.runs.folder import RunFolder

FILE = HELPERS / "peaked.py"
PEAK = 6
SETS = [*SHARED, "data.layout={name: facades, count: 6, val_count: 2}", "train.metrics=peak", "train.keep_last=2"]
EVERY = ["train.validate_every=2", "train.checkpoint_every=5"]


@pytest.fixture
def peaked():
    return Plugins([FILE])


def lines(run, key):
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in found if key in line}


def validation(run):
    return json.loads((run / "validation.json").read_text(encoding="utf-8"))


def steps_of(run):
    return [checkpoints.step_of(path) for path in checkpoints.list_checkpoints(run / "checkpoints")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run to its end, past its best step."""
    run = tmp_path_factory.mktemp("whole") / "run"
    i2i.train("peaked", plugins=Plugins([FILE]), out=run, sets=[*SETS, *EVERY], steps=13)
    return run


def test_the_best_step_is_kept_and_named(whole):
    assert find_checkpoint(RunFolder(whole), "best").name == f"step-{PEAK:07d}"
    assert steps_of(whole) == [PEAK, 12, 13]
    found = validation(whole)
    assert found["step"] == 13
    assert found["best"] == {
        "metric": "peak-6",
        "higher_is_better": True,
        "step": PEAK,
        "value": pytest.approx(0, abs=1e-4),
    }
    assert found["stopped_early"] is None


def test_validations_have_steps_of_their_own_each_with_a_checkpoint(whole):
    assert sorted(lines(whole, "val/peak-6")) == [0, 2, 4, 6, 8, 10, 12, 13]
    assert set(lines(whole, "val_error/peak-6").values()) == {0.25}


def test_models_carry_the_validation_of_their_checkpoint(whole, peaked, tmp_path):
    found = i2i.load(whole / "model.onnx").info.validation
    assert found == {key: validation(whole)[key] for key in ("step", "figures")}
    assert found["figures"]["peak-6"]["error"] == 0.25
    assert found["figures"]["peak-6"]["protocol"] == {"fake_images": 2}
    i2i.train("peaked", plugins=peaked, out=tmp_path / "run", sets=[*SETS, "train.val_images=1"], steps=1)
    found = i2i.load(tmp_path / "run/model.onnx").info.validation
    assert found["figures"]["peaked.steps"]["value"] == 1


def test_the_terminal_has_error_bars_and_numbers_of_images(peaked, tmp_path, capfd):
    train_only("peaked", plugins=peaked, out=tmp_path / "run", sets=SETS, steps=2)
    assert "validation at step 2: peak-6 -4 ± 0.25 (2 images), peaked.score 2, peaked.steps 2" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "best"),
    [
        (["train.best_metric=peaked.score"], 9),
        (["train.best_metric=peaked.steps", "train.best_direction=lower"], 3),
        (["train.metrics=[{name: peak, step: 6}, {name: peak, step: 3, least: true}]", "train.best_metric=peak-3"], 3),
        (["train.best_metric=peak"], 6),
        (["train.best_direction=lower"], 9),
    ],
    ids=["recipe", "direction", "second", "plain name", "first metric turned round"],
)
def test_any_figure_can_decide(peaked, tmp_path, options, best):
    sets = [*SETS, "train.checkpoint_every=3", *options]
    train_only("peaked", plugins=peaked, out=tmp_path / "run", sets=sets, steps=9)
    assert validation(tmp_path / "run")["best"]["step"] == best
    assert find_checkpoint(RunFolder(tmp_path / "run"), "best").name == f"step-{best:07d}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["train.best_metric=fid"], r"best_metric=fid: no such figure .*: peak-6, peaked.score, peaked.steps$"),
        (["train.best_metric=peaked.steps"], r"peaked.steps: say train.best_direction=higher or lower"),
        (
            ["train.metrics=[peak, {name: peak, step: 2}]", "train.best_metric=peak"],
            r"best_metric=peak: several figures may be meant: peak-6, peak-2",
        ),
        (
            ["train.metrics=[{name: fid, features: {name: onnx, path: gone.onnx}}]", "train.best_metric=fid"],
            r"best_metric=fid: .*gone.onnx",
        ),
        (["train.metrics={name: coverage, features: random}", "train.best_metric=coverage"], "needs at least 6 real"),
    ],
    ids=["unknown", "direction", "ambiguous", "missing", "too few images"],
)
def test_a_figure_that_cannot_decide_is_refused_before_anything_is_written(peaked, tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        train_only("peaked", plugins=peaked, out=tmp_path / "run", sets=[*SETS, *options], steps=4)
    assert not (tmp_path / "run").exists()


def test_scores_of_another_figure_are_not_compared(peaked, tmp_path):
    sets = [*SETS, "train.checkpoint_every=3", "train.keep_last=9"]
    train_only("peaked", plugins=peaked, out=tmp_path / "run", sets=sets, steps=9)
    other = [*sets, "train.best_metric=peaked.score"]
    train_only("peaked", plugins=peaked, out=tmp_path / "run", sets=other, steps=12, resume=True)
    assert checkpoints.best(tmp_path / "run/checkpoints").name == "step-0000012"
    assert validation(tmp_path / "run")["best"]["metric"] == "peaked.score"


PATIENT = [*SETS, *EVERY, "train.patience=2"]


def test_a_run_that_no_longer_improves_ends_and_exports_its_best(cli, tmp_path):
    words = [f"--set={line}" for line in PATIENT]
    done = cli("-p", FILE, "train", "peaked", "--out", tmp_path / "run", "--steps", 40, *words)
    assert done.returncode == 0, done.stderr
    why = "peak-6 has not become better in 2 validations since step 6"
    assert f"ended at step 10: {why}" in done.stderr
    assert "exporting the best checkpoint, of step 6" in done.stderr
    assert why in validation(tmp_path / "run")["stopped_early"]
    assert json.loads((tmp_path / "run/summary.json").read_text())["ended early"].startswith(why)
    assert i2i.load(tmp_path / "run/model.onnx").info.validation["step"] == PEAK
    again = cli("-p", FILE, "train", "--resume", "--out", tmp_path / "run")
    assert again.returncode == 0, again.stderr
    assert "the run ended early at step 10" in again.stderr
    assert "resume it with a larger train.patience than 2" in again.stderr
    assert sorted(lines(tmp_path / "run", "val/peak-6")) == [0, 2, 4, 6, 8, 10]
    further = cli("-p", FILE, "train", "--resume", "--out", tmp_path / "run", "--set=train.patience=4")
    assert "ended at step 14" in further.stderr


def test_a_run_that_does_all_its_steps_has_not_ended_early(peaked, tmp_path):
    train_only("peaked", plugins=peaked, out=tmp_path / "run", sets=PATIENT, steps=10)
    assert validation(tmp_path / "run")["step"] == 10
    assert validation(tmp_path / "run")["stopped_early"] is None
    assert i2i.train(resume=True, plugins=peaked, out=tmp_path / "run").early == ""


def test_a_run_whose_deciding_metric_is_no_longer_there_says_so_and_goes_on(peaked, tmp_path, capfd):
    file = tmp_path / "network"
    file.touch()
    sets = [*PATIENT, f"train.metrics=[{{name: peak, step: 3, file: '{file}'}}, peak]"]
    train_only("peaked", plugins=peaked, out=tmp_path / "run", sets=sets, steps=4)
    file.unlink()
    train_only("peaked", plugins=peaked, out=tmp_path / "run", resume=True, steps=13)
    assert f"note: not measured: peak: needs {file}" in capfd.readouterr().err
    found = validation(tmp_path / "run")
    assert (found["step"], found["best"]["metric"], found["best"]["step"]) == (13, "peak-3", 4)


def test_kill_9_and_resume_find_the_same_best_and_end_at_the_same_step(peaked, tmp_path):
    train_only("peaked", plugins=peaked, out=tmp_path / "undisturbed", sets=PATIENT, steps=40)
    run = tmp_path / "run"
    words = [f"--set={line}" for line in [*PATIENT, "peaked.seconds=0.05"]]
    for reached in (4, 8):  # before the best step, and after it
        arguments = ["-p", FILE, "train", "peaked", "--out", run, "--steps", 40, "--resume", *words]
        process = Command(*arguments)
        while not any(step >= reached for step in steps_of(run)):
            assert process.poll() is None, process.stderr
            time.sleep(0.01)
        process.kill()
        process.wait()
    train_only("peaked", plugins=peaked, out=run, resume=True)
    assert validation(run) == validation(tmp_path / "undisturbed")
    assert validation(run)["stopped_early"]
    assert lines(run, "val/peak-6") == lines(tmp_path / "undisturbed", "val/peak-6")
    assert steps_of(run) == steps_of(tmp_path / "undisturbed")


def test_all_processes_end_together(cli, tmp_path):
    words = [f"--set={line}" for line in [*PATIENT, "engine.devices=2"]]
    done = cli("-p", FILE, "train", "peaked", "--out", tmp_path / "run", "--steps", 40, *words)
    assert done.returncode == 0, done.stderr
    assert "processes 2" in done.stderr
    assert done.stderr.count("ended at step 10: peak-6 has not become better") == 1
    assert (tmp_path / "run/model.onnx").is_file()
