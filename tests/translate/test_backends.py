"""What computes a model: each backend gives what onnxruntime gives, or is not used and a note says why."""

import json
import os
import re
import signal
import threading
import time

import numpy as np
import pytest

import i2i
from helpers import odd_backends
from helpers.command import Command
from helpers.recipes import small
from helpers.small_models import make_model, noise
from i2i.backends import openvino as openvino_backend
from i2i.errors import ErrorKind, ModelError, PluginError, UserError
from i2i.images import read_image, write_image
from i2i.plugins import Plugins
from i2i.plugins.backends import build_backend
from i2i.runtime.computing.backend import Opening
from i2i_samples.facades import draw_facade

PLUGINS = Plugins()
USABLE = [name for name in PLUGINS.table("backend") if not build_backend(PLUGINS, name).problem(Opening())]
ODD = Plugins([odd_backends.__file__])
EXACTLY = "computed exactly, by onnxruntime; "
needs_openvino = pytest.mark.skipif("openvino" not in USABLE, reason="openvino is not installed")
unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of files are those of Unix")

BY_ONNXRUNTIME = "deep images, and large ones in tiles with shared statistics, are computed by onnxruntime in float32"


@pytest.fixture(autouse=True)
def chosen(tmp_path, monkeypatch):
    """The folder of choices that are remembered, of a cache of its own."""
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "chosen-backends"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs of pix2pix and cgan, small models made by hand, and pictures."""
    folder = tmp_path_factory.mktemp("backends")
    with_instance_norm = ["pix2pix.generator={name: resnet, filters: 4, blocks: 1}"]
    i2i.train("pix2pix", out=folder / "pix2pix", sets=[*small("pix2pix")[:-2], *with_instance_norm], steps=2)
    i2i.train("cgan", out=folder / "cgan", sets=small("cgan"), steps=2)
    make_model(folder / "cubic-4.onnx", "cubic-4")
    make_model(folder / "double-f.onnx", "double", "float32")
    (folder / "in").mkdir()
    for number, size in enumerate((48, 64, 33)):
        write_image(folder / "in" / f"{number}.png", draw_facade(number, size=size)[1])
    return folder


@pytest.fixture(scope="module")
def by_default(place):
    """The pictures that the model makes without any option, by its name."""
    made = {}

    def pictures(model):
        if model not in made:
            list(i2i.load(place / model, device="cpu").translate_folder(place / "in", place / f"out-{model}"))
            made[model] = outputs(place / f"out-{model}")
        return made[model]

    return pictures


def outputs(folder):
    return [read_image(path).pixels.astype(float) for path in sorted(folder.glob("*.png"))]


def command(place, model, out, *options, **environment):
    """`i2i translate --json` on the pictures; the report."""
    done = Command("translate", place / model, place / "in", "-o", out, "--json", *options, **environment).completed()
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert all(f"note: {note}\n" in done.stderr for note in report["notes"])
    return report


def picture(size=48):
    return draw_facade(7, size=size)[1]


@pytest.mark.parametrize("model", ["pix2pix", "cubic-4.onnx", "double-f.onnx"])
@pytest.mark.parametrize("backend", USABLE)
def test_exact_is_within_a_level_of_the_default(place, by_default, tmp_path, backend, model):
    report = command(place, model, tmp_path / "out", "--backend", backend)
    pairs = list(zip(by_default(model), outputs(tmp_path / "out"), strict=True))
    assert max(abs(one - other).max() for one, other in pairs) <= 1
    if backend == "onnxruntime":
        assert report["notes"] == []
    elif backend == "torch" and model != "pix2pix":
        why = "torch: torch needs the model in the run folder that it was exported from, beside its checkpoints"
        assert report["notes"] == [EXACTLY + why]
    else:
        note, *more = report["notes"]
        assert note.startswith(f"computed by {backend} (")
        assert all(line.startswith("torch computes without compiling: ") for line in more)


@pytest.mark.parametrize("backend", ["auto", *[name for name in USABLE if name != "onnxruntime"]])
def test_fast_stays_close_or_says_that_it_computes_exactly(place, by_default, tmp_path, backend):
    report = command(place, "pix2pix", tmp_path / "out", "--backend", backend, "--precision", "fast")
    note, *more = report["notes"]
    assert all(line.startswith("torch computes without compiling: ") for line in more)
    if not note.startswith("computed exactly"):
        assert note.startswith("computed by ")
        for one, other in zip(by_default("pix2pix"), outputs(tmp_path / "out"), strict=True):
            assert np.square(one - other).mean() <= 255**2 / 10**3.5  # chosen at 40 dB, by the first picture
    else:
        assert all((a == b).all() for a, b in zip(by_default("pix2pix"), outputs(tmp_path / "out"), strict=True))


@needs_openvino
def test_the_note_stands_among_others_that_came_before(place, tmp_path):
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in" / "a.png", picture())
    (tmp_path / "in" / "b.txt").write_text("no image")
    words = ["translate", place / "cubic-4.onnx", tmp_path / "in", "-o", tmp_path / "out", "--backend", "openvino"]
    done = Command(*words).completed()
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(set(notes)) == 2
    assert sum("computed by openvino" in line for line in notes) == sum(".txt" in line for line in notes) == 1


def test_what_is_chosen_is_remembered(place, chosen):
    for backend in ("same", "wrong"):
        images, notes = [], []
        for _ in range(2):
            model = i2i.load(place / "cubic-4.onnx", backend=backend, plugins=ODD)
            images.append(model.translate(picture()))
            notes.append(model.notes[0])
        assert (images[0] == images[1]).all()
        assert notes[1] == f"{notes[0]} (as found before)"
    assert len(list(chosen.iterdir())) == 2


def test_a_choice_is_made_anew_for_another_model_version_precision_or_number_of_threads(place, monkeypatch):
    def found(model="cubic-4.onnx", **options):
        loaded = i2i.load(place / model, backend="same", plugins=ODD, **options)
        loaded.translate(picture())
        return loaded.notes[0].endswith("(as found before)")

    assert [found(), found()] == [False, True]
    assert not found("double-f.onnx")
    assert not found(precision="fast")
    assert not found(threads=1)
    monkeypatch.setenv("ODD_VERSION", "2")
    assert not found()


@pytest.mark.parametrize(
    "image", [np.full((64, 64, 3), 200, np.uint8), noise(31, 200, 3)], ids=["blank", "31-pixels-high"]
)
def test_an_image_that_says_nothing_of_others_decides_for_this_process_only(place, chosen, image):
    model = i2i.load(place / "cubic-4.onnx", backend="same", plugins=ODD)
    model.translate(image)
    model.translate(picture())
    assert model.notes[0].startswith("computed by same")
    assert not chosen.exists() or not list(chosen.iterdir())


@pytest.mark.parametrize(
    ("backend", "why"),
    [
        ("wrong", r"wrong: \d+\.\d dB to the exact result, .* of 255 levels apart on average"),
        ("shape", "shape: an output is missing, has another shape or type"),
        ("floats", "floats: an output is missing, has another shape or type"),
        ("lists", "lists: an output is missing, has another shape or type"),
        ("fails", "fails: FloatingPointError: no such kernel at all"),
        ("unopened", "unopened: ValueError: cannot read opset 18"),
        ("nan", "nan: .* values that are not finite"),
    ],
)
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_a_backend_that_gives_something_else_is_not_used_and_the_note_says_why(place, precision, backend, why):
    file = place / ("double-f.onnx" if backend == "nan" else "cubic-4.onnx")
    model = i2i.load(file, backend=backend, precision=precision, plugins=ODD)
    expected = i2i.load(file).translate(picture())
    for _ in range(2):
        assert (model.translate(picture()) == expected).all()
    [note] = model.notes
    assert re.fullmatch(re.escape(EXACTLY) + why + ".*", note)
    assert model.provider == "CPUExecutionProvider"


def test_a_plugin_s_backend_from_the_command_line(place, by_default, tmp_path):
    words = ["translate", place / "cubic-4.onnx", place / "in", "-o", tmp_path / "out", "--backend", "wrong"]
    done = Command("-p", odd_backends.__file__, *words).completed()
    assert done.returncode == 0
    assert f"note: {EXACTLY}wrong: " in done.stderr
    assert all((a == b).all() for a, b in zip(by_default("cubic-4.onnx"), outputs(tmp_path / "out"), strict=True))


def test_notes_of_a_backend_that_is_used_are_passed_on(place):
    for _ in range(2):  # chosen, then remembered
        model = i2i.load(place / "cubic-4.onnx", backend="same", plugins=ODD)
        model.translate(picture())
        assert model.notes[1:] == ["odd: a note of its own"]


def test_a_backend_without_a_version_is_used_and_nothing_is_remembered(place, chosen):
    model = i2i.load(place / "cubic-4.onnx", backend="unversioned", plugins=ODD)
    model.translate(picture())
    assert model.notes[0].startswith("computed by unversioned")
    assert not chosen.exists()


def test_a_broken_backend_of_a_plugin_is_left_out_by_itself_and_refused_by_name(place):
    model = i2i.load(place / "cubic-4.onnx", precision="fast", plugins=ODD)
    assert any(note.startswith("left out: backend 'unsure' of plugin ") for note in model.notes)
    model.translate(picture())
    with pytest.raises(PluginError, match=r"backend 'unsure' of plugin .*problem\(\) fails: OSError: no device"):
        i2i.load(place / "cubic-4.onnx", backend="unsure", plugins=ODD)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "opnvino"], "unknown backend 'opnvino' (did you mean 'openvino'?)"),
        (["--backend", "openvino", "--device", "cuda"], "the backend 'openvino' cannot be used: OpenVINO computes on"),
        (["--backend", "onnxruntime", "--precision", "fast"], "'onnxruntime' cannot be used: onnxruntime computes in"),
        (["--precision", "wat"], "the precision is exact or fast, not 'wat'"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(place, tmp_path, options, words):
    done = Command("translate", place / "cubic-4.onnx", place / "in", "-o", tmp_path / "out", *options).completed()
    assert done.returncode == 2
    assert words in done.stderr
    assert "--threads" in options or len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_threads_below_one_are_refused_in_python_too(place):
    with pytest.raises(UserError, match="threads is a whole number from 1, not 0"):
        i2i.load(place / "cubic-4.onnx", threads=0)


def test_openvino_that_is_not_installed_is_named_with_its_extra_where_it_is_asked_for(place, monkeypatch):
    monkeypatch.setattr(openvino_backend, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'openvino is not installed: pip install "i2i-toolkit\[openvino\]"$'):
        i2i.load(place / "cubic-4.onnx", backend="openvino")
    model = i2i.load(place / "cubic-4.onnx", precision="fast", device="cpu")
    model.translate(picture())
    assert model.notes == ["computed exactly: no faster backend can be used here; i2i doctor lists them"]


@pytest.mark.parametrize("backend", [name for name in USABLE if name != "onnxruntime"])
def test_deep_images_are_computed_exactly_with_a_note(place, backend):
    model = i2i.load(place / "pix2pix", backend=backend, precision="fast")
    deep = picture().astype(np.uint16) * 257
    assert (model.translate(deep) == i2i.load(place / "pix2pix").translate(deep)).all()
    assert model.notes == [
        "deep images, and large ones in tiles with shared statistics, are computed by onnxruntime in float32"
    ]


@pytest.mark.parametrize("backend", [name for name in USABLE if name != "onnxruntime"])
def test_tiles_with_shared_statistics_are_computed_exactly_with_a_note(place, backend):
    large = picture(160)
    model = i2i.load(place / "pix2pix", backend=backend, precision="fast")
    assert model.info.global_statistics
    assert (model.translate(large, tile=64) == i2i.load(place / "pix2pix").translate(large, tile=64)).all()
    assert (
        "deep images, and large ones in tiles with shared statistics, are computed by onnxruntime in float32"
        in model.notes
    )


@pytest.mark.parametrize("backend", USABLE)
def test_after_an_interrupt_nothing_is_computed(place, backend):
    network = i2i.load(place / "pix2pix", backend=backend).network.interruptible()
    images = np.stack([picture()])
    network.translate(images)
    network.interrupt()
    with pytest.raises(ModelError) as error:
        network.translate(images)
    assert error.value.kind == ErrorKind.INTERRUPTED


def test_an_interrupt_stops_a_run_of_a_backend_that_is_being_tried(place):
    network = i2i.load(place / "cubic-4.onnx", backend="waits", plugins=ODD).network
    errors = []

    def work():
        try:
            network.translate(np.stack([picture()]))
        except ModelError as error:
            errors.append(error.kind)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    network.interrupt()
    thread.join(60)
    assert not thread.is_alive()
    assert errors == [ErrorKind.INTERRUPTED]


def test_ctrl_c_stops_the_command(place, tmp_path):
    words = ["translate", place / "cubic-4.onnx", place / "in", "-o", tmp_path / "out", "--backend", "waits"]
    started = Command("-p", odd_backends.__file__, *words)
    while not (tmp_path / "out").exists() and started.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    started.send_signal(signal.SIGINT)
    assert started.wait(60) == 130


@needs_openvino
@pytest.mark.parametrize("options", [[], ["--precision", "fast"]], ids=["exact", "fast"])
def test_generate_takes_the_same_options(place, tmp_path, options):
    words = ["generate", place / "cgan", "--count", "2", "--label", "0", "-o"]
    done = Command(*words, tmp_path / "one", "--backend", "openvino", "--json", *options).completed()
    assert done.returncode == 0, done.stderr
    assert Command(*words, tmp_path / "other").completed().returncode == 0
    one, other = ([read_image(path).pixels.astype(float) for path in sorted((tmp_path / name).rglob("*.png"))]
                  for name in ("one", "other"))  # fmt: skip
    [note] = json.loads(done.stdout)["notes"]
    assert note.startswith("computed ")
    assert max(abs(a - b).max() for a, b in zip(one, other, strict=True)) <= (8 if options else 1)


def test_several_threads_choose_once(place, monkeypatch):
    monkeypatch.setattr(odd_backends.Odd, "opened", 0)
    model = i2i.load(place / "cubic-4.onnx", backend="same", plugins=ODD)
    opened = type(model.network.runner._opened._candidates.backends["same"])
    before = opened.opened
    images = [noise(1, 40, 40 + n, 3, seed=n) for n in range(6)]
    expected = [i2i.load(place / "cubic-4.onnx").translate_batch(image) for image in images]
    found = [None] * len(images)

    def work(number):
        found[number] = model.translate_batch(images[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((one == other).all() for one, other in zip(expected, found, strict=True))
    assert opened.opened == before + 1
    assert sum("computed by" in note for note in model.notes) == 1
