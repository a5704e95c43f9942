"""Translating a folder can be stopped at any moment, and gone on with."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from helpers.command import Command
from helpers.small_models import make_model, metadata_of, node, noise, tree
from i2i.images import write_image
from i2i.translate import load, translate_folder

COUNT = 200


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A model and a folder of images, some with a file name that stays and some that become PNG."""
    place = tmp_path_factory.mktemp("job")
    make_model(place / "model.onnx", "double")
    for number in range(COUNT):
        name = f"{number % 7}/{number}.{'jpg' if number % 3 else 'png'}"
        (place / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(place / "in" / name, noise(120, 160, 3, seed=number))
    for result in translate_folder(load(place / "model.onnx", device="cpu"), place / "in", place / "undisturbed"):
        assert result.status == "written"
    return place


def start(job, out, *options):
    return Command("translate", job / "model.onnx", job / "in", "-o", out, *options)


def all_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def check_whole(job, out):
    for path in all_files(out):  # hidden ones too
        assert path.read_bytes() == (job / "undisturbed" / path.relative_to(out)).read_bytes(), path


def wait_for_files(process, out, count):
    while len(all_files(out)) < count and process.poll() is None:
        time.sleep(0.002)


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_leaves_whole_files_and_skip_existing_finishes(job, tmp_path, kills):
    rng = random.Random(kills)
    reached = set()
    for kill in range(kills):
        out = tmp_path / f"out{kill}"
        process = start(job, out)
        wait_for_files(process, out, rng.randrange(1, COUNT - 40))
        time.sleep(rng.random() * 0.01)
        process.kill()
        process.wait()
        reached.add(len(all_files(out)))
        check_whole(job, out)
    assert len(reached) > kills // 2  # they were really stopped, and not always at the same place
    process = start(job, out, "--skip-existing")
    assert process.wait() == 0, process.stderr
    assert tree(out) == tree(job / "undisturbed")
    check_whole(job, out)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_soon_with_its_code_and_whole_files(job, tmp_path, number, code):
    process = start(job, tmp_path / "out", "--json")
    wait_for_files(process, tmp_path / "out", 10)
    process.send_signal(number)
    assert process.wait() == code, process.stderr
    output, error = process.stdout, process.stderr
    assert error.splitlines()[-1] == "i2i: error: interrupted"
    assert "Traceback" not in error
    assert '"complete": false' in output
    assert 10 <= len(all_files(tmp_path / "out")) < COUNT
    check_whole(job, tmp_path / "out")


def test_a_signal_that_is_ignored_stays_ignored(job, tmp_path):
    words = ["translate", job / "model.onnx", job / "in", "-o", tmp_path / "out"]
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "i2i", *map(str, words)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    wait_for_files(process, tmp_path / "out", 10)
    process.send_signal(signal.SIGHUP)
    assert process.wait(600) == 0
    assert tree(tmp_path / "out") == tree(job / "undisturbed")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_has_its_code_also_where_nobody_can_be_told(job, tmp_path, number, code):
    words = ["translate", job / "model.onnx", job / "in", "-o", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "i2i", *map(str, words)],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may run under nohup
    )
    process.stderr.close()  # as when its terminal was closed
    wait_for_files(process, tmp_path / "out", 10)
    process.send_signal(number)
    assert process.wait() == code
    assert len(all_files(tmp_path / "out")) < COUNT
    check_whole(job, tmp_path / "out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_failures_that_cannot_be_told_do_not_stop_the_rest(job, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(b"")
    for number in range(1, 4):
        write_image(tmp_path / "in" / f"{number}.png", noise(5, 5, 3, seed=number))
    words = ["translate", job / "model.onnx", tmp_path / "in", "-o", tmp_path / "out"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "i2i", *map(str, words)], stderr=full)
    assert done.returncode == 1
    assert tree(tmp_path / "out") == ["1.png", "2.png", "3.png"]


def slow_model(path, steps=600):
    """About a minute of one network for an image of four megapixels."""
    nodes = [node("Cast", ["image"], "x0", to=TensorProto.FLOAT)]
    nodes += [node("Sin", [f"x{step}"], f"x{step + 1}") for step in range(steps)]
    nodes.append(node("Cast", [f"x{steps}"], "image_out", to=TensorProto.UINT8))
    shape = ["N", "H", "W", 3]
    values = [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in ("image", "image_out")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata_of("identity", "uint8", []))
    onnx.save(model, path)


def cpu_seconds(pid):
    """What a process has computed so far, whatever else the machine does; 0 once it has ended."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for the process in /proc")
def test_a_signal_breaks_off_a_network_that_takes_long(job, tmp_path):
    slow_model(tmp_path / "model.onnx")
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "large.png", np.zeros((2000, 2000, 3), np.uint8))
    process = start(tmp_path, tmp_path / "out", "--tile", "none")
    while cpu_seconds(process.pid) < 1.5:  # all before the network takes a tenth of that
        assert process.poll() is None, process.stderr
        time.sleep(0.02)
    begin = cpu_seconds(process.pid)
    process.send_signal(signal.SIGTERM)
    spent = begin
    while process.poll() is None:
        spent = max(spent, cpu_seconds(process.pid))
        time.sleep(0.01)
    assert spent - begin < 5
    assert process.returncode == 143, process.stderr
    assert all_files(tmp_path / "out") == []
    assert not os.path.lexists(tmp_path / "out" / "large.png")
