"""Commands that need a package which is not installed say in one line which extra brings it."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from helpers.paths import ROOT
from helpers.small_models import make_model, noise
from i2i.errors import UserError
from i2i.extras import EXTRAS, MissingExtraError, missing_extra
from i2i.images import read_image, write_image

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())

from importlib import util

found = util.find_spec
util.find_spec = lambda name, *more: None if name.partition(".")[0] in {absent!r} else found(name, *more)
"""
"""Code after which packages seem not to be installed."""


def python_without(packages, code, *words, cwd=None):
    absent = [package.replace("-", "_").partition(".")[0] for package in packages]
    code = WITHOUT.format(absent=absent) + code
    return subprocess.run([sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True, timeout=600)


def light(*words, cwd):
    """The command as in an installation without extras."""
    every = [package for packages in EXTRAS.values() for package in packages]
    return python_without(every, "from i2i.cli import main\nmain()", *words, cwd=cwd)


def declared(requirements):
    return {re.match(r"[\w.-]+", requirement)[0] for requirement in requirements}


def test_the_table_is_that_of_the_distribution():
    extras = dict(PROJECT["optional-dependencies"])
    services = {"mlflow", "trackio", "wandb"}  # a user has one of them
    assert extras.pop("all") == [f"i2i-toolkit[{','.join(sorted(EXTRAS.keys() - services))}]"]
    assert {extra: declared(packages) for extra, packages in extras.items()} == {
        extra: set(packages) for extra, packages in EXTRAS.items()
    }


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("torch", True),
        ("lightning_fabric", True),
        ("ruamel", True),
        ("ruamel.yaml", True),
        ("i2i.training", False),
        ("lpips", False),
        ("torch_like", False),
        ("", False),
    ],
)
def test_a_missing_module_is_known_by_its_extra(module, named):
    found = missing_extra(ModuleNotFoundError(f"No module named '{module}'", name=module))
    assert (found is not None) == named
    assert not named or 'pip install "i2i-toolkit[train]"' in str(found)


def test_other_errors_are_left_alone():
    assert missing_extra(ImportError("torch", name="torch")) is None
    assert missing_extra(None) is None
    assert issubclass(MissingExtraError, UserError)


@pytest.mark.parametrize(
    "line",
    [
        "train pix2pix",
        "train --resume",
        "config pix2pix",
        "export run",
        "report run",
        "models .",
        "data check .",
        "plugins new x",
        "plugins check pix2pix",
        "plugins show unet",
        "-p own.py plugins list",
    ],
)
def test_a_command_that_lacks_an_extra_names_it_in_one_line(line, tmp_path):
    (tmp_path / "own.py").write_text("import torch\nimport i2i\n")
    done = light(*line.split(), cwd=tmp_path)
    assert done.returncode == 2
    [error] = done.stderr.splitlines()
    assert error.startswith("i2i: error: ")
    assert 'pip install "i2i-toolkit[train]"' in error


def test_plugins_that_lack_an_extra_are_listed_with_it(tmp_path):
    (tmp_path / "i2i_own.py").write_text("import torch\nimport i2i\n")
    info = tmp_path / "i2i_own-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: i2i-own\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[i2i]\nown = i2i_own\n")
    done = light("plugins", "list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("pix2pix  (") for line in lines)
    assert any(line.startswith("  generator      unet ") for line in lines)
    [reason] = [line for line in lines if "not loaded" in line]
    assert re.fullmatch(
        r"  not loaded: this needs the extra 'train' \(torch is not installed\): pip install .*", reason
    )


def test_doctor_says_what_is_not_installed_and_finds_nothing_wrong_with_that(tmp_path):
    done = light("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "no problems found" in done.stdout
    backends = [line for line in done.stdout.splitlines() if line.startswith("backend ")]
    assert backends == [
        "backend onnxruntime: usable",
        'backend openvino: the package openvino is not installed: pip install "i2i-toolkit[openvino]"',
        'backend torch: the package torch is not installed: pip install "i2i-toolkit[train]"',
    ]


@pytest.mark.parametrize("options", ["", "--backend onnxruntime", "--precision fast", "--precision fast --device cpu"])
def test_a_backend_that_is_not_installed_is_not_mentioned_by_who_translates(options, tmp_path):
    make_model(tmp_path / "model.onnx", "invert")
    write_image(tmp_path / "a.png", noise(40, 40, 3))
    done = light("translate", "model.onnx", "a.png", "-o", "out", "--json", *options.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = (done.stdout + done.stderr).lower()
    assert "openvino" not in said
    assert "torch" not in said
    assert (read_image(tmp_path / "out" / "a.png").pixels == 255 - noise(40, 40, 3)).all()
    fast = ["computed exactly: no faster backend can be used here; i2i doctor lists them"]
    assert json.loads(done.stdout)["notes"] == (fast if "fast" in options else [])


def test_who_asks_for_a_backend_that_is_not_installed_is_told_how(tmp_path):
    make_model(tmp_path / "model.onnx", "invert")
    for backend, extra in (("openvino", "openvino"), ("torch", "train")):
        done = light("translate", "model.onnx", ".", "-o", "out", "--backend", backend, cwd=tmp_path)
        assert done.returncode == 2
        [error] = done.stderr.splitlines()
        reason = f'the package {backend} is not installed: pip install "i2i-toolkit[{extra}]"'
        assert error == f"i2i: error: the backend '{backend}' cannot be used: {reason}"


@pytest.mark.parametrize("name", ["train", "export"])
def test_in_python_too(name, tmp_path):
    code = f"import i2i\ntry:\n    i2i.{name}\nexcept i2i.UserError as error:\n    print(error)"
    done = python_without(["torch", "ruamel.yaml"], code, cwd=tmp_path)
    assert done.stdout.endswith(' pip install "i2i-toolkit[train]"\n'), done.stderr


def test_what_plugins_and_translation_need_is_there_without_extras(tmp_path):
    every = [package for packages in EXTRAS.values() for package in packages]
    code = "import i2i\nprint(i2i.load, i2i.Component, i2i.Recipe, i2i.Config, i2i.hookimpl)"
    assert python_without(every, code, cwd=tmp_path).returncode == 0
