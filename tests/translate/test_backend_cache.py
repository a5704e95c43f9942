"""What is kept of backends in the user's cache folder: damage, strangers and other files of one name do no harm."""

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import i2i
from helpers import odd_backends
from helpers.image_files import save
from helpers.paths import ROOT
from helpers.recipes import TINY, small
from helpers.small_models import make_model, metadata_of, node
from i2i.errors import ModelError, UserError
from i2i.plugins import Plugins
from i2i.plugins.backends import build_backend
from i2i.runtime.computing.backend import Opening, RunControl
from i2i_samples.facades import draw_facade

ODD = Plugins([odd_backends.__file__])
needs_openvino = pytest.mark.skipif(
    bool(build_backend(Plugins(), "openvino").problem(Opening())), reason="openvino is not installed"
)
unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of files are those of Unix")
PICTURE = draw_facade(7, size=48)[1]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path):
    return make_model(tmp_path / "model.onnx", "cubic-4")


def first_note(file, backend="same"):
    model = i2i.load(file, backend=backend, plugins=ODD)
    assert (model.translate(PICTURE) == i2i.load(file).translate(PICTURE)).all()
    return model.notes[0]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"name": "gone", "note": "x"}', bytes(1 << 17)])
def test_a_damaged_choice_is_made_again_and_replaced(file, cache, damage):
    note = first_note(file)
    [entry] = (cache / "chosen-backends").iterdir()
    entry.write_bytes(damage)
    assert first_note(file) == note
    assert first_note(file) == f"{note} (as found before)"


@unix
@pytest.mark.parametrize("of", ["entry", "folder", "link"])
def test_what_others_may_write_is_not_trusted(file, cache, of):
    note = first_note(file)
    [entry] = (cache / "chosen-backends").iterdir()
    if of == "link":
        entry.rename(cache / "elsewhere")
        entry.symlink_to(cache / "elsewhere")
    else:
        (entry if of == "entry" else entry.parent).chmod(0o777)
    assert first_note(file) == note


def test_an_edited_backend_is_compared_anew(file, tmp_path):
    """Also where its version says that nothing changed."""
    source = Path(odd_backends.__file__).read_text()
    for number, text in enumerate((source, source, source + "\n# edited\n")):
        plugin = tmp_path / "edited.py"
        plugin.write_text(text)
        model = i2i.load(file, backend="same", plugins=Plugins([plugin]))
        model.translate(PICTURE)
        assert model.notes[0].endswith("(as found before)") == (number == 1)


def test_a_backend_that_fails_later_is_given_up_for_onnxruntime(file, monkeypatch):
    first_note(file)
    for _ in range(2):  # chosen in this process, or before
        model = i2i.load(file, backend="same", plugins=ODD)
        model.translate(PICTURE)
        monkeypatch.setenv("ODD_FAILS", "1")
        assert (model.translate(PICTURE) == i2i.load(file).translate(PICTURE)).all()
        assert model.provider == "CPUExecutionProvider"
        assert model.notes[-1].startswith(
            "from now on computed exactly, by onnxruntime: odd failed: FloatingPointError"
        )
        monkeypatch.delenv("ODD_FAILS")
    assert not first_note(file).endswith("(as found before)")


def test_a_file_that_changed_after_it_was_loaded_is_refused(file, tmp_path):
    model = i2i.load(file, backend="same", plugins=ODD)
    make_model(file, "double")
    with pytest.raises(ModelError, match="has changed since it was loaded"):
        model.translate(PICTURE)


def test_label_maps_tell_enough_to_be_remembered(tmp_path):
    root = tmp_path / "data"
    for side in ("A", "B"):
        for index in range(4):
            labels, picture = draw_facade(index, size=40)
            palette = np.unique(labels.reshape(-1, 3), axis=0)
            classes = (labels[:, :, None] == palette).all(-1).argmax(-1).astype(np.uint8)
            save(root / side / f"{index}.png", classes if side == "A" else picture)
    sets = [*TINY, "data.source_kind=labels"]
    run = i2i.train("pix2pix", data=root, out=tmp_path / "run", sets=sets, steps=1).run
    found = []
    for _ in range(2):
        model = i2i.load(run, backend="same", plugins=ODD)
        model.translate(root / "A" / "0.png")
        found.append(model.notes[0])
    assert found[1] == f"{found[0]} (as found before)"


@pytest.mark.parametrize("wrong", [{"threads": "2"}, {"threads": 1.5}, {"threads": True}, {"backend": None}])
def test_options_of_another_type_are_refused_in_python(file, wrong):
    with pytest.raises(UserError, match=r"threads is a whole number from 1|the backend is a name"):
        i2i.load(file, **wrong)


@unix
@needs_openvino
def test_openvino_keeps_nothing_where_others_may_write(file, cache):
    first_note(file, "openvino")
    [folder] = (cache / "openvino").iterdir()
    for blob in folder.iterdir():
        blob.unlink()
    folder.chmod(0o777)
    first_note(file, "openvino")
    assert not list(folder.iterdir())


def test_no_cache_folder_is_no_problem(file, cache):
    cache.write_text("a file")
    assert first_note(file) == first_note(file)


def test_a_remembered_backend_that_fails_today_is_chosen_anew(file, monkeypatch):
    first_note(file)
    monkeypatch.setenv("ODD_FAILS", "1")
    note = first_note(file)
    assert note.startswith("computed exactly, by onnxruntime; same: FloatingPointError: no such kernel")


def test_a_failure_is_not_remembered(file, monkeypatch):
    monkeypatch.setenv("ODD_FAILS", "1")
    assert first_note(file).startswith("computed exactly, by onnxruntime; same: ")
    monkeypatch.delenv("ODD_FAILS")
    assert first_note(file).startswith("computed by same")


def test_one_content_in_two_places_is_tried_in_each(file, tmp_path):
    """torch computes a model in its run folder only."""
    assert "torch needs the model in the run folder" in first_note(file, "torch")
    run = i2i.train("pix2pix", out=tmp_path / "run", sets=small("pix2pix"), steps=1).run
    copy = tmp_path / "copy.onnx"
    shutil.copy(run / "model.onnx", copy)
    assert "torch needs the model in the run folder" in first_note(copy, "torch")
    found = i2i.load(run, backend="torch", plugins=ODD)
    found.translate(PICTURE)
    assert found.notes[0].startswith("computed by torch")


def test_torch_refuses_a_model_that_does_not_say_which_checkpoint_it_is_from(tmp_path):
    run = i2i.train("pix2pix", out=tmp_path / "run", sets=small("pix2pix"), steps=1).run
    model = onnx.load(run / "model.onnx")
    kept = [entry for entry in model.metadata_props if entry.key != "i2i.step"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    onnx.save(model, run / "model.onnx")
    assert "torch cannot tell which checkpoint the model was exported from" in first_note(run, "torch")


@needs_openvino
def test_an_interrupt_breaks_off_a_run_of_openvino(tmp_path):
    """The run itself ends early: it raises, and is not only followed by none."""
    run = i2i.train("pix2pix", out=tmp_path / "run", sets=small("pix2pix"), steps=1).run
    graph = build_backend(Plugins(), "openvino").open(run / "model.onnx", Opening(threads=1))
    image = np.zeros((1, 1024, 1024, 3), np.uint8)
    graph.run(["image_out"], {"image": image}, RunControl())
    for _ in range(10):  # on a busy machine a run may end before it is stopped
        control, begun = RunControl(), threading.Event()
        with ThreadPoolExecutor() as pool:
            control.stopping_by = partial(stopping_once_begun, control, begun)
            done = pool.submit(graph.run, ["image_out"], {"image": image}, control)
            begun.wait(60)
            control.stop()
        if done.exception():
            return
    pytest.fail("every run went on to its end")


@contextmanager
def stopping_once_begun(control, begun, call):
    """`RunControl.stopping_by`, which tells when a run can be stopped."""
    with RunControl.stopping_by(control, call):
        begun.set()
        yield


QUIET = """
import sys
import i2i
model = i2i.load(sys.argv[1], backend="openvino")
import numpy as np
model.translate(np.zeros((40, 40, 3), np.uint8))
assert model.notes[0].startswith("computed by openvino"), model.notes
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
"""


@unix
@needs_openvino
def test_openvino_is_used_without_reporting_to_its_maker(file, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    words = [sys.executable, "-c", QUIET, str(file)]
    done = subprocess.run(words, env=os.environ | {"HOME": str(home)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not (home / "intel").exists()


@needs_openvino
@pytest.mark.parametrize("cut", [0, 100, -100])
def test_damaged_code_of_openvino_is_generated_again(file, cache, cut):
    first_note(file, "openvino")
    blobs = [path for path in cache.glob("openvino/*/*") if path.is_file()]
    assert blobs
    for blob in blobs:
        blob.write_bytes(blob.read_bytes()[:cut])
    assert first_note(file, "openvino").startswith("computed by openvino")


def brighter(path, levels):
    """A model that adds so many levels; files of two such are of one size."""
    size = ["N", "H", "W", 3]
    added = onnx.numpy_helper.from_array(np.full((1, 1, 1, 3), levels, np.uint8), "levels")
    graph = helper.make_graph(
        [node("Add", ["image", "levels"], "image_out")],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, size)],
        [helper.make_tensor_value_info("image_out", TensorProto.UINT8, size)],
        [added],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata_of("identity", "uint8", []))
    onnx.save(model, path)
    os.utime(path, (1e9, 1e9))


@needs_openvino
def test_another_model_of_one_path_size_and_time_is_another_model(tmp_path):
    file = tmp_path / "model.onnx"
    for levels in (1, 9, 1, 9):
        brighter(file, levels)
        model = i2i.load(file, backend="openvino")
        assert (model.translate(PICTURE // 2) == PICTURE // 2 + levels).all()
        assert model.notes[0].startswith("computed by openvino")


SIZES = """
import resource, sys
import numpy as np
import i2i

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20

model = i2i.load(sys.argv[1], backend="openvino", threads=1)
images = np.random.default_rng(0).integers(0, 256, (1, 320, 320, 3), np.uint8)
model.translate_batch(images)
model.translate_batch(images)
before = resident()
for size in range(50):
    model.translate_batch(np.ascontiguousarray(images[:, : 64 + 5 * size, : 310 - 5 * size]))
assert model.notes[0].startswith("computed by openvino"), model.notes
print(resident() - before)
"""


@needs_openvino
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux shows it")
def test_fifty_sizes_in_a_row_do_not_fill_the_memory(tmp_path):
    i2i.train("pix2pix", out=tmp_path / "run", sets=small("pix2pix"), steps=1)
    words = [sys.executable, "-c", SIZES, str(tmp_path / "run")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 200
