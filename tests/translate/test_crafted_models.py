"""Model files made to do harm get one line, little time and little memory, and reach nothing."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.crafted import CRAFTED
from helpers.forked import tried
from helpers.small_models import GRAPHS, make_model, noise
from i2i.errors import ModelError
from i2i.runtime.sandbox.check import check_model, start_check
from i2i.translate import load

MEMORY = 1_500_000_000
BY_NAME = {one.name: one for one in CRAFTED}
TOTAL = (  # tried by the whole command; the rest by the process behind it
    "weights in secret.bin",
    "NaN weights",
    "output of rank 3",
    "loop without end",
    "memory that grows step by step",
    "cut off",
)
posix = pytest.mark.skipif(sys.platform == "win32", reason="limits and forks are of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def canary(tmp_path):
    """A folder that nothing may read or change, and a link into it from beside the models."""
    folder = tmp_path / "canary"
    folder.mkdir()
    (folder / "secret.bin").write_bytes(bytes(16))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "link.bin").symlink_to(folder / "secret.bin")
    (tmp_path / "models" / "inside.bin").write_bytes(bytes(16))
    return folder


def state(folder):
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in [folder, *folder.rglob("*")]}


def measured(*words, cwd=None):
    """Runs ``i2i``: its end, seconds of computing, and the sum of the peaks of memory, both of all its processes.

    Seconds of computing, since those by the clock say more about what else the machine does.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "i2i", *map(str, words)]
    begin, peaks = children_seconds(), {}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd
    ) as process:
        while process.poll() is None:
            for pid in family(process.pid):
                peaks[pid] = max(peaks.get(pid, 0), peak_of(pid))
            time.sleep(0.01)
        out, err = process.communicate()
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    return done, children_seconds() - begin, sum(peaks.values())


def children_seconds():
    times = os.times()
    return times.children_user + times.children_system


def family(pid):
    found = [pid]
    for member in found:
        try:
            for task in Path(f"/proc/{member}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return found


def peak_of(pid):
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


@linux
@pytest.mark.parametrize("name", TOTAL)
def test_the_command_refuses_it_in_one_line_within_10_s_and_1500_mb(name, tmp_path, canary):
    model = tmp_path / "models" / "model.onnx"
    BY_NAME[name].make(model)
    before = state(tmp_path)
    images = tmp_path / "none"
    done, seconds, peak = measured("translate", model, images, "-o", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(rf"i2i: error: {re.escape(str(model))}: [^\n]*\n", done.stderr)
    assert re.search(BY_NAME[name].says, done.stderr)
    assert state(tmp_path) == before
    assert seconds < 10
    assert 0 < peak < MEMORY


@posix
def test_each_crafted_file_is_refused_for_what_it_is(tmp_path, canary):
    rest = [one for one in CRAFTED if one.name not in TOTAL]
    files = [tmp_path / "models" / f"{number}.onnx" for number, _ in enumerate(rest)]
    for one, file in zip(rest, files, strict=True):
        one.make(file)
    before = state(tmp_path)
    for one, end in zip(rest, tried(files, seconds=2, memory=400 << 20), strict=True):
        assert re.search(one.says, end.says), f"{one.name}: {end}"
        assert "\n" not in end.says and len(end.says) < 500
        assert end.bytes < 500_000_000, one.name  # the limit, and the code itself
    assert state(tmp_path) == before


@posix
def test_innocent_models_pass(tmp_path):
    names = [name for name in GRAPHS if name != "to-nan"]
    types = {name: "float32" if name in ("noisy", "dream", "dream-of-nan") else "uint8" for name in names}
    labels = {"labelled": ["a", "b"], "dream-of": ["a", "b"]}
    files = [make_model(tmp_path / f"{name}.onnx", name, types[name], labels=labels.get(name, ())) for name in names]
    for name, end in zip(names, tried(files), strict=True):
        assert (end.says, end.signal) == ("", 0), name


def test_a_check_that_runs_beside_other_work_tells_at_the_end(tmp_path):
    good = start_check(make_model(tmp_path / "good.onnx", "invert"))
    BY_NAME["NaN weights"].make(tmp_path / "bad.onnx")
    bad = start_check(tmp_path / "bad.onnx")
    good()
    with pytest.raises(ModelError, match=r"bad\.onnx: has values in 'w' that are no numbers"):
        bad()


def test_the_name_of_a_model_may_hold_anything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-c", "a b\n\u00e9\u4e2d.onnx"):
        check_model(make_model(Path(name), "invert"))


def test_names_that_a_file_makes_up_do_not_reach_the_terminal_as_they_are(tmp_path):
    import onnx

    model = onnx.load(make_model(tmp_path / "model.onnx", "identity"))
    model.graph.node[0].op_type = "Evil\x1b[2J\nCommand"
    onnx.save(model, tmp_path / "model.onnx")
    for open_it in (check_model, load):
        with pytest.raises(ModelError) as caught:
            open_it(tmp_path / "model.onnx")
        assert str(caught.value).isprintable()


def test_modules_that_lie_in_the_working_folder_are_not_run(tmp_path, monkeypatch):
    file = make_model(tmp_path / "model.onnx", "invert")
    for name in ("onnx.py", "numpy.py", "json.py"):
        (tmp_path / name).write_text("open('trap', 'w').close(); raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    check_model(file)
    assert not (tmp_path / "trap").exists()


def test_a_large_file_that_is_no_model_is_not_read(tmp_path):
    for size, says in ((1 << 30, "cannot be parsed"), (1 << 40, "larger than 2 GiB")):
        with (tmp_path / "zeros.onnx").open("wb") as file:
            file.truncate(size)  # holes, no blocks
        begin = children_seconds()
        with pytest.raises(ModelError, match=says):
            check_model(tmp_path / "zeros.onnx")
        assert children_seconds() - begin < 10


@linux
def test_the_check_ends_with_the_process_that_asked_for_it(tmp_path):
    BY_NAME["loop without end"].make(tmp_path / "model.onnx")
    code = (
        "import sys, os, time; from pathlib import Path\nfrom i2i.runtime.sandbox import check\n"
        "child = check.start_child(Path(sys.argv[1]), check.CheckLimits(60, 1 << 30))\ntime.sleep(1.5)\n"
        "print(child.pid, flush=True)\nos._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "model.onnx"], stdout=subprocess.PIPE, timeout=600)
    deadline = time.perf_counter() + 60
    while (status := Path(f"/proc/{int(done.stdout)}/status")).exists() and "zombie" not in status.read_text():
        assert time.perf_counter() < deadline
        time.sleep(0.02)


def test_what_is_no_file_is_told_without_being_opened(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.onnx")
        with pytest.raises(ModelError, match="not a regular file"):
            load(tmp_path / "fifo.onnx", check=True)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ModelError, match=r"no model\.onnx in it"):
        load(tmp_path / "folder.onnx", check=True)


def test_a_model_that_passed_translates(tmp_path):
    model = load(make_model(tmp_path / "model.onnx", "invert"), device="cpu", check=True)
    image = noise(5, 7, 3)
    assert (model.translate_batch(image[None])[0] == 255 - image).all()


DEATHS = {  # what an `onnx` that the process finds first does, and what is said then
    "import error": (
        "raise ImportError('libprotobuf.so.99: cannot open shared object file')",
        r"cannot be checked: the process that tried it ended with code 1: "
        r"ImportError: libprotobuf\.so\.99: cannot open shared object file",
    ),
    "exit": (
        "import os, sys; sys.stderr.write('one\\nno licence\x1b[2J\\n\\n'); sys.stderr.flush(); os._exit(3)",
        r"cannot be checked: the process that tried it ended with code 3: no licence\\x1b\[2J",
    ),
    "exit without a word": (
        "import os; os._exit(4)",
        "cannot be checked: the process that tried it ended with code 4",
    ),
    "exit without an answer": (
        "import os; os._exit(0)",
        "cannot be checked: the process that tried it ended with code 0",
    ),
    "signal": (
        "import os, signal, sys; print('assertion failed', file=sys.stderr); os.kill(os.getpid(), signal.SIGABRT)",
        r"onnxruntime crashes on it \(SIGABRT\): assertion failed",
    ),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"needs more than 1\.0 GiB of memory .*"),
    "endless talk": (
        "import os, sys; sys.stderr.write('talk ' * 1_000_000 + '\\nthe end\\n'); sys.stderr.flush(); os._exit(5)",
        "cannot be checked: the process that tried it ended with code 5: the end",
    ),
}


@posix
@pytest.mark.parametrize("name", DEATHS)
def test_a_check_that_ends_badly_says_how_and_its_last_words(tmp_path, monkeypatch, name):
    code, says = DEATHS[name]
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))  # another test may have found the model to be good
    file = make_model(tmp_path / "model.onnx", "invert")
    (tmp_path / "broken" / "onnx").mkdir(parents=True)
    (tmp_path / "broken" / "onnx" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "broken")
    with pytest.raises(ModelError) as caught:
        check_model(file)
    assert re.fullmatch(rf"{re.escape(str(file))}: {says}", str(caught.value))


def test_the_check_imports_no_more_than_it_needs(tmp_path):
    code = (
        "import sys, i2i.runtime.sandbox.child\n"
        "unwanted = {'torch', 'torchvision', 'typer', 'pydantic', 'pluggy', 'albumentations', 'kornia', 'cv2', 'PIL'}\n"
        "print(sorted(unwanted & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n"
