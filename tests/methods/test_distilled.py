"""A student that learns from another model, as `build.frozen` gives it: the network of a run, or an exported file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import i2i
from helpers.image_files import save
from helpers.recipes import OWN, SHARED, train_only
from i2i.engine.frozen import load_frozen
from i2i.plugins import Plugins

FOLDER = Path(__file__).parent / "plugins"
PLUGINS = Plugins([FOLDER / "distilled.py"])
TEACHERS = ("run", "run/model.onnx")
PIX2PIX = [*SHARED, *(f"pix2pix.{line}" for line in OWN["pix2pix"]), "train.optimizer.lr=0.02"]
LAST = "checkpoints/step-0000003/networks.safetensors"


@pytest.fixture(scope="module")
def place(pairs_root, tmp_path_factory):
    """A folder with a pix2pix in `run`, exported, and a student of each form of it, in folders of their own."""
    folder = tmp_path_factory.mktemp("teacher")
    i2i.train("pix2pix", data=pairs_root, out=folder / "run", sets=PIX2PIX, steps=12)
    for number, teacher in enumerate(TEACHERS):
        student(pairs_root, folder / teacher, out=folder / f"student{number}", steps=3)
    return folder


def student(data, teacher, *more, **options):
    sets = [*SHARED, "train.checkpoint_every=1", "train.keep_last=9", f"distilled.teacher={teacher}", *more]
    return train_only("distilled", data=data, sets=sets, plugins=PLUGINS, **options)


def frozen(path, network=None, checkpoint="best"):
    return load_frozen(PLUGINS, path, network, checkpoint)[0]


def test_both_forms_are_what_the_model_file_computes(place):
    """Against `i2i.load` on 8-bit images; the file's float form is as exact as the run's network."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    given = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
    of_run, of_file = (frozen(place / teacher)(given) for teacher in TEACHERS)
    torch.testing.assert_close(of_run, of_file, atol=1e-4, rtol=0)
    assert of_file.std() > 0.02  # no flat image
    want = i2i.load(place / "run").translate(image)
    levels = ((of_file[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    assert np.abs(levels - want).max() <= 0.51


def test_gradients_go_through_a_network_of_a_run_and_not_through_a_file(place):
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    run, file = (frozen(place / teacher) for teacher in TEACHERS)
    assert not file(image).requires_grad
    run(image).mean().backward()
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in run.parameters())


@pytest.mark.parametrize("number", range(len(TEACHERS)))
def test_the_student_learns_and_the_teacher_is_in_no_checkpoint(place, number):
    first, last = (load_file(place / f"student{number}" / LAST.replace("3/", f"{step}/")) for step in (1, 3))
    assert last.keys() == {f"student/{layer}.{key}" for layer in (0, 2) for key in ("weight", "bias")}
    assert all(not torch.equal(first[key], last[key]) for key in last)


def test_students_of_both_forms_begin_alike_and_become_alike(place):
    students = [load_file(place / f"student{number}" / LAST) for number in range(len(TEACHERS))]
    for key, value in students[0].items():
        torch.testing.assert_close(value, students[1][key], atol=1e-3, rtol=0)


@pytest.mark.parametrize("number", range(len(TEACHERS)))
def test_a_resumed_student_has_the_same_bits(place, tmp_path, number):
    shutil.copytree(place / f"student{number}", tmp_path / "run")
    for step in (2, 3):
        shutil.rmtree(tmp_path / f"run/checkpoints/step-000000{step}")
    train_only(out=tmp_path / "run", resume=True, plugins=PLUGINS)
    assert (tmp_path / "run" / LAST).read_bytes() == (place / f"student{number}" / LAST).read_bytes()


def test_without_the_teacher_it_is_exported_but_not_resumed(place, pairs_root, cli, tmp_path):
    shutil.copytree(place / "run", tmp_path / "teacher")
    words = [f"--set={line}" for line in (*SHARED, "distilled.teacher=teacher")]
    plugin = ["-p", FOLDER / "distilled.py"]
    done = cli(*plugin, "train", "distilled", "--data", pairs_root, *words, "--steps=1", "--out=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "teacher")
    (tmp_path / "run/model.onnx").unlink()
    done = cli(*plugin, "export", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    image = np.zeros((32, 32, 3), np.uint8)
    assert i2i.load(tmp_path / "run").translate(image).shape == image.shape
    done = cli(*plugin, "train", "--resume", "--out=run", "--steps=2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "i2i: error: teacher: no such run folder or .onnx file, which the recipe learns from: put it there"
    )
    assert "Traceback" not in done.stderr


def test_a_network_is_chosen_by_name(place, pairs_root):
    image = torch.rand(1, 3, 32, 32)
    generator = i2i.load_networks(place / "run", "last").networks["generator"]
    assert torch.equal(frozen(place / "run", "generator", "last")(image), generator(image))
    student(pairs_root, place / "run", "distilled.network=generator", steps=1, dry_run=True)


def test_a_network_by_name_is_the_one_that_is_exported(pairs_root, tmp_path):
    i2i.train("pix2pix", data=pairs_root, out=tmp_path / "run", sets=[*PIX2PIX, "train.batch_size=1"], steps=2)
    image = torch.rand(1, 3, 32, 32)
    exported, named = (frozen(tmp_path / "run", name)(image) for name in (None, "generator"))
    assert torch.equal(exported, named)


def grey_pairs(folder):
    for split, count in (("train", 4), ("val", 2)):
        for number in range(count):
            image = np.random.default_rng(number).integers(0, 256, (32, 64), np.uint8)
            save(folder / split / f"{number}.png", image)
    return folder


@pytest.mark.parametrize("teacher", TEACHERS)
def test_other_channels_are_refused_before_the_first_step(place, tmp_path, teacher):
    words = rf"{teacher}: takes images of 3 channels and gets 1: learn from a model of such images, or change the data"
    with pytest.raises(i2i.ConfigError, match=words):
        student(grey_pairs(tmp_path / "data"), place / teacher, out=tmp_path / "out", steps=1)


def test_what_is_no_teacher_is_told_in_one_line(place, tmp_path):
    (tmp_path / "noise.onnx").write_bytes(b"no graph")
    for path, network, checkpoint, words in (
        ("", None, "best", "the model to learn from has an empty name"),
        (tmp_path, None, "best", r"not a run folder \(no config.yaml in it\)"),
        (tmp_path / "noise.onnx", None, "best", "noise.onnx: not an ONNX file that onnxruntime can load"),
        (place / "run", "generater", "best", "no network 'generater'; there are: generator, discriminator"),
        (place / "run", None, "9", "no checkpoint '9'"),
        (place / "run/model.onnx", "generator", "best", "a file has no network 'generator': leave its name out"),
    ):
        with pytest.raises(i2i.UserError, match=words) as raised:
            frozen(path, network, checkpoint)
        assert "\n" not in str(raised.value)


def test_a_model_of_noise_and_a_run_of_two_translators_are_no_teachers_by_themselves(tmp_path):
    plugins = Plugins([FOLDER / "bigan.py"])
    for number in range(6):
        image = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        save(tmp_path / "data" / f"{number}.png", image)
    sets = [*SHARED, "data.layout=images", "data.jitter=1"]
    i2i.train("bigan", data=tmp_path / "data", out=tmp_path / "run", sets=sets, steps=1, plugins=plugins)
    words = "run: no translator 'default'; there are: encode, draw; or name a network: generator, encoder"
    with pytest.raises(i2i.ConfigError, match=words):
        load_frozen(plugins, tmp_path / "run", None, "best")
    with pytest.raises(i2i.ModelError, match=r"draw.onnx: takes more than an image \(noise\): give the folder"):
        load_frozen(plugins, tmp_path / "run/model.draw.onnx", None, "best")
    code, image = load_frozen(plugins, tmp_path / "run/model.encode.onnx", None, "best")[0](torch.zeros(2, 3, 32, 32))
    assert (code.shape, image.shape) == ((2, 8), (2, 3, 32, 32))


class Holding(i2i.Recipe):
    """Gives a translator that holds its teacher, or figures and a grid of its own."""

    needs = frozenset({"source"})

    def networks(self, build, sample):
        student = torch.nn.Conv2d(3, 3, 1)
        return {"student": student, "teacher": build.frozen(self.config.teacher)}

    def phases(self):
        return [i2i.Phase("student", trains=("student",))]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": (nets["student"](batch["source"]) - nets["teacher"](batch["source"])).abs().mean()}

    def evaluate(self, nets, batches):
        return {"distance": max(float((nets["teacher"](one["source"])).abs().mean()) for one in batches)}

    def translators(self, nets, sample):
        module = torch.nn.Sequential(nets["teacher"], nets["student"]) if self.config.held else nets["student"]
        return {"default": i2i.Translator(module, {"image": sample["source"][:1]}, target=None)}


class HoldingConfig(i2i.Config):
    teacher: str = ""
    held: bool = False


@i2i.hookimpl
def i2i_recipes():
    return [i2i.Component("holding", Holding, HoldingConfig, "Holds its teacher")]


@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_translator_that_holds_its_teacher_is_refused_before_the_first_step(place, pairs_root, tmp_path, teacher):
    sets = [*SHARED, f"holding.teacher={place / teacher}"]
    made = {"data": pairs_root, "sets": sets, "steps": 1, "plugins": Plugins([__file__])}
    with pytest.raises(i2i.PluginError, match=r"'default': it holds a network of build.frozen .* no checkpoint holds"):
        train_only("holding", **made | {"sets": [*sets, "holding.held=true"]}, out=tmp_path / "held")
    trained = train_only("holding", **made, out=tmp_path / "run")
    assert trained.metrics["holding.distance"] > 0
    assert i2i.load_networks(tmp_path / "run", plugins=Plugins([__file__])).networks.keys() == {"student"}


def test_a_run_goes_on_with_the_same_teacher_only(place, pairs_root, tmp_path):
    shutil.copytree(place / "run", tmp_path / "teacher")
    student(pairs_root, tmp_path / "teacher", out=tmp_path / "run", steps=1)
    train_only(out=tmp_path / "run", resume=True, steps=2, plugins=PLUGINS)
    shutil.rmtree(tmp_path / "teacher")
    shutil.copytree(place / "student0", tmp_path / "teacher")
    with pytest.raises(i2i.RunError, match="the model that the recipe learns from is not the one that it began with"):
        train_only(out=tmp_path / "run", resume=True, steps=3, plugins=PLUGINS)
