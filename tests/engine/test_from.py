"""`i2i train ... --from RUN`: a new run that begins with the weights of another one."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

import i2i
from helpers.recipes import TINY, small, train_only


@pytest.fixture(scope="module")
def parent(pairs_root, tmp_path_factory) -> Path:
    """A run whose checkpoints of steps 1 to 3 are kept."""
    out = tmp_path_factory.mktemp("parent") / "run"
    sets = [*TINY, "train.checkpoint_every=1", "train.ema=0.9", "train.optimizer.lr=0.01"]
    return train_only("pix2pix", data=pairs_root, out=out, sets=sets, steps=3).run


@pytest.fixture(scope="module")
def best(parent) -> Path:
    """The checkpoint with the least validation error."""
    errors = {line["step"]: line["val/l1"] for line in figures(parent) if "val/l1" in line and line["step"]}
    return parent / "checkpoints" / f"step-{min(errors, key=errors.get):07d}"


def figures(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(checkpoint: Path, name: str = "networks") -> dict:
    return load_file(checkpoint / f"{name}.safetensors")


def fine_tuned(start, root, out, *sets) -> Path:
    """The run after its first step, with a learning rate too small to change a weight."""
    sets = [*TINY, "train.optimizer.lr=1e-30", "train.max_hours=1e-9", *sets]
    return train_only("pix2pix", data=root, out=out, sets=sets, start_from=start, steps=2).run


def first(run: Path) -> Path:
    return run / "checkpoints" / "step-0000001"


def test_a_new_run_begins_with_the_best_weights_at_step_0(parent, best, pairs_root, tmp_path, capfd):
    run = fine_tuned(parent, pairs_root, tmp_path / "run", "train.ema=0.9")
    begun, before, averaged = weights(first(run)), weights(best), weights(first(run), "ema")
    trained = [key for key in begun if key.endswith("weight")]
    assert trained
    assert all(begun[key].equal(before[key]) for key in trained)
    new_average = [key for key in averaged if key.endswith("weight")]
    assert all(averaged[key].allclose(before[key.replace("/module.", "/")]) for key in new_average)
    assert f"starting with the weights of {best} (step " in capfd.readouterr().err
    lines = figures(run)
    assert [line["step"] for line in lines if "epoch" in line] == [1]
    measured = {line["step"]: line["val/l1"] for line in figures(parent) if "val/l1" in line}
    assert lines[0]["step"] == 0
    assert lines[0]["val/l1"] < measured[0]  # of the weights, not of new networks


def test_a_checkpoint_can_be_named_and_the_configuration_repeats_the_run(parent, pairs_root, tmp_path):
    start = parent / "checkpoints" / "step-0000001"
    run = fine_tuned(start, pairs_root, tmp_path / "run")
    assert any(tensor.equal(weights(start)[key]) for key, tensor in weights(first(run)).items() if "weight" in key)
    again = train_only(config=run / "config.yaml", out=tmp_path / "again").run
    files = [first(path) / "networks.safetensors" for path in (run, again)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_run_that_was_started_from_another_goes_on_by_itself(parent, best, pairs_root, tmp_path):
    run = fine_tuned(parent, pairs_root, tmp_path / "run")
    with pytest.raises(i2i.RunError, match=r"train\.start_from: run has .*, asked for elsewhere"):
        train_only("pix2pix", out=run, resume=True, start_from="elsewhere")
    trained = train_only("pix2pix", out=run, resume=True, start_from=parent)  # the same command again
    assert trained.step == 2
    assert json.loads((run / "summary.json").read_text())["started from"] == str(best)


def test_weights_that_do_not_fit_are_named_and_nothing_is_written(parent, pairs_root, tmp_path, cli):
    words = ["train", "pix2pix", "--data", pairs_root, "--out", tmp_path / "run", "--steps", 1, "--from", parent]
    sets = [word for line in [*TINY, "pix2pix.generator.filters=4"] for word in ("--set", line)]
    done = cli(*words, *sets)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if "error" in line]
    assert "generator." in line
    assert "in the checkpoint, " in line
    assert "; and " in line
    assert not (tmp_path / "run").exists()


def test_what_fits_is_taken_when_asked_for(parent, best, pairs_root, tmp_path, capfd):
    run = fine_tuned(parent, pairs_root, tmp_path / "run", "train.start_strict=false", "data.target_channels=1")
    error = capfd.readouterr().err
    assert "warning: not taken: generator." in error
    begun, before = weights(first(run)), weights(best)
    shared = [key for key in begun if begun[key].shape == before[key].shape and key.endswith("weight")]
    assert shared
    assert all(begun[key].equal(before[key]) for key in shared)
    assert any(begun[key].shape != before[key].shape for key in begun)


def test_another_recipe_or_a_damaged_checkpoint_or_no_run_is_refused(parent, pairs_root, tmp_path):
    with pytest.raises(i2i.RunError, match=r"does not fit: .*; AtoB: not in the checkpoint; .*; and 1 more"):
        train_only("cyclegan", out=tmp_path / "a", sets=small("cyclegan"), start_from=parent, steps=1)
    with pytest.raises(i2i.RunError, match="no weight of it fits"):
        sets = [*small("cyclegan"), "train.start_strict=false"]
        train_only("cyclegan", out=tmp_path / "a", sets=sets, start_from=parent, steps=1)
    with pytest.raises(i2i.RunError, match="no such run folder"):
        fine_tuned(tmp_path / "absent", pairs_root, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_dry_run_checks_the_weights_to_start_from(parent, pairs_root, capfd):
    i2i.train("pix2pix", data=pairs_root, sets=TINY, start_from=parent, dry_run=True)
    assert "starting with the weights of" in capfd.readouterr().err
