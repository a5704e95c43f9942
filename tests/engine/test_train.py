"""`i2i.train` as a whole: what a run folder holds, what repeats it, what stops it."""

import json
import shutil

import numpy as np
import pytest
import torch

import i2i
from helpers.recipes import TINY, train_only
from i2i.config import resolve
from i2i.errors import PluginError, TrainingError
from i2i.plugins import Plugins


@pytest.fixture(scope="module")
def tiny_run(pairs_root, tmp_path_factory):
    """A run of two steps; not to be changed."""
    out = tmp_path_factory.mktemp("tiny") / "run"
    return train_only("pix2pix", data=pairs_root, out=out, sets=TINY, steps=2).run


def test_dry_run_writes_nothing(pairs_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained = i2i.train("pix2pix", data=pairs_root, sets=TINY, dry_run=True)
    assert (trained.run, trained.step) == (None, 1)
    assert list(tmp_path.iterdir()) == []


def test_training_writes_the_whole_run_folder(pairs_root, tmp_path):
    trained = i2i.train("pix2pix", data=pairs_root, out=tmp_path / "run", sets=TINY, steps=4)
    names = {path.name for path in trained.run.iterdir() if not path.name.startswith(".")}
    assert names >= {
        "config.yaml",
        "checkpoints",
        "samples",
        "examples",
        "metrics.jsonl",
        "tensorboard",
        "model.onnx",
        "report.html",
    }
    lines = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    losses = [line for line in lines if "loss/generator/l1" in line]
    assert [line["step"] for line in losses] == [1, 2, 3, 4]
    assert [line["step"] for line in lines if "val/l1" in line] == [0, 4]
    assert all(np.isfinite(v) for line in lines for v in line.values())
    assert sorted(path.name for path in (trained.run / "samples").iterdir()) == ["step-0000000.png", "step-0000004.png"]


def test_saved_configuration_repeats_the_run(pairs_root, tmp_path):
    first = train_only("pix2pix", data=pairs_root, out=tmp_path / "a", sets=TINY, steps=3)
    again = train_only(config=first.run / "config.yaml", out=tmp_path / "b")
    files = [next((run / "checkpoints").glob("*")) / "networks.safetensors" for run in (first.run, again.run)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_parameters_are_those_of_the_command_line(pairs_root, tmp_path):
    sets = dict(line.split("=", 1) for line in TINY if "{" not in line)
    sets |= {"pix2pix.discriminator": {"name": "patch", "filters": 8, "layers": 2}, "engine.threads": 1}
    options = {"data": pairs_root, "epochs": 0.2, "device": "cpu", "precision": "fp64", "seed": 3, "max_hours": 1}
    trained = train_only("pix2pix", out=tmp_path / "run", sets=sets, **options)
    config = resolve(Plugins(), config=trained.run / "config.yaml")
    assert trained.step == 2  # a fifth of ten samples
    assert (config.seed, config.engine.device, config.engine.precision) == (3, "cpu", "fp64")
    assert (config.train.epochs, config.train.steps, config.train.max_hours) == (0.2, None, 1)
    assert config.data.root == str(pairs_root)


def test_unknown_and_contradictory_parameters_are_refused(pairs_root):
    with pytest.raises(TypeError, match="train_steps"):
        i2i.train("pix2pix", data=pairs_root, train_steps=1)
    with pytest.raises(i2i.ConfigError, match="steps and epochs exclude each other"):
        i2i.train("pix2pix", data=pairs_root, steps=1, epochs=1)


def contents(run):
    """Every file of a run with what is in it, its lock aside."""
    return {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file() and not p.name.startswith(".")}


@pytest.mark.parametrize(
    ("sets", "named"),
    [
        (["pix2pix.generator.filters=4"], ["pix2pix.generator.filters: run has 8, asked for 4"]),
        (["pix2pix.generator=resnet"], ["pix2pix.generator: run has unet, asked for resnet"]),
        (["train.optimizer.name=sgd"], ["train.optimizer: run has adam, asked for sgd"]),
        (
            ["data.size=36", "seed=1", "batch_size=2", "pix2pix.adversary.loss=hinge"],
            [
                "seed: run has 0, asked for 1",
                "data.size: run has 32, asked for 36",
                "train.batch_size: run has 1, asked for 2",
                "pix2pix.adversary.loss: run has vanilla, asked for hinge",
            ],
        ),
    ],
)
def test_a_resume_with_settings_of_another_training_names_them_and_leaves_the_run(tiny_run, sets, named):
    before = contents(tiny_run)
    with pytest.raises(i2i.RunError) as caught:
        train_only(out=tiny_run, resume=True, sets=sets, steps=3)
    for line in [*named, "leave them out, or start a new run from its weights with --from"]:
        assert line in str(caught.value)
    assert contents(tiny_run) == before


def test_a_resume_may_change_rates_weights_and_intervals_and_says_so(tiny_run, tmp_path, capfd):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    sets = ["pix2pix.l1=50", "train.optimizer.lr=1e-3", "train.optimizer.weight_decay=0.5", "train.log_every=2"]
    assert train_only(out=run, resume=True, sets=sets, steps=4).step == 4
    line = next(line for line in capfd.readouterr().err.splitlines() if line.startswith("going on with"))
    for change in ("train.steps=4 (was 2)", "pix2pix.l1=50.0 (was 100.0)", "train.optimizer.lr=0.001 (was 0.0002)"):
        assert change in line
    last = torch.load(run / "checkpoints" / "step-0000004" / "training.pt", weights_only=True)
    assert last["optimizers"]["generator"]["param_groups"][0]["weight_decay"] == 0.5


def test_a_batch_may_be_cut_into_accumulated_parts(pairs_root, tmp_path):
    sets = [*TINY, "batch_size=4"]
    run = train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=sets, steps=1).run
    assert train_only(out=run, resume=True, sets=["batch_size=2", "accumulate=2"], steps=2).step == 2
    with pytest.raises(i2i.RunError, match=r"accumulate: run has 2, asked for 1"):
        train_only(out=run, resume=True, sets=["accumulate=1"], steps=3)


def test_a_resume_to_an_earlier_step_is_refused(tiny_run):
    with pytest.raises(i2i.RunError, match="has done 2 steps already"):
        train_only(out=tiny_run, resume=True, steps=1)


def test_other_data_that_changes_the_networks_does_not_resume(tiny_run, folders_root, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = contents(run)
    with pytest.raises(i2i.RunError, match=r"does not fit the configuration: generator\..* in the checkpoint, .* here"):
        train_only(out=run, resume=True, data=folders_root, steps=3)  # grey sources
    assert contents(run) == before


def test_a_budget_of_hours_saves_and_leaves_with_0_and_resumes(pairs_root, tmp_path, cli):
    sets = [word for line in TINY for word in ("--set", line)]
    words = ["train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "run", "--steps", 3, *sets]
    done = cli(*words, "--max-hours", 1e-9)
    assert done.returncode == 0, done.stderr
    assert "stopped at step 1, checkpoint saved; go on with: " in done.stderr
    assert not (tmp_path / "run" / "model.onnx").exists()
    trained = i2i.train(out=tmp_path / "run", resume=True)  # the budget holds for it too
    assert (trained.step, trained.late, list(trained.exported)) == (2, True, [])


def test_a_run_inside_its_data_is_refused(folders_root):
    with pytest.raises(i2i.RunError, match="inside the data folder"):
        train_only("pix2pix", data=folders_root, out=folders_root / "run", sets=TINY, steps=1)
    assert not (folders_root / "run").exists()


def test_a_component_that_cannot_be_built_is_named(tmp_path, pairs_root):
    (tmp_path / "leaver.py").write_text(
        "import sys\nimport i2i\n\n\n@i2i.hookimpl\ndef i2i_generators():\n"
        "    return [i2i.Component('leaver', lambda config, **shape: sys.exit(0))]\n"
    )
    plugins = Plugins([str(tmp_path / "leaver.py")])
    with pytest.raises(PluginError, match=r"generator 'leaver' of plugin leaver \(.*\) cannot be built: SystemExit: 0"):
        i2i.train("pix2pix", data=pairs_root, sets=[*TINY, "pix2pix.generator=leaver"], dry_run=True, plugins=plugins)


def test_nothing_is_left_of_a_run_that_could_not_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(i2i.DataError):
        train_only("pix2pix", data=tmp_path / "absent", sets=TINY)
    assert list(tmp_path.glob("runs/*")) == []


def test_best_and_last_checkpoints_are_kept(pairs_root, tmp_path):
    sets = [*TINY, "train.checkpoint_every=1", "train.keep_last=2", "train.optimizer.lr=0.01"]
    trained = train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=sets, steps=8)
    lines = [json.loads(line) for line in (trained.run / "metrics.jsonl").read_text().splitlines()]
    errors = {line["step"]: line["val/l1"] for line in lines if "val/l1" in line and line["step"] > 0}
    best = min(errors, key=errors.get)
    kept = {int(path.name.removeprefix("step-")) for path in (trained.run / "checkpoints").iterdir()}
    assert kept == {best, 7, 8}
    [exported] = i2i.export(trained.run, out=tmp_path / "best.onnx", checkpoint="best")
    assert exported.step == best


def test_loss_that_is_not_finite_stops_the_run_and_is_not_saved(pairs_root, tmp_path):
    sets = [*TINY, "train.phases.generator.lr=1e30", "train.log_every=100"]
    with pytest.raises(TrainingError, match=r"loss/.* is nan at step \d+; nothing of it was saved"):
        train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=sets, steps=6)
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_a_corrupt_image_is_named_and_training_goes_on(pairs_root, tmp_path, capfd):
    for path in pairs_root.rglob("*.png"):
        copy = tmp_path / "data" / path.relative_to(pairs_root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "data" / "train" / "05.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    trained = train_only("pix2pix", data=tmp_path / "data", out=tmp_path / "run", sets=TINY, steps=2)
    assert trained.step == 2
    assert "warning: left out" in (err := capfd.readouterr().err)
    assert "05.png" in err


def test_the_run_is_named_at_the_beginning_and_so_is_a_resume_of_nothing(pairs_root, tmp_path, capsys):
    options = {"data": pairs_root, "out": tmp_path / "run", "sets": TINY}
    train_only("pix2pix", resume=True, steps=1, **options)
    said = capsys.readouterr().err
    assert "note: there is nothing to resume: a new run begins" in said
    assert f"training to step 1 in {tmp_path / 'run'}" in said
    train_only(out=tmp_path / "run", resume=True, steps=2)
    said = capsys.readouterr().err
    assert "nothing to resume" not in said
    assert f"training from step 1 to step 2 in {tmp_path / 'run'}" in said
