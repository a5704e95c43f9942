"""Run folders and checkpoints on disk."""

import errno
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from i2i.errors import RunError, TrainingError
from i2i.runs import checkpoint as checkpoints
from i2i.runs import lock
from i2i.runs.checkpoint import Checkpoint
from i2i.runs.folder import RunFolder, latest_run, new_run
from i2i.runs.sums import read_sums, write_sums


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


def test_fifty_flipped_bytes_are_fifty_damaged_checkpoints_and_the_one_before_is_used(tmp_path):
    checkpoints.save(tmp_path, made(1))
    newest = checkpoints.save(tmp_path, made(2, metrics={"l1": 0.5}, note="a word"))
    draw = random.Random(0)
    for number in range(50):
        path = sorted(newest.iterdir())[number % 5]  # the digests' own file too
        content = path.read_bytes()
        broken = bytearray(content)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        path.write_bytes(broken)
        found, [line] = checkpoints.load_newest(tmp_path)
        assert found.step == 1
        assert "step-0000002" in line
        assert "damaged" in line or "not a whole checkpoint" in line
        path.write_bytes(content)
    assert checkpoints.load_newest(tmp_path)[0].step == 2


def test_the_digests_are_those_of_sha256sum(tmp_path):
    path = checkpoints.save(tmp_path, made())
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"{name}: OK" for name in sorted(p.name for p in path.iterdir())[1:]]


def test_a_checkpoint_of_the_first_format_still_loads(tmp_path):
    path = checkpoints.save(tmp_path, made(7))
    sums = read_sums(path)
    (path / "SHA256SUMS").unlink()
    state = json.loads((path / "state.json").read_text()) | {"format": 1}
    state["files"] = {name: value for name, value in sums.items() if name != "state.json"}
    (path / "state.json").write_text(json.dumps(state))
    assert checkpoints.load(path).step == 7


def test_a_checkpoint_that_may_be_whole_is_not_passed_over(tmp_path):
    checkpoints.save(tmp_path, made(1))
    newest = checkpoints.save(tmp_path, made(2))
    state = json.loads((newest / "state.json").read_text()) | {"format": 99}
    (newest / "state.json").write_text(json.dumps(state))
    (newest / "SHA256SUMS").unlink()
    write_sums(newest)
    with pytest.raises(RunError, match="newer version"):
        checkpoints.load_newest(tmp_path)


def test_saving_a_step_again_is_never_without_one(tmp_path, monkeypatch):
    """Before every rename and removal a kill would leave a whole checkpoint of the step, or its forerunner."""
    for step in (1, 2):
        checkpoints.save(tmp_path, made(step, attempt=1))
    seen = []

    def looking(original):
        def look(*arguments, **options):
            found, damaged = checkpoints.load_newest(tmp_path)
            assert not damaged
            seen.append((found.step, found.state["attempt"]))
            return original(*arguments, **options)

        return look

    monkeypatch.setattr(Path, "rename", looking(Path.rename))
    monkeypatch.setattr(checkpoints.shutil, "rmtree", looking(checkpoints.shutil.rmtree))
    checkpoints.save(tmp_path, made(2, attempt=2))
    assert seen == [(2, 1), (2, 2), (2, 2), (2, 2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-0000001", "step-0000002"]


@pytest.mark.parametrize("name", ["state.json", "networks.safetensors", "training.pt"])
def test_a_missing_file_is_a_damaged_checkpoint(tmp_path, name):
    path = checkpoints.save(tmp_path, made())
    (path / name).unlink()
    with pytest.raises(RunError, match="not a whole checkpoint"):
        checkpoints.load(path)


def test_loading_runs_no_code(tmp_path):
    path = checkpoints.save(tmp_path, made())
    torch.save({"optimizers": {}, "evil": subprocess.Popen}, path / "training.pt")
    (path / "SHA256SUMS").unlink()
    write_sums(path)
    with pytest.raises(RunError, match="more than tensors and plain values"):
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


def test_checkpoints_at_multiples_can_be_kept(tmp_path):
    for step in range(1, 10):
        checkpoints.save(tmp_path, made(step))
        checkpoints.prune(tmp_path, keep_last=1, keep_every=4)
    assert [path.name[-1] for path in checkpoints.list_checkpoints(tmp_path)] == ["4", "8", "9"]


def test_left_overs_of_dead_processes_are_cleared_at_the_start(tmp_path):
    run = RunFolder(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getppid()):
        (run.checkpoints / f".step-0000009.{pid}.tmp").mkdir(parents=True)
        (run.checkpoints / f".step-0000009.{pid}.tmp" / "half").write_text("x")
        (tmp_path / f".model.onnx.{pid}.tmp").write_text("x")
        (tmp_path / f".i2i-{pid}-0123456789abcdef.tmp").write_text("x")
    (tmp_path / ".i2i-0123456789abcdef.tmp").write_text("from an older version, which noted no process")
    (tmp_path / ".mine.tmp").write_text("nobody's of i2i")
    run.lock().release()
    assert {path.name for path in tmp_path.rglob(".*.tmp")} == {
        ".mine.tmp",
        f".i2i-{os.getppid()}-0123456789abcdef.tmp",
        f".model.onnx.{os.getppid()}.tmp",
        f".step-0000009.{os.getppid()}.tmp",
    }


def test_a_full_disk_is_told_with_the_bytes_and_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    checkpoints.save(tmp_path, made(1))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
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
    holder += f"lock = RunFolder(Path({str(tmp_path)!r})).lock(); print('held', flush=True); time.sleep(900)"
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            with pytest.raises(RunError, match=f"in use by process {process.pid} on "):
                RunFolder(tmp_path).lock()
        finally:
            process.kill()
    RunFolder(tmp_path).lock().release()  # the death of its owner frees it


def test_a_run_of_another_host_is_taken_over_only_when_its_owner_gives_no_sign_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "DEAD_AFTER_S", 60)  # the first sign of life ends the wait
    owner = tmp_path / ".owner"
    owner.write_text("process 12 on node7")
    ended = threading.Event()

    def live():
        while not ended.wait(0.02):
            os.utime(owner)

    beat = threading.Thread(target=live)
    beat.start()
    with pytest.raises(RunError, match="in use by process 12 on node7, which was just seen alive; wait"):
        RunFolder(tmp_path).lock()
    ended.set()
    beat.join()
    monkeypatch.setattr(lock, "DEAD_AFTER_S", 0.4)
    held = RunFolder(tmp_path).lock()
    assert owner.read_text().startswith(f"process {os.getpid()} on ")
    held.release()
    assert not owner.exists()


def test_the_owner_of_a_run_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT_S", 0.02)
    held = RunFolder(tmp_path).lock()
    os.utime(tmp_path / ".owner", (0, 0))
    while (tmp_path / ".owner").stat().st_mtime == 0:
        time.sleep(0.01)
    held.release()


def test_a_run_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot make the run folder"):
        new_run("pix2pix", tmp_path / "file" / "run")
    with pytest.raises(RunError, match="cannot make the run folder"):
        new_run("pix2pix", Path("/proc/nowhere/run"))


@pytest.mark.skipif(os.name == "nt", reason="permission bits")
def test_every_file_of_a_checkpoint_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    saved = checkpoints.save(tmp_path / "checkpoints", made(1))
    assert {path.stat().st_mode for path in saved.iterdir()} == {(tmp_path / "plain").stat().st_mode}
