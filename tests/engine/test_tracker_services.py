"""Trackers of packages that are extras: by the real package where it is installed, and what is said where not."""

import importlib
import json
import sys

import pytest

from helpers.recipes import TINY, train_only

SERVICES = ("mlflow", "trackio", "wandb")
LOSS = "loss/generator/l1"


def train_twice(root, out, tracker):
    """Two steps, and one more after a resume; the loss by step, from metrics.jsonl."""
    sets = [*TINY, "train.checkpoint_every=2", f"train.trackers=[{tracker}]"]
    train_only("pix2pix", data=root, out=out, sets=sets, steps=2)
    train_only(out=out, resume=True, steps=3)
    entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert not [entry for entry in entries if "warning" in entry]
    return {entry["step"]: entry[LOSS] for entry in entries if LOSS in entry}


@pytest.mark.filterwarnings("default")  # of the package itself
def test_mlflow_has_one_run_with_figures_pictures_and_configuration(pairs_root, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # where its files go
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    losses = train_twice(pairs_root, tmp_path / "run", f"{{name: mlflow, uri: '{uri}', experiment: tests}}")
    client = mlflow.MlflowClient(uri)
    [run] = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    found = client.get_metric_history(run.info.run_id, LOSS)
    assert {metric.step: metric.value for metric in found} == pytest.approx(losses)
    assert (run.info.run_name, run.info.status, run.data.params["train.steps"]) == ("run", "FINISHED", "2")
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"config.yaml", "images"}


@pytest.mark.filterwarnings("default")
def test_trackio_has_one_run_with_figures_and_pictures(pairs_root, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    losses = train_twice(pairs_root, tmp_path / "run", "{name: trackio, project: tests}")
    [name] = storage.get_runs("tests")
    assert name == (tmp_path / "run" / "trackio.id").read_text().strip()
    logs = storage.get_logs("tests", name)
    assert {entry["step"]: entry[LOSS] for entry in logs if LOSS in entry} == pytest.approx(losses)
    assert [entry["step"] for entry in logs if "samples" in entry] == [0, 2, 3]


@pytest.mark.filterwarnings("default")
def test_wandb_keeps_its_number_offline_and_has_figures_and_pictures(pairs_root, tmp_path):
    pytest.importorskip("wandb")
    losses = train_twice(pairs_root, tmp_path / "run", "{name: wandb, mode: offline}")
    number = (tmp_path / "run" / "wandb.id").read_text().strip()
    files = list((tmp_path / "run" / "wandb").glob(f"offline-run-*-{number}/run-{number}.wandb"))
    written = b"".join(file.read_bytes() for file in files)
    assert len(files) == 2
    assert all(json.dumps(loss).encode() in written for loss in losses.values())
    assert len(list((tmp_path / "run").glob("wandb/*/files/media/images/samples_*.png"))) >= 2


def test_a_package_that_is_not_installed_is_one_warning_that_says_how_to_install_it(
    pairs_root, tmp_path, monkeypatch, capfd
):
    for name in SERVICES:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"i2i_trackers.{name}", raising=False)
    sets = [*TINY, f"train.trackers=[{','.join(SERVICES)}]"]
    assert train_only("pix2pix", data=pairs_root, out=tmp_path / "run", sets=sets, steps=1).step == 1
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: tracker")]
    assert len(warnings) == len(SERVICES)
    for name, line in zip(SERVICES, warnings, strict=True):
        assert line.startswith(f"warning: tracker '{name}' of plugin trackers (i2i-toolkit ")
        assert line.endswith(f'({name} is not installed): pip install "i2i-toolkit[{name}]"')
