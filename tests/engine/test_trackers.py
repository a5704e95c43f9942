"""Where figures go besides metrics.jsonl: what each tracker holds after a training, and that none can end one."""

import csv
import json
import shutil

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import i2i
from helpers import odd_trackers
from helpers.recipes import TINY, train_only
from i2i.engine.health.finite import DivergedError
from i2i.engine.output import trackers as engine_trackers
from i2i.engine.state import Training
from i2i.errors import ConfigError, PluginError
from i2i.extras import EXTRAS
from i2i.images import read_image
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

ODD = Plugins(["helpers.odd_trackers"])
LOSS = "loss/generator/l1"


def of_events(run):
    events = EventAccumulator(str(run / "tensorboard"), {"scalars": 0}).Reload()
    return [(e.step, name, e.value) for name in events.Tags()["scalars"] for e in events.Scalars(name)]


def of_csv(run):
    header, *rows = csv.reader((run / "figures.csv").read_text().splitlines())
    assert header == ["step", "name", "value"]
    return [(int(step), name, float(value)) for step, name, value in rows]


def of_lines(lines):
    entries = map(json.loads, lines.read_text().splitlines())
    return [(e["step"], key, e[key]) for e in entries for key in e if key not in ("run", "recipe", "step", "warning")]


READERS = {
    "tensorboard": of_events,
    "csv": of_csv,
    "jsonl": lambda run: of_lines(run.parent / "figures.jsonl"),
}
"""Figures by tracker, as triples of step, name and value; of every built-in one that needs no package of an extra."""


def test_every_tracker_that_needs_no_package_is_read_here():
    assert set(READERS) == set(Plugins().table("tracker")) - set(EXTRAS)


def sets(*trackers):
    return [*TINY, "train.checkpoint_every=2", f"train.trackers=[{','.join(trackers)}]"]


@pytest.fixture(scope="module")
def tracked(pairs_root, tmp_path_factory):
    """Four steps with every such tracker; not to be changed."""
    out = tmp_path_factory.mktemp("tracked") / "run"
    return train_only("pix2pix", data=pairs_root, out=out, sets=sets(*READERS), steps=4).run


@pytest.mark.parametrize("tracker", READERS)
def test_each_has_all_figures(tracked, tracker):
    expected = of_lines(tracked / "metrics.jsonl")
    assert len(expected) > 30
    single = {(step, name): np.float32(value) for step, name, value in expected}  # as TensorBoard keeps them
    assert {(step, name): np.float32(value) for step, name, value in READERS[tracker](tracked)} == single


def test_tensorboard_shows_the_sample_grids(tracked):
    events = EventAccumulator(str(tracked / "tensorboard")).Reload()
    first, last = events.Images("samples")
    assert (first.step, last.step) == (0, 4)
    grid = np.asarray(read_image(tracked / "samples" / "step-0000004.png").pixels)
    assert (last.height, last.width) == grid.shape[:2]


@pytest.fixture(scope="module")
def resumed(tracked, tmp_path_factory):
    """That run after it was killed between two checkpoints, in the middle of a line, and went on to step 5."""
    folder = shutil.copytree(tracked.parent, tmp_path_factory.mktemp("resumed") / "runs")
    run = folder / "run"
    shutil.rmtree(run / "checkpoints" / "step-0000004")
    lines = (folder / "figures.jsonl").read_text().replace(str(tracked), str(run))
    (folder / "figures.jsonl").write_text(lines + '{"run": "another", "step": 9, "x": 1}\n{"run": "')
    with (run / "figures.csv").open("a") as file:
        file.write("4,loss/gen")
    return train_only(out=run, resume=True, steps=5).run


@pytest.mark.parametrize("tracker", READERS)
def test_a_resume_drops_what_a_killed_process_had_written_of_later_steps(resumed, tracker):
    found = [one for one in READERS[tracker](resumed) if one[1] in (LOSS, "val/l1")]
    assert [step for step, name, _ in found if name == LOSS] == [1, 2, 3, 4, 5]
    assert [step for step, name, _ in found if name == "val/l1"] == [0, 2, 4, 5]


def test_a_file_of_several_runs_keeps_the_lines_of_others(tmp_path):
    """Also those that no tracker has written, to the byte."""
    file, others = tmp_path / "all.jsonl", b'not JSON\r\n{"run": "other", "step": 7}\n[1]\n"\xe2\x80\xa8"\n'
    file.write_bytes(others)
    choice = i2i.TrackerChoice("jsonl", path=str(file))

    def opened(name, step=0):
        (tmp_path / name).mkdir(exist_ok=True)
        return Builder(Plugins(), (0, 0)).tracker(choice, i2i.TrackedRun(tmp_path / name, "pix2pix", {}, step))

    one, other = opened("one"), opened("other")
    for step in (1, 2, 3):
        one.log(step, {"a": step})
        other.log(step, {"b": step})
    opened("one", 1).log(2, {"a": 20})
    assert file.read_bytes().startswith(others)
    own = [json.loads(line) for line in file.read_bytes()[len(others) :].splitlines()]
    assert [entry["a"] for entry in own if "a" in entry] == [1, 20]
    assert [entry["b"] for entry in own if "b" in entry] == [1, 2, 3]


@pytest.mark.parametrize("fault", ["build", "log", "images", "text", "finish", "exit", "value", "not logged in"])
def test_a_tracker_that_fails_is_left_out_with_one_warning(fault, pairs_root, tmp_path, monkeypatch, capfd):
    """A line on stderr, in metrics.jsonl, and for the other trackers; all steps are done."""
    if fault == "text":
        monkeypatch.setattr("i2i.engine.health.Health.warnings", lambda self, step: [f"step {step}: is odd"])
    chosen = sets("csv", f"{{name: failing, fault: {fault}}}", "jsonl")
    trained = train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=chosen, steps=3, plugins=ODD)
    warning = r"warning: tracker 'failing' of plugin helpers.odd_trackers (helpers.odd_trackers) is left out: "
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith(warning)]
    reasons = {"exit": "SystemExit: 3", "value": "ValueError: two lines"}
    reasons |= {"not logged in": "nobody is logged in: run `odd login`"}
    assert line.removeprefix(warning).startswith(reasons.get(fault, f"RuntimeError: no {fault} today"))
    for file in (trained.run / "metrics.jsonl", tmp_path / "figures.jsonl"):
        warnings = [json.loads(text).get("warning", "") for text in file.read_text().splitlines()]
        assert line.removeprefix("warning: ") in warnings
    assert trained.step == 3
    assert [step for step, name, _ in of_csv(trained.run) if name == LOSS] == [1, 2, 3]
    assert not (trained.run / "tensorboard").exists()


def test_the_end_of_a_training_does_not_wait_for_ever(pairs_root, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(engine_trackers, "MAX_SECONDS", 0.05)
    chosen = sets("{name: failing, fault: hanging}")
    assert train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=chosen, steps=1, plugins=ODD).step == 1
    assert "is left out: TimeoutError: finish takes more than 0.05 s" in capfd.readouterr().err


def test_an_interruption_is_not_a_failure_of_the_tracker_it_comes_in(pairs_root, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        chosen = sets("{name: failing, fault: interrupt}")
        train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=chosen, steps=1, plugins=ODD)


@pytest.mark.parametrize(
    ("tracker", "error", "words"),
    [
        ("tensorbord", PluginError, r"unknown tracker 'tensorbord' \(did you mean 'tensorboard'\?\)"),
        ("{name: jsonl, pat: x}", ConfigError, r"unknown key train.trackers.pat; did you mean train.trackers.path\?"),
        ("csv,csv", ConfigError, "each tracker can be there once only"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_names_and_options_are_checked_before_anything_else(tracker, error, words, dry_run, pairs_root, tmp_path):
    with pytest.raises(error, match=words):
        i2i.train("pix2pix", data=pairs_root, out=tmp_path / "run", sets=sets(tracker), dry_run=dry_run)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def told():
    """What the tracker that remembers is told from now on."""
    odd_trackers.TOLD.clear()
    return odd_trackers.TOLD


def test_a_dry_run_builds_none(pairs_root, told):
    i2i.train("pix2pix", data=pairs_root, sets=sets("remembering"), plugins=ODD, dry_run=True)
    assert told == []


def test_a_tracker_is_told_the_run_its_figures_and_how_it_ended(pairs_root, tmp_path, told):
    out = tmp_path / "pix2pix-007"
    for resume in (False, True):
        options = {"sets": sets("remembering"), "steps": 2 + resume, "resume": resume, "plugins": ODD}
        train_only("pix2pix", data=pairs_root, out=out, **options)
    runs = [one[1] for one in told if one[0] == "build"]
    assert [(run.folder, run.name, run.recipe, run.step) for run in runs] == [
        (out, "pix2pix-007", "pix2pix", 0),
        (out, "pix2pix-007", "pix2pix", 2),
    ]
    assert runs[0].config["data"]["root"] == str(pairs_root)
    assert runs[0].config["pix2pix"]["generator"]["name"] == "unet"
    assert [one for one in told if one[0] == "finish"] == [("finish", True), ("finish", True)]
    pictures = [one for one in told if one[0] == "images"]
    assert {name for _, _, name, _ in pictures} == {"samples"}
    assert all(picture.dtype == np.uint8 and picture.shape[2:] == (3,) for *_, picture in pictures)


def test_trackers_are_built_anew_when_a_training_goes_back(pairs_root, tmp_path, monkeypatch, told):
    step, failed = Training.train_step, []

    def diverging(self, *arguments, **options):
        if self.step == 3 and not failed:
            failed.append(self.step)
            raise DivergedError(3, "a loss is nan")
        return step(self, *arguments, **options)

    monkeypatch.setattr(Training, "train_step", diverging)
    chosen = sets("remembering", "csv")
    run = train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=chosen, steps=4, plugins=ODD).run
    ended = [(one[0], one[1].step if one[0] == "build" else one[1]) for one in told if one[0] in ("build", "finish")]
    assert ended == [("build", 0), ("finish", False), ("build", 2), ("finish", True)]
    assert [step for step, name, _ in of_csv(run) if name == LOSS] == [1, 2, 3, 4]


def test_a_run_that_fails_ends_its_trackers_as_not_done(pairs_root, tmp_path, monkeypatch, told):
    step = Training.train_step

    def failing(self, *arguments, **options):
        if self.step == 2:
            raise PluginError("the network is gone")
        return step(self, *arguments, **options)

    monkeypatch.setattr(Training, "train_step", failing)
    with pytest.raises(i2i.TrainingError, match="the network is gone"):
        chosen = sets("remembering")
        train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=chosen, steps=4, plugins=ODD)
    assert told[-1] == ("finish", False)


def test_a_resumed_run_may_have_other_trackers(tracked, tmp_path, capfd):
    run = shutil.copytree(tracked, tmp_path / "run")
    (run / "figures.csv").unlink()
    train_only(out=run, resume=True, sets=["train.trackers=csv"], steps=5)
    assert "train.trackers=['csv'] (was ['tensorboard', 'csv', {" in capfd.readouterr().err
    assert {step for step, *_ in of_csv(run)} == {5}
