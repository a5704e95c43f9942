"""Validation takes a share of the run's time, and never its first minute."""

import json

from helpers.paths import HELPERS
from helpers.recipes import SHARED, train_only
from i2i.engine.validation import spent
from i2i.engine.validation.spent import FREE_S, Spent
from i2i.plugins import Plugins
from i2i.runs import checkpoint as checkpoints


def test_the_first_minute_is_free():
    assert Spent(run=FREE_S, validation=FREE_S - 1, last=FREE_S - 1).allows(0.01)


def test_a_validation_that_would_exceed_the_share_is_left_out_until_it_fits():
    account = Spent(run=900, validation=90, last=10)
    assert not account.allows(0.1)
    account.run = 990
    assert account.allows(0.1)


def test_the_account_is_kept():
    account = Spent(run=100)
    account.add(20)
    account.add(50)
    assert Spent.from_json(account.to_json()) == Spent(run=100, validation=70, last=50)


def test_checkpoints_are_not_validated_when_time_is_short_and_the_end_is(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(spent, "FREE_S", 0.0)
    sets = [*SHARED, "train.metrics=peak", "train.checkpoint_every=2", "train.validate_share=1e-9"]
    plugins = Plugins([HELPERS / "peaked.py"])
    train_only("peaked", plugins=plugins, out=tmp_path / "short", sets=sets, steps=7)
    said = capfd.readouterr().err
    assert said.count("the next ones are left out until they fit into train.validate_share=1e-09") == 1
    assert "set train.validate_every=2" in said
    assert validated(tmp_path / "short") == [0, 7]
    assert len(checkpoints.list_checkpoints(tmp_path / "short/checkpoints")) == 3  # train.keep_last
    for number, asked in enumerate(("train.validate_every=2", "train.patience=9")):
        run = tmp_path / str(number)
        train_only("peaked", plugins=plugins, out=run, sets=[*sets, asked], steps=7)
        assert validated(run) == [0, 2, 4, 6, 7]


def test_epochs_count_validations(tmp_path):
    sets = [*SHARED, "data.layout={name: facades, count: 6, val_count: 2}", "train.metrics=peak"]
    sets += ["train.batch_size=4", "train.validate_epochs=2"]  # of a step and a half
    train_only("peaked", plugins=Plugins([HELPERS / "peaked.py"]), out=tmp_path / "run", sets=sets, steps=7)
    assert validated(tmp_path / "run") == [0, 3, 6, 7]


def validated(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if "val/peak-6" in line]
