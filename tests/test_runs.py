"""Run folders and checkpoints on disk."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from i2i.errors import RunError, TrainingError
from i2i.runs import checkpoint as checkpoints
from i2i.runs.checkpoint import Checkpoint
from i2i.runs.folder import RunFolder, latest_run, new_run


def made(step=1, **state) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    weight = torch.randn(50, 40, generator=generator)
    return Checkpoint(
        step,
        {"net": {"weight": weight, "tied": weight, "count": torch.tensor(3)}},
        {"net": {"module.weight": weight.to(memory_format=torch.contiguous_format) + 1}},
        {
            "optimizers": {
                "net": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
            }
        },
        state,
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = checkpoints.save(tmp_path, made(7, metrics={"l1": 0.5}))
    back = checkpoints.load(path)
    assert (path.name, back.step, back.state["metrics"]) == ("step-0000007", 7, {"l1": 0.5})
    for name in ("weight", "tied", "count"):
        assert torch.equal(back.networks["net"][name], made(7).networks["net"][name])
    assert torch.equal(back.ema["net"]["module.weight"], made(7).ema["net"]["module.weight"])
    assert back.training["optimizers"]["net"]["param_groups"][0]["lr"] == 0.1


def test_every_flipped_byte_is_found_and_the_checkpoint_before_is_used(tmp_path):
    checkpoints.save(tmp_path, made(1))
    newest = checkpoints.save(tmp_path, made(2))
    for name in ("networks.safetensors", "ema.safetensors", "training.pt"):
        content = (newest / name).read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            broken = bytearray(content)
            broken[place] ^= 1
            (newest / name).write_bytes(broken)
            found, damaged = checkpoints.load_newest(tmp_path)
            assert found.step == 1
            assert "step-0000002" in damaged[0]
        (newest / name).write_bytes(content)
    assert checkpoints.load_newest(tmp_path)[0].step == 2


@pytest.mark.parametrize("name", ["state.json", "networks.safetensors", "training.pt"])
def test_a_missing_file_is_a_damaged_checkpoint(tmp_path, name):
    path = checkpoints.save(tmp_path, made())
    (path / name).unlink()
    with pytest.raises(RunError, match="not a whole checkpoint"):
        checkpoints.load(path)


def test_loading_runs_no_code(tmp_path):
    path = checkpoints.save(tmp_path, made())
    torch.save({"optimizers": {}, "evil": subprocess.Popen}, path / "training.pt")
    state = json.loads((path / "state.json").read_text())
    state["files"]["training.pt"] = checkpoints._digest(path / "training.pt")
    (path / "state.json").write_text(json.dumps(state))
    with pytest.raises(RunError):
        checkpoints.load(path)


def test_pruning_keeps_the_last_and_the_best(tmp_path):
    for step, score in enumerate([0.1, 0.9, 0.3, 0.2, 0.4]):
        checkpoints.save(tmp_path, made(step, score=score))
    checkpoints.prune(tmp_path, keep_last=2)
    assert [path.name[-1] for path in checkpoints.list_checkpoints(tmp_path)] == ["1", "3", "4"]
    assert checkpoints.best(tmp_path).name == "step-0000001"
    assert {path.name for path in tmp_path.iterdir()} == {f"step-000000{n}" for n in (1, 3, 4)}


def test_steps_beyond_seven_digits_keep_their_order(tmp_path):
    for step in (9_999_999, 10_000_000):
        checkpoints.save(tmp_path, made(step))
    assert checkpoints.load_newest(tmp_path)[0].step == 10_000_000


def test_damaged_checkpoints_are_set_aside_and_never_pruned_for(tmp_path):
    for step in (200, 300):
        checkpoints.save(tmp_path, made(step))
    (tmp_path / "step-0000300" / "training.pt").write_bytes(b"")
    found, _ = checkpoints.load_newest(tmp_path)
    checkpoints.set_aside_after(tmp_path, found.step)
    checkpoints.save(tmp_path, made(250))
    checkpoints.prune(tmp_path, keep_last=1)
    assert checkpoints.load_newest(tmp_path)[0].step == 250


def test_left_over_temporaries_are_cleared(tmp_path):
    (tmp_path / ".step-0000009.123.tmp").mkdir(parents=True)
    (tmp_path / ".step-0000009.123.tmp" / "half").write_text("x")
    checkpoints.save(tmp_path, made())
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000001"]


def test_a_full_disk_is_told_with_the_bytes_and_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    checkpoints.save(tmp_path, made(1))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(TrainingError) as error:
        checkpoints.save(tmp_path, made(2))
    assert "step-0000002" in str(error.value)
    assert "No space left on device; it needs 24," in str(error.value)
    assert "are free" in str(error.value)
    assert error.value.exit_code == 1
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000001"]
    assert checkpoints.load_newest(tmp_path)[0].step == 1


def test_runs_are_numbered(tmp_path):
    assert new_run("pix2pix", None, root=tmp_path).path.name == "pix2pix-001"
    (tmp_path / "pix2pix-041").mkdir()
    (tmp_path / "pix2pix-wgan-099").mkdir()
    run = new_run("pix2pix", None, root=tmp_path)
    assert run.path.name == "pix2pix-042"
    run.write(run.config, "recipe: pix2pix\n")
    assert latest_run("pix2pix", root=tmp_path) == run
    assert latest_run(None, root=tmp_path) == run
    assert latest_run("other", root=tmp_path) is None


def test_a_folder_that_holds_something_is_not_taken(tmp_path):
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(RunError, match="not empty; add --resume"):
        new_run("pix2pix", tmp_path)


def test_a_run_belongs_to_one_training_at_a_time(tmp_path):
    holder = "import sys, time; from pathlib import Path; from i2i.runs.folder import RunFolder\n"
    holder += f"lock = RunFolder(Path({str(tmp_path)!r})).lock(); print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"in use by process {process.pid} on "):
            RunFolder(tmp_path).lock()
    finally:
        process.kill()
        process.wait()
    RunFolder(tmp_path).lock().release()  # the death of its owner frees it


def test_a_run_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot make the run folder"):
        new_run("pix2pix", tmp_path / "file" / "run")
    with pytest.raises(RunError, match="cannot make the run folder"):
        new_run("pix2pix", Path("/proc/nowhere/run"))
